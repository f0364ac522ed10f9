"""Rules of lowering: the module computes the graph, prints as code, seeds its weights by itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from torch.nn.functional import linear

from nasplat.graph.cost import cost
from nasplat.graph.graph import Graph, Node
from nasplat.graph.lower import lower, module_names
from nasplat.graph.types import Vector
from nasplat.testing.graph import Dense, Rectify, Sum, graphs

X = {"x": Vector(4)}


def test_the_module_computes_the_graph() -> None:
    nodes = [
        Node("in.a", Dense(), ("x",)),
        Node("in.r", Rectify(), ("in.a",)),
        Node("s", Sum(), ("in.r", "x")),
    ]
    model = lower(Graph(X, nodes, {"y": "s"}), seed=0)
    x = torch.randn(3, 4)
    weights = model.state_dict()
    expected = linear(x, weights["in_a.weight"], weights["in_a.bias"]).relu() + x
    torch.testing.assert_close(model(x), expected)
    assert "self.in_a(x)" in model.code


def test_several_outputs_come_as_a_dict() -> None:
    graph = Graph(X, [Node("a", Dense(dim=2), ("x",))], {"logits": "a", "same": "x"})
    x = torch.randn(3, 4)
    outputs = lower(graph)(x)
    assert set(outputs) == {"logits", "same"}
    assert outputs["logits"].shape == (3, 2)


def test_a_sharing_group_is_one_module() -> None:
    nodes = [Node("a", Dense(), ("x",), share="g"), Node("b", Dense(), ("a",), share="g")]
    graph = Graph(X, nodes, {"y": "b"})
    model = lower(graph)
    assert sum(weight.numel() for weight in model.parameters()) == cost(graph).params
    assert module_names(graph) == {"a": "a", "b": "a"}


def test_paths_that_would_clash_get_names_of_their_own() -> None:
    nodes = [
        Node("a.b", Dense(), ("x",)),
        Node("a_b", Dense(), ("a.b",)),
        Node("0", Dense(), ("a_b",)),
    ]
    assert list(module_names(Graph(X, nodes, {"y": "0"})).values()) == ["a_b", "a_b_2", "_0"]


def test_a_seed_fixes_the_weights_and_leaves_the_global_state() -> None:
    graph = Graph(X, [Node("a", Dense(), ("x",))], {"y": "a"})
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, two = lower(graph, seed=3), lower(graph, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.state_dict()["a.weight"], two.state_dict()["a.weight"])
    assert not torch.equal(
        one.state_dict()["a.weight"], lower(graph, seed=4).state_dict()["a.weight"]
    )


@settings(max_examples=50)
@given(graph=graphs())
def test_every_graph_runs_and_has_the_parameters_its_cost_says(graph: Graph) -> None:
    model = lower(graph)
    assert model(torch.randn(2, 4)).shape == (2, *graph.output_types["y"].shape)
    assert sum(weight.numel() for weight in model.parameters()) == cost(graph).params


@pytest.mark.parametrize("batch", [1, 5])
def test_any_batch_size_runs(batch: int) -> None:
    graph = Graph(X, [Node("a", Dense(dim=2), ("x",))], {"y": "a"})
    assert lower(graph)(torch.randn(batch, 4)).shape == (batch, 2)
