"""The identity of a graph: a canonical, versioned hash of what it computes.

Two graphs share a digest when they compute the same function by construction:

- nodes that no output depends on do not count, nor do the names of nodes;
- identities vanish, a sum drops the inputs that are zero, a merge of one is that one;
- nested uses of an associative op flatten, inputs of an op that commutes have no order;
- an op without weights or randomness, used twice on the same inputs, is one;
- nodes of a sharing group with the same inputs are one.

Weights tell apart: ``conv(x) + conv(x)`` with two convolutions is not ``2 conv(x)`` with one. The digest
therefore identifies the graph up to isomorphism, not only the tree of its expressions: nodes that look
alike from below are told apart by colour refinement and, where that is not enough, by individualisation
[McKay2014]. NetworkX's Weisfeiler-Lehman hash is not used: it is no durable key across its versions.

The prefix is the version of these rules. A golden digest in the tests never moves under one prefix.

References:
    [McKay2014] B. D. McKay, A. Piperno. Practical graph isomorphism, II. J. Symb. Comput. 60, 2014.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import NamedTuple

from nasplat.graph.cost import op_cost
from nasplat.graph.graph import Graph, Types, infer_types
from nasplat.graph.op import FLOAT, Bits, Op
from nasplat.graph.types import TensorType

VERSION = "g1"
Source = tuple[int, int]
"""A value and which of its outputs."""
_ZERO: Source = (-1, 0)
Colours = list[bytes]


class _Value(NamedTuple):
    """One thing computed: an input of the graph or an op on other values."""

    label: bytes
    sources: tuple[Source, ...]
    commutes: bool
    group: str | None


def digest(graph: Graph) -> str:
    """The identity of a graph: ``g1:`` and 32 hexadecimal digits."""
    values, outputs = _normalise(graph)
    colours = _merkle(values)
    wiring = _Wiring(values, outputs)
    if len(set(colours)) < len(colours):
        form, _ = _canonical(wiring, _refined(wiring, colours))
    else:
        form = _form(wiring, colours)
    return f"{VERSION}:{form.hex()}"


def _hash(*parts: bytes) -> bytes:
    return blake2b(b"".join(parts), digest_size=16).digest()


class _Facts(NamedTuple):
    """What the rules ask of an op on inputs of some types."""

    label: bytes
    outputs: int
    zero: bool
    identity: bool


@lru_cache(maxsize=1 << 17)
def _facts(op: Op, bits: Bits, types: Types, frozen: bool = False) -> _Facts:
    counted = op_cost(op, types)
    if not counted.weights:  # bits act on nothing
        bits = FLOAT
    described: list[object] = [op.kind, op.settings(), [bits.weight, bits.activation]]
    if frozen and counted.params:
        described.append("frozen")
    return _Facts(
        label=_hash(json.dumps(described, sort_keys=True, separators=(",", ":")).encode()),
        outputs=len(infer_types(op, types)),
        zero=op.is_zero(*types),
        identity=len(types) == 1 and op.is_identity(*types),
    )


def _normalise(graph: Graph) -> tuple[list[_Value], list[tuple[str, Source]]]:
    """Rewrite the live part of a graph into values by the rules of the module's docstring."""
    values: list[_Value] = []
    made: list[tuple[Op | None, Types]] = []
    at: dict[str, Source] = {}
    known: dict[object, int] = {}
    types_of = graph.types

    for name, tensor_type in graph.inputs.items():
        at[name] = (len(values), 0)
        label = _hash(b"input", name.encode(), str(tensor_type).encode())
        values.append(_Value(label, (), False, None))
        made.append((None, ()))

    for node in graph.live:
        op = node.op
        pairs = [(at[ref], types_of[ref]) for ref in node.inputs]
        if op.associative:
            pairs = [inner for pair in pairs for inner in _flattened(pair, op, values, made)]
        if op.drops_zero:
            pairs = [pair for pair in pairs if pair[0] is not _ZERO]
        if op.commutes:
            pairs.sort(key=_of_pair)
        sources = tuple([pair[0] for pair in pairs])
        types = tuple([pair[1] for pair in pairs])
        if node.inputs and not sources:  # every input was a zero that the op drops
            at[node.name] = _ZERO
            continue
        facts = _facts(op, node.bits, types, node.frozen)
        if facts.zero or (op.keeps_zero and sources and all(item is _ZERO for item in sources)):
            at[node.name] = _ZERO
            continue
        if facts.identity:
            at[node.name] = sources[0]
            continue
        key = (facts.label, sources) if op.pure else (node.share, sources) if node.share else None
        index = len(values) if key is None else known.setdefault(key, len(values))
        if index == len(values):
            group = None if op.pure else node.share
            values.append(_Value(facts.label, sources, op.commutes, group))
            made.append((op, types))
        at[node.name] = (index, 0)
        for port in range(1, facts.outputs):
            at[f"{node.name}:{port}"] = (index, port)
    outputs = sorted((name, at[ref]) for name, ref in graph.outputs.items())
    return _reachable(values, outputs)


