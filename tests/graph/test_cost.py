"""Rules of costs that hold for any op; the counts of single ops are tested beside the ops."""

from __future__ import annotations

import math

from nasplat.graph.cost import Cost, cost, node_costs
from nasplat.graph.graph import Graph, Node
from nasplat.graph.op import Bits
from nasplat.graph.types import Vector
from nasplat.testing.graph import Dense, Rectify, Sum

X = {"x": Vector(4)}


def test_costs_add_up_over_live_nodes() -> None:
    nodes = [
        Node("a", Dense(dim=5), ("x",)),
        Node("d", Dense(), ("x",)),
        Node("r", Rectify(), ("a",)),
    ]
    assert cost(Graph(X, nodes, {"y": "r"})) == Cost(
        params=25, macs=20, flops=40, activation_bytes=40, weight_bytes=100
    )


def test_a_sharing_group_holds_its_parameters_once_and_computes_each_time() -> None:
    nodes = [Node("a", Dense(), ("x",), share="g"), Node("b", Dense(), ("a",), share="g")]
    graph = Graph(X, nodes, {"y": "b"})
    assert (cost(graph).params, cost(graph).macs) == (20, 32)
    assert [counted.params for _, counted in node_costs(graph)] == [20, 0]


def test_weight_bits_apply_to_matrices_and_not_to_biases() -> None:
    nodes = [Node("a", Dense(), ("x",), bits=Bits(weight=4))]
    assert cost(Graph(X, nodes, {"y": "a"})).weight_bytes == 16 // 2 + 4 * 4


def test_three_levels_are_stored_in_1_58_bits() -> None:
    nodes = [Node("a", Dense(), ("x",), bits=Bits(weight=1.58))]
    assert cost(Graph(X, nodes, {"y": "a"})).weight_bytes == math.ceil(16 * 1.58 / 8) + 4 * 4


def test_a_tensor_is_as_wide_as_its_widest_reader() -> None:
    first = Node("a", Dense(), ("x",))
    narrow = Node("b", Dense(), ("a",), bits=Bits(8, 8))
    both = Node("s", Sum(), ("a", "b"))
    assert cost(Graph(X, [first, narrow], {"y": "b"})).activation_bytes == 4 + 16
    assert cost(Graph(X, [first, narrow, both], {"y": "s"})).activation_bytes == 16 * 3
