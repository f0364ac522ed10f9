"""Immutable typed graphs: nodes, named inputs, named outputs.

A graph is checked when it is made; an existing graph is therefore well typed. It knows nothing of
decisions: it is what remains once every decision is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import MappingProxyType

from nasplat.errors import GraphTypeError
from nasplat.graph.op import FLOAT, Bits, Op
from nasplat.graph.types import TensorType, show_types

Types = tuple[TensorType, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One op in a graph.

    Attributes:
        name: Path of the node, dots between its parts: ``stages.1.blocks.0.mixer``.
        op: What it computes.
        inputs: References in order: the name of an input or node, ``name:k`` for its output ``k > 0``.
        bits: Widths of its weights and of the activations that enter them.
        share: Nodes of one sharing group use the same weights.
        frozen: Whether its weights stay as they are while the others train.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    bits: Bits = FLOAT
    share: str | None = None
    frozen: bool = False


@lru_cache(maxsize=1 << 18)
def infer_types(op: Op, inputs: Types) -> Types:
    """The types of the outputs of ``op`` on ``inputs``, as a tuple; memoised."""
    inferred = op.infer(*inputs)
    return inferred if isinstance(inferred, tuple) else (inferred,)


def infer_at(name: str, op: Op, inputs: Types) -> Types:
    """As :func:`infer_types`, with the path of the node in the error."""
    try:
        return infer_types(op, inputs)
    except GraphTypeError as error:
        raise GraphTypeError(f"at {name}: {error.message}", hint=error.hint) from error


class Graph:
    """An immutable typed graph.

    Args:
        inputs: Type of each named input.
        nodes: The nodes, each after everything it refers to.
        outputs: Reference of each named output.

    Raises:
        GraphTypeError: A name is used twice, a reference leads nowhere or forward, an op does not take
            the types it meets, or two nodes of one sharing group differ.
    """

    inputs: Mapping[str, TensorType]
    nodes: tuple[Node, ...]
    outputs: Mapping[str, str]
    types: Mapping[str, TensorType]
    """The type behind every reference."""

    def __init__(
        self, inputs: Mapping[str, TensorType], nodes: Iterable[Node], outputs: Mapping[str, str]
    ) -> None:
        builder = GraphBuilder(inputs)
        for node in nodes:
            builder.append(node)
        self._set(builder, outputs)

    def _set(self, builder: GraphBuilder, outputs: Mapping[str, str]) -> None:
        for name, ref in outputs.items():
            if ref not in builder.types:
                raise GraphTypeError(f"output {name!r} refers to {ref!r}, which does not exist")
        if not outputs:
            raise GraphTypeError("a graph needs at least one output")
        object.__setattr__(self, "inputs", MappingProxyType(dict(builder.inputs)))
        object.__setattr__(self, "nodes", tuple(builder.nodes))
        object.__setattr__(self, "outputs", MappingProxyType(dict(outputs)))
        object.__setattr__(self, "types", MappingProxyType(dict(builder.types)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Graph is immutable: {name} cannot be set")

    def input_types(self, node: Node) -> Types:
        """The types that enter a node."""
        return tuple(self.types[ref] for ref in node.inputs)

    @cached_property
    def output_types(self) -> Mapping[str, TensorType]:
        """Type of each named output."""
        return {name: self.types[ref] for name, ref in self.outputs.items()}

    @cached_property
    def live(self) -> tuple[Node, ...]:
        """The nodes that some output depends on, in order."""
        wanted = {source(ref) for ref in self.outputs.values()}
        kept = []
        for node in reversed(self.nodes):
            if node.name in wanted:
                kept.append(node)
                wanted.update(source(ref) for ref in node.inputs)
        return tuple(reversed(kept))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> tuple[object, ...]:
        return tuple(self.inputs.items()), self.nodes, tuple(self.outputs.items())

    def __repr__(self) -> str:
        return f"Graph({len(self.inputs)} inputs, {len(self.nodes)} nodes, {len(self.outputs)} outputs)"


def source(ref: str) -> str:
    """The node or input that a reference points to, without the output number."""
    return ref.partition(":")[0]


class GraphBuilder:
    """Adds nodes one after the other and knows the type behind every reference so far.

    Args:
        inputs: Type of each named input of the graph.
    """

    def __init__(self, inputs: Mapping[str, TensorType]) -> None:
        self.inputs = dict(inputs)
        self.nodes: list[Node] = []
        self.types: dict[str, TensorType] = dict(inputs)
        self._groups: dict[str, tuple[Node, Types]] = {}

    def append(self, node: Node) -> tuple[str, ...]:
        """Add a node and return one reference for each of its outputs.

        Raises:
            GraphTypeError: The name is taken, a reference leads nowhere, the op does not take the types
                it meets, or the node differs from the others of its sharing group.
        """
        types = self.types
        if node.name in types:
            raise GraphTypeError(f"at {node.name}: the name is used twice")
        try:
            met = tuple([types[ref] for ref in node.inputs])
        except KeyError:
            missing = [repr(ref) for ref in node.inputs if ref not in types]
            raise GraphTypeError(
                f"at {node.name}: refers to {', '.join(missing)}, which is not defined before it"
            ) from None
        if node.share is not None:
            self._check_group(node, node.share, met)
        outputs = infer_at(node.name, node.op, met)
        self.nodes.append(node)
        if len(outputs) == 1:
            types[node.name] = outputs[0]
            return (node.name,)
        made = tuple(
            f"{node.name}:{index}" if index else node.name for index in range(len(outputs))
        )
        types.update(zip(made, outputs, strict=True))
        return made

    def add(
        self, op: Op, *refs: str, name: str, bits: Bits = FLOAT, share: str | None = None
    ) -> tuple[str, ...]:
        """As :meth:`append`, from the parts of the node."""
        return self.append(Node(name, op, refs, bits, share))

    def freeze(self, first: int) -> None:
        """Let the weights of all nodes from the ``first`` on stay as they are in training."""
        self.nodes[first:] = [replace(node, frozen=True) for node in self.nodes[first:]]

    def build(self, outputs: Mapping[str, str]) -> Graph:
        """Close the graph with its named outputs; what was checked is not checked again.

        Raises:
            GraphTypeError: There is no output, or one refers to nothing.
        """
        graph = Graph.__new__(Graph)
        graph._set(self, outputs)
        return graph

    def _check_group(self, node: Node, group: str, met: Types) -> None:
        first, first_met = self._groups.setdefault(group, (node, met))
        same = (first.op, first.bits) == (node.op, node.bits)
        if same and met != first_met:  # other types are well as long as one module computes on both
            infer_at(node.name, node.op, met)
            same = first.op.call(*first_met) == node.op.call(*met)
        if not same:
            raise GraphTypeError(
                f"at {node.name}: shares weights with {first.name} (group {group!r}) but is {node.op} "
                f"on {show_types(met)} beside {first.op} on {show_types(first_met)}"
            )