_of_pair = itemgetter(0)


def _flattened(
    pair: tuple[Source, TensorType],
    op: Op,
    values: list[_Value],
    made: list[tuple[Op | None, Types]],
) -> list[tuple[Source, TensorType]]:
    """The inputs of an inner use of the same associative op, or the pair itself."""
    (index, _), _ = pair
    if index < 0 or made[index][0] != op:
        return [pair]
    return list(zip(values[index].sources, made[index][1], strict=True))


def _reachable(
    values: list[_Value], outputs: list[tuple[str, Source]]
) -> tuple[list[_Value], list[tuple[str, Source]]]:
    """Drop values that normalisation left without a consumer, and renumber."""
    wanted = {index for _, (index, _) in outputs}
    for index in range(len(values) - 1, -1, -1):
        if index in wanted:
            wanted.update(source for source, _ in values[index].sources)
    wanted.discard(-1)
    if len(wanted) == len(values):
        return values, outputs
    new = {old: index for index, old in enumerate(sorted(wanted))}
    new[-1] = -1
    kept = [
        _Value(
            values[old].label,
            tuple((new[index], port) for index, port in values[old].sources),
            values[old].commutes,
            values[old].group,
        )
        for old in sorted(wanted)
    ]
    return kept, [(name, (new[index], port)) for name, (index, port) in outputs]


def _seen(source: Source, colours: Colours) -> bytes:
    index, port = source
    colour = b"zero" if index < 0 else colours[index]
    return colour if port == 0 else colour + port.to_bytes(2, "big")


def _inputs(value: _Value, colours: Colours) -> list[bytes]:
    if len(value.sources) == 1:
        return [_seen(value.sources[0], colours)]
    seen = [_seen(source, colours) for source in value.sources]
    return sorted(seen) if value.commutes else seen


def _merkle(values: Sequence[_Value]) -> Colours:
    """Colour every value by the tree of expressions below it."""
    colours: Colours = []
    for value in values:
        seen = _inputs(value, colours)
        colours.append(_hash(value.label, len(seen).to_bytes(2, "big"), *seen))
    return colours


