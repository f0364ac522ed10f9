"""What a graph costs, exactly, from its types alone: no module is built.

Costs of ops are memoised by (op, types). The figures agree with torch's own counter on the ``meta``
device, which the tests check; on CPU that counter takes attention for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import lru_cache

from nasplat.graph.graph import Graph, Types, source
from nasplat.graph.op import Op, OpCost


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one graph for one example.

    Attributes:
        params: Trainable numbers; a sharing group counts once.
        macs: Multiply-accumulates in convolutions, matrix products and attention.
        flops: Floating-point operations of the same, twice ``macs``.
        activation_bytes: Bytes of all tensors that nodes hand on; a tensor has the width of its widest
            reader, an output of the graph 32 bits.
        weight_bytes: Bytes of all weights: matrices and kernels at their node's width, the rest at 32.
    """

    params: int
    macs: int
    flops: int
    activation_bytes: int
    weight_bytes: int

    def as_dict(self) -> dict[str, int]:
        """The figures by name."""
        return asdict(self)


COSTS: tuple[str, ...] = tuple(field.name for field in fields(Cost))
"""Names of all costs, the metrics that need no evaluation."""


@lru_cache(maxsize=1 << 18)
def op_cost(op: Op, inputs: Types) -> OpCost:
    """The cost of one op on inputs of these types; memoised."""
    return op.cost(*inputs)


def node_costs(graph: Graph) -> Iterator[tuple[str, OpCost]]:
    """The cost of each live node by its name; in a sharing group the first holds the parameters."""
    groups: set[str] = set()
    types = graph.types
    for node in graph.live:
        counted = op_cost(node.op, tuple([types[ref] for ref in node.inputs]))
        if node.share is not None:
            if node.share in groups:
                counted = OpCost(0, counted.macs, 0)
            groups.add(node.share)
        yield node.name, counted


def cost(graph: Graph) -> Cost:
    """Count what a graph costs; dead nodes cost nothing."""
    params = macs = weight_bits = activation_bits = 0
    widest: dict[str, int] = {}
    for node, (_, counted) in zip(graph.live, node_costs(graph), strict=True):
        params += counted.params
        macs += counted.macs
        # In hundredths of bits the width 1.58 is whole, and so is the sum.
        each = round(100 * node.bits.weight)
        weight_bits += counted.weights * each + (counted.params - counted.weights) * 3200
        width = node.bits.activation if counted.weights or node.share else 32
        for ref in node.inputs:
            if width > widest.get(ref, 0):
                widest[ref] = width
    for ref in graph.outputs.values():
        widest[ref] = 32
    for ref, width in widest.items():
        if source(ref) not in graph.inputs:
            activation_bits += graph.types[ref].numel * width
    return Cost(params, macs, 2 * macs, -(-activation_bits // 8), -(-weight_bits // 800))
