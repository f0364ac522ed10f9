"""Rules of graphs: what is checked when one is made, what is live, that none can change."""

from __future__ import annotations

import pytest

from nasplat.errors import GraphTypeError
from nasplat.graph.graph import Graph, GraphBuilder, Node
from nasplat.graph.op import Bits
from nasplat.graph.types import Image, Vector
from nasplat.testing.graph import Dense, Sum

X = {"x": Vector(4)}


def test_types_are_inferred_along_the_nodes() -> None:
    graph = Graph(X, [Node("a", Dense(dim=7), ("x",))], {"y": "a"})
    assert graph.types == {"x": Vector(4), "a": Vector(7)}
    assert graph.output_types == {"y": Vector(7)}


@pytest.mark.parametrize(
    ("nodes", "outputs", "message"),
    [
        ([Node("x", Dense(), ("x",))], {"y": "x"}, "at x: the name is used twice"),
        ([Node("a", Dense(), ("b",))], {"y": "a"}, "at a: refers to 'b', which is not defined"),
        ([Node("a", Dense(), ("x",))], {"y": "b"}, "output 'y' refers to 'b'"),
        ([Node("a", Dense(), ("x",))], {}, "at least one output"),
        (
            [Node("a", Dense(dim=3), ("x",)), Node("s.t", Sum(), ("a", "x"))],
            {"y": "s.t"},
            r"at s\.t: Sum\(\) takes inputs of one type; met Vector\(3\), Vector\(4\)",
        ),
        (
            [Node("a", Dense(), ("x",), share="g"), Node("b", Dense(dim=3), ("a",), share="g")],
            {"y": "b"},
            r"at b: shares weights with a \(group 'g'\) but is Dense\(dim=3\)",
        ),
    ],
)
def test_an_ill_formed_graph_is_refused_with_its_path(
    nodes: list[Node], outputs: dict[str, str], message: str
) -> None:
    with pytest.raises(GraphTypeError, match=message):
        Graph(X, nodes, outputs)


def test_a_builder_makes_the_same_graph() -> None:
    builder = GraphBuilder(X)
    (a,) = builder.add(Dense(), "x", name="a")
    (s,) = builder.add(Sum(), a, "x", name="s")
    graph = builder.build({"y": s})
    nodes = [Node("a", Dense(), ("x",)), Node("s", Sum(), ("a", "x"))]
    assert graph == Graph(X, nodes, {"y": "s"})
    assert hash(graph) == hash(Graph(X, nodes, {"y": "s"}))


def test_live_nodes_are_those_an_output_depends_on() -> None:
    nodes = [Node("a", Dense(), ("x",)), Node("dead", Dense(), ("a",)), Node("b", Dense(), ("a",))]
    assert [node.name for node in Graph(X, nodes, {"y": "b"}).live] == ["a", "b"]


def test_a_graph_cannot_change() -> None:
    graph = Graph(X, [Node("a", Dense(), ("x",))], {"y": "a"})
    with pytest.raises(AttributeError, match="immutable"):
        graph.nodes = ()
    with pytest.raises(TypeError):
        graph.outputs["z"] = "a"  # type: ignore[index]  # the write that must fail


def test_bits_are_known_widths() -> None:
    with pytest.raises(
        GraphTypeError,
        match=r"weight bits must be one of \(1, 1.58, 2, 3, 4, 6, 8, 16, 32\), got 7",
    ):
        Bits(weight=7)


def test_an_op_names_what_it_met() -> None:
    with pytest.raises(
        GraphTypeError, match=r"Dense\(dim=3\) takes one Vector; met Image\(1, 2, 2\)"
    ):
        Dense(dim=3).infer(Image(1, 2, 2))
