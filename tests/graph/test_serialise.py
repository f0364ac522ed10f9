"""Rules of encoding: every graph survives JSON, foreign kinds and settings are refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from nasplat.errors import GraphTypeError
from nasplat.graph.graph import Graph, Node
from nasplat.graph.op import Bits
from nasplat.graph.serialise import graph_from_json, graph_to_json
from nasplat.graph.types import Vector
from nasplat.testing.graph import OPS, Dense, graphs

TABLE = {type(op).kind: type(op) for op in OPS}


@settings(max_examples=100)
@given(graph=graphs())
def test_graphs_survive_json(graph: Graph) -> None:
    assert graph_from_json(json.loads(json.dumps(graph_to_json(graph))), TABLE) == graph


def test_bits_survive_json() -> None:
    graph = Graph({"x": Vector(4)}, [Node("a", Dense(), ("x",), bits=Bits(2, 8))], {"y": "a"})
    assert graph_from_json(graph_to_json(graph), TABLE) == graph


def test_an_unknown_kind_lists_the_known_ones() -> None:
    data = graph_to_json(Graph({"x": Vector(4)}, [Node("a", Dense(), ("x",))], {"y": "a"}))
    data["nodes"][0]["op"] = "dens"
    with pytest.raises(GraphTypeError, match="unknown op 'dens'; known: dense,"):
        graph_from_json(data, TABLE)


def test_an_unknown_setting_lists_the_fields() -> None:
    data = graph_to_json(Graph({"x": Vector(4)}, [Node("a", Dense(), ("x",))], {"y": "a"}))
    data["nodes"][0]["settings"] = {"width": 3}
    with pytest.raises(GraphTypeError, match="unknown field of dense at a 'width'; known: dim"):
        graph_from_json(data, TABLE)
