"""Small ops, random graphs and an isomorphism oracle for tests of anything that handles graphs.

The ops here are the least that shows each flag of :class:`nasplat.graph.op.Op`; they are not meant to
train well. Needs hypothesis and NetworkX.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
from hypothesis import strategies as st
from torch import Tensor, nn

from nasplat.graph.graph import Graph, Node
from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType, Vector


class SumModule(nn.Module):
    """Adds its inputs."""

    def forward(self, *xs: Tensor) -> Tensor:
        """Add tensors of one shape."""
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total


class ZeroModule(nn.Module):
    """Multiplies by nought."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros in the shape of ``x``."""
        return x * 0.0


@dataclass(frozen=True, kw_only=True)
class Dense(Op):
    """A linear map of a vector to ``dim`` numbers, with weights."""

    dim: int = 4

    def infer(self, *inputs: TensorType) -> TensorType:
        """One vector in, one out."""
        expect(
            len(inputs) == 1 and isinstance(inputs[0], Vector), self, "takes one Vector", *inputs
        )
        return Vector(self.dim)

    def call(self, *inputs: TensorType) -> Call:
        """torch's own linear layer."""
        return Call(nn.Linear, {"in_features": inputs[0].numel, "out_features": self.dim})

    def cost(self, *inputs: TensorType) -> OpCost:
        """A matrix and a bias."""
        weights = inputs[0].numel * self.dim
        return OpCost(params=weights + self.dim, macs=weights, weights=weights)


@dataclass(frozen=True, kw_only=True)
class Blend(Op):
    """Two vectors into one of ``dim`` numbers, with weights; the order of the inputs counts."""

    dim: int = 4

    def infer(self, *inputs: TensorType) -> TensorType:
        """Two vectors in, one out."""
        expect(
            len(inputs) == 2 and all(isinstance(item, Vector) for item in inputs),
            self,
            "takes two Vectors",
            *inputs,
        )
        return Vector(self.dim)

    def call(self, *inputs: TensorType) -> Call:
        """torch's own bilinear layer."""
        one, other = (item.numel for item in inputs)
        return Call(
            nn.Bilinear, {"in1_features": one, "in2_features": other, "out_features": self.dim}
        )

    def cost(self, *inputs: TensorType) -> OpCost:
        """A tensor of three axes and a bias; torch's counter does not know the op."""
        weights = inputs[0].numel * inputs[1].numel * self.dim
        return OpCost(params=weights + self.dim, weights=weights)


@dataclass(frozen=True, kw_only=True)
class Rectify(Op):
    """Element-wise, without weights."""

    pure = True
    keeps_zero = True

    def infer(self, *inputs: TensorType) -> TensorType:
        """The type of the only input."""
        expect(len(inputs) == 1, self, "takes one input", *inputs)
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        """torch's own ReLU."""
        return Call(nn.ReLU)


@dataclass(frozen=True, kw_only=True)
class Skip(Rectify):
    """Hands its input on."""

    def is_identity(self, *inputs: TensorType) -> bool:
        """Always."""
        return True

    def call(self, *inputs: TensorType) -> Call:
        """torch's own identity."""
        return Call(nn.Identity)


@dataclass(frozen=True, kw_only=True)
class Nought(Rectify):
    """Zero, whatever comes."""

    def is_zero(self, *inputs: TensorType) -> bool:
        """Always."""
        return True

    def call(self, *inputs: TensorType) -> Call:
        """Multiplication by nought."""
        return Call(ZeroModule)


@dataclass(frozen=True, kw_only=True)
class Sum(Op):
    """Adds any number of inputs of one type."""

    pure = True
    commutes = True
    associative = True
    drops_zero = True
    keeps_zero = True

    def infer(self, *inputs: TensorType) -> TensorType:
        """The common type of the inputs."""
        expect(len(inputs) > 0 and len(set(inputs)) == 1, self, "takes inputs of one type", *inputs)
        return inputs[0]

    def is_identity(self, *inputs: TensorType) -> bool:
        """With one input."""
        return len(inputs) == 1

    def call(self, *inputs: TensorType) -> Call:
        """A sum."""
        return Call(SumModule)


OPS: tuple[Op, ...] = (Dense(), Rectify(), Skip(), Nought(), Sum())


@st.composite
def graphs(draw: st.DrawFn, max_nodes: int = 8, ops: Sequence[Op] = OPS) -> Graph:
    """Random graphs of the ops above on one ``Vector(4)``; several nodes may share weights."""
    nodes: list[Node] = []
    refs = ["x"]
    for number in range(draw(st.integers(1, max_nodes))):
        op = draw(st.sampled_from(ops))
        arity = draw(st.integers(1, 3)) if isinstance(op, Sum) else 1
        inputs = tuple(draw(st.sampled_from(refs)) for _ in range(arity))
        share = draw(st.sampled_from((None, None, "tied"))) if isinstance(op, Dense) else None
        nodes.append(Node(f"n{number}", op, inputs, share=share))
        refs.append(f"n{number}")
    return Graph({"x": Vector(4)}, nodes, {"y": refs[-1]})


@st.composite
def shuffles(draw: st.DrawFn, graph: Graph) -> Graph:
    """The same graph with other names, another order of nodes and of inputs that commute."""
    names = draw(st.permutations([node.name for node in graph.nodes]))
    new = {old.name: f"m{name}" for old, name in zip(graph.nodes, names, strict=True)}
    waiting = list(draw(st.permutations(graph.nodes)))
    done = set(graph.inputs)
    nodes: list[Node] = []
    while waiting:
        ready = next(node for node in waiting if set(node.inputs) <= done)
        waiting.remove(ready)
        done.add(ready.name)
        inputs = draw(st.permutations(ready.inputs)) if ready.op.commutes else ready.inputs
        renamed = tuple(new.get(ref, ref) for ref in inputs)
        nodes.append(Node(new[ready.name], ready.op, renamed, ready.bits, ready.share))
    return Graph(
        graph.inputs, nodes, {name: new.get(ref, ref) for name, ref in graph.outputs.items()}
    )


def isomorphic(one: Graph, other: Graph) -> bool:
    """Whether the live parts of two graphs are one but for names, told by NetworkX's exact search.

    No rewriting rule is applied: compare graphs in which none of them can act.
    """
    return bool(
        nx.is_isomorphic(
            _labelled(one),
            _labelled(other),
            node_match=lambda a, b: a == b,
            edge_match=lambda a, b: a == b,
        )
    )


def _labelled(graph: Graph) -> nx.DiGraph[Any]:
    made: nx.DiGraph[Any] = nx.DiGraph()
    shared = Counter(node.share for node in graph.live)
    for name, tensor_type in graph.inputs.items():
        made.add_node(name, label=f"{name}: {tensor_type}")
    for node in graph.live:
        made.add_node(node.name, label=f"{node.op} {node.bits}")
        if node.share is not None and shared[node.share] > 1:
            made.add_node(f"group {node.share}", label="group")
            made.add_edge(f"group {node.share}", node.name, places=("share",))
        for place, ref in enumerate(node.inputs):
            mark = "any" if node.op.commutes else str(place)
            places = made.get_edge_data(ref, node.name, {"places": ()})["places"]
            made.add_edge(ref, node.name, places=tuple(sorted((*places, mark))))
    for name, ref in graph.outputs.items():
        made.add_node(f"output {name}", label=f"output {name}")
        made.add_edge(ref, f"output {name}", places=("out",))
    return made