def _groups(values: Sequence[_Value]) -> list[list[int]]:
    members: dict[str, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        if value.group is not None:
            members[value.group].append(index)
    return [indices for indices in members.values() if len(indices) > 1]


class _Wiring:
    """Values, and what is around each of them: worked out once for all refinements, if there are any.

    Attributes:
        values: What is computed.
        outputs: Names of the graph's outputs, and what they are.
        groups: Values that share weights, two or more in each.
    """

    def __init__(self, values: Sequence[_Value], outputs: Sequence[tuple[str, Source]]) -> None:
        self.values = values
        self.outputs = outputs
        self.groups = _groups(values)

    @cached_property
    def above(self) -> list[list[tuple[bytes, int]]]:
        """For each value the values that read it, each after a mark of where."""
        above: list[list[tuple[bytes, int]]] = [[] for _ in self.values]
        for index, value in enumerate(self.values):
            for position, (below, port) in enumerate(value.sources):
                if below >= 0:
                    place = 0 if value.commutes else position + 1
                    above[below].append((b"up" + bytes((place, port)), index))
        return above

    @cached_property
    def named(self) -> list[list[bytes]]:
        """For each value the names by which the graph's outputs read it."""
        named: list[list[bytes]] = [[] for _ in self.values]
        for name, (index, port) in self.outputs:
            if index >= 0:
                named[index].append(b"out" + bytes((port,)) + name.encode())
        return named


def _refined(wiring: _Wiring, colours: Colours) -> Colours:
    """Refine colours by what is below, above and in the same sharing group, until stable."""
    classes = len(set(colours))
    while True:
        mates: dict[int, bytes] = {}
        for members in wiring.groups:
            together = b"group" + b"".join(sorted([colours[index] for index in members]))
            mates.update(dict.fromkeys(members, together))
        refined: Colours = []
        for index, value in enumerate(wiring.values):
            around = [mark + colours[reader] for mark, reader in wiring.above[index]]
            around += wiring.named[index]
            if index in mates:
                around.append(mates[index])
            if len(around) > 1:
                around.sort()
            below = _inputs(value, colours)
            refined.append(_hash(colours[index], *below, b"|", *around))
        colours = refined
        if len(set(colours)) == classes:
            return colours
        classes = len(set(colours))


def _canonical(wiring: _Wiring, colours: Colours) -> tuple[bytes, bytes]:
    """The smallest form over all ways to tell apart values of one colour, and the first that was met.

    Values that a symmetry of the graph maps to each other give the same form, so only one of them is
    followed. Most symmetries are seen at once; others show when the first descents end in one form.
    """
    choices = _individualised(wiring, colours)
    if not choices:
        form = _form(wiring, colours)
        return form, form
    smallest, first = _canonical(wiring, choices[0])
    descents = {first}
    for choice in choices[1:]:
        if _symmetric(wiring, choices[0], choice):
            continue
        descent = _descend(wiring, choice)
        if descent not in descents:
            descents.add(descent)
            smallest = min(smallest, _canonical(wiring, choice)[0])
    return smallest, first


def _symmetric(wiring: _Wiring, first: Colours, second: Colours) -> bool:
    """Whether exchanging the values whose colours differ is a symmetry of the graph.

    A value goes where its first colour is the second one, and stays where that is so already. ``False``
    says nothing: some symmetries are not of this kind.
    """
    differs = [index for index, colour in enumerate(first) if colour != second[index]]
    place = {second[index]: index for index in differs}
    to = {index: place.get(first[index], -1) for index in differs}
    if len(place) < len(differs) or set(to.values()) != set(differs):
        return False
    readers = {reader for index in differs for _, reader in wiring.above[index]}
    for index in readers.union(differs):
        value, other = wiring.values[index], wiring.values[to.get(index, index)]
        moved = [(to.get(source, source), port) for source, port in value.sources]
        there = [*other.sources]
        if value.commutes:
            moved.sort()
            there.sort()
        if moved != there or value.label != other.label:
            return False
    if any(wiring.named[index] != wiring.named[to[index]] for index in differs):
        return False
    groups = {frozenset(members) for members in wiring.groups}
    return all(frozenset(to.get(index, index) for index in members) in groups for members in groups)


def _descend(wiring: _Wiring, colours: Colours) -> bytes:
    """The form at the end of one path of individualisations."""
    while choices := _individualised(wiring, colours):
        colours = choices[0]
    return _form(wiring, colours)


def _individualised(wiring: _Wiring, colours: Colours) -> list[Colours]:
    """Single out each value of the first ambiguous colour; keep the refinements that come first."""
    counts = Counter(colours)
    ambiguous = [(count, colour) for colour, count in counts.items() if count > 1]
    if not ambiguous:
        return []
    _, chosen = min(ambiguous)
    best: list[Colours] = []
    least: list[bytes] | None = None
    for index, colour in enumerate(colours):
        if colour != chosen:
            continue
        marked = list(colours)
        marked[index] = _hash(colour, b"chosen")
        refined = _refined(wiring, marked)
        trace = sorted(refined)
        if least is None or trace < least:
            best, least = [refined], trace
        elif trace == least:
            best.append(refined)
    return best


def _form(wiring: _Wiring, colours: Colours) -> bytes:
    """Hash the graph written down in the order of its colours, each of which is one value."""
    rank: Mapping[bytes, bytes] = {
        colour: position.to_bytes(4, "big") for position, colour in enumerate(sorted(colours))
    }
    ranks = [rank[colour] for colour in colours]
    lines = sorted(
        ranks[index] + value.label + b"".join(_inputs(value, ranks))
        for index, value in enumerate(wiring.values)
    )
    shared = sorted(
        b"shared" + b"".join(sorted(ranks[index] for index in members)) for members in wiring.groups
    )
    named = [name.encode() + b"=" + _seen(source, ranks) for name, source in wiring.outputs]
    return _hash(*lines, *shared, *named)
