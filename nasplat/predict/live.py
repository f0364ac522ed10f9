"""The live part of a typed graph as a model should see it: no identities, no zeros, no dead ends.

Follows the rules by which the digest takes two graphs for one, as far as they change how often and where
an op is used. Knows graphs, nothing of spaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from nasplat.graph.graph import Graph, Types, source
from nasplat.graph.op import Bits, Op
from nasplat.graph.types import TensorType


@dataclass(frozen=True, slots=True)
class Value:
    """One thing computed.

    Attributes:
        op: What computes it; ``None`` for an input of the graph.
        family: See :func:`family`; empty for an input of the graph.
        sources: Numbers of the values that it reads.
    """

    op: Op | None
    family: str
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Live:
    """The live values of a graph in order, and the numbers of those that are outputs.

    An output that is zero whatever comes in is left out.
    """

    values: tuple[Value, ...]
    outputs: tuple[int, ...]


def live(graph: Graph) -> Live:
    """Reduce a graph to what it computes."""
    values: list[Value] = []
    at: dict[str, int | None] = {}
    once: dict[object, int] = {}
    for name in graph.inputs:
        at[name] = len(values)
        values.append(Value(None, "", ()))
    for node in graph.live:
        op = node.op
        types = graph.input_types(node)
        met = [at[ref] if ref in at else at[source(ref)] for ref in node.inputs]
        given = [index for index in met if index is not None]
        if op.is_zero(*types) or (op.keeps_zero and node.inputs and not given):
            at[node.name] = None
            continue
        if op.drops_zero and len(given) < len(met):
            types = tuple(kind for kind, index in zip(types, met, strict=True) if index is not None)
        if len(given) == 1 and len(types) == 1 and op.is_identity(*types):
            at[node.name] = given[0]
            continue
        if op.associative:
            inner = [
                values[index].sources if values[index].op == op else (index,) for index in given
            ]
            given = [index for indices in inner for index in indices]
        sources = tuple(sorted(given) if op.commutes else given)
        if op.pure or node.share is not None:  # the same op on the same inputs is one
            key = (op, node.bits, node.share, sources)
            index = once.setdefault(key, len(values))
            at[node.name] = index
            if index < len(values):
                continue
        at[node.name] = len(values)
        name = family(op, types, graph.types[node.name], node.bits)
        values.append(Value(op, name, sources))
    ends = [at[source(ref)] for ref in graph.outputs.values()]
    return _reachable(values, [index for index in ends if index is not None])


def _reachable(values: list[Value], ends: list[int]) -> Live:
    wanted = set(ends)
    for index in range(len(values) - 1, -1, -1):
        if index in wanted:
            wanted.update(values[index].sources)
    if len(wanted) == len(values):
        return Live(tuple(values), tuple(ends))
    new = {old: index for index, old in enumerate(sorted(wanted))}
    kept = [
        Value(values[old].op, values[old].family, tuple(new[at] for at in values[old].sources))
        for old in new
    ]
    return Live(tuple(kept), tuple(new[index] for index in ends))


@lru_cache(maxsize=1 << 16)
def family(op: Op, inputs: Types, output: TensorType, bits: Bits) -> str:
    """The family of an op: its kind and the settings that are no sizes of the tensors around it.

    ``conv[kernel=3]`` on 16 and on 64 channels is one family; a number that only repeats a size of an
    input or of the output is left out.
    """
    sizes = {size for kind in (*inputs, output) for size in kind.sizes}
    told = [
        f"{name}={value}"
        for name, value in op.settings().items()
        if isinstance(value, bool | str) or (isinstance(value, int) and value not in sizes)
    ]
    if bits.quantised:
        told.append(f"bits={bits.weight}/{bits.activation}")
    return f"{op.kind}[{','.join(told)}]" if told else op.kind
