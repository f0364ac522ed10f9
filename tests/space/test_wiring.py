"""Names, branches, streams and taps, as graphs and as paths."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nasplat.errors import GraphTypeError, SpaceError
from nasplat.graph.graph import Graph
from nasplat.graph.op import Expression
from nasplat.graph.types import Vector
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.space.wiring import Each, Named, Parallel, Pick, Recall, Shared, Steps, Tap, Tied
from nasplat.testing.graph import Dense, Sum
from nasplat.testing.space import Keep, small_space


def wires(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Inputs of every node by name."""
    return {node.name: node.inputs for node in graph.nodes}


def built(body: Expression) -> Graph:
    space = small_space(body)
    return space.build(space.default()).graph


def test_a_sequence_names_its_parts_by_kind_and_number() -> None:
    assert wires(built(Keep() >> Dense() >> Keep())) == {
        "keep": ("x",),
        "dense": ("keep",),
        "keep_2": ("dense",),
    }


def test_steps_give_parts_their_names() -> None:
    assert wires(built(Steps(stem=Keep(), body=Steps(a=Keep()) >> Keep()))) == {
        "stem": ("x",),
        "body.a": ("stem",),
        "body.keep": ("body.a",),
    }


@pytest.mark.parametrize("name", ["", "a.b"])
def test_a_name_is_one_segment(name: str) -> None:
    with pytest.raises(SpaceError, match="one segment"):
        Named(name, Keep())


def test_branches_see_the_same_input_and_the_fusion_all_outputs_in_order() -> None:
    body = Parallel(Keep(), Keep(), Pick(0), fuse=Sum(), last=Keep())
    assert wires(built(body)) == {
        "parallel.keep": ("x",),
        "parallel.keep_2": ("x",),
        "parallel.last": ("x",),
        "parallel.fuse": ("parallel.keep", "parallel.keep_2", "x", "parallel.last"),
    }


def test_a_parallel_without_fusion_hands_on_every_output() -> None:
    assert list(built(Parallel(Keep(), Keep())).outputs) == ["output0", "output1"]
    with pytest.raises(SpaceError, match="at least one branch"):
        Parallel()


def test_two_streams_run_side_by_side() -> None:
    body = Each(left=Keep(), right=Dense(dim=3)) >> Pick(1)
    graph = Space(body, {"a": Vector(4), "b": Vector(5)}).build({}).graph
    assert graph.output_types == {"output": Vector(3)}
    assert wires(graph)["each.left"] == ("a",)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda: Each(Keep(), Keep()), "Each has 2 parts for 1 inputs"),
        (lambda: Pick(1), r"Pick\(1,\) of 1 inputs"),
        (lambda: Recall("early"), "no tap 'early' before this place; there are none"),
        (lambda: Tap("a") >> Tap("a"), "takes one value once, met 1 values again"),
        (lambda: Parallel(Keep(), Keep()) >> Tap("a"), "met 2 values"),
    ],
)
def test_wrong_wiring_is_refused_with_its_place(body: Callable[[], Expression], says: str) -> None:
    with pytest.raises(GraphTypeError, match=says):
        built(body())


def test_taps_are_outputs_with_heads_and_can_be_recalled() -> None:
    exit_head = Dense(dim=2)
    body = Steps(
        one=Keep(),
        exit=Tap("exit", head=exit_head),
        keep=Tap("kept", output=False),
        two=Keep(),
        join=Recall("kept") >> Sum(),
    )
    graph = built(body)
    assert wires(graph)["exit"] == ("one",)
    assert wires(graph)["two"] == ("one",)
    assert wires(graph)["join.sum"] == ("two", "one")
    assert graph.output_types == {"output": Vector(4), "exit": Vector(2)}


def test_shared_parts_have_the_paths_of_their_name_and_nodes_in_each_place() -> None:
    part = Shared("both", Choose(a=Keep(size=Choice(1, 2)), b=Dense()))
    space = small_space(Steps(one=part, two=part))
    assert list(space.points) == ["both", "both.a.size"]
    graph = space.build({"both": "a", "both.a.size": 2}).graph
    assert [(node.name, node.op) for node in graph.nodes] == [
        ("one.a", Keep(size=2)),
        ("two.a", Keep(size=2)),
    ]


def test_the_name_of_a_shared_part_stands_below_the_copy_that_holds_its_places() -> None:
    part = Shared("pair", Keep(size=Choice(1, 2)))
    space = small_space(Steps(blocks=Repeat(Steps(a=part, b=part), 2)))
    assert list(space.points) == ["blocks.0.pair.size", "blocks.1.pair.size"]


def test_tied_parts_have_one_set_of_weights_and_decisions_in_all_places() -> None:
    tower = Tied("tower", Steps(a=Keep(size=Choice(1, 2)), b=Dense()))
    space = small_space(Parallel(left=tower, right=Keep() >> tower, fuse=Sum()), check=2)
    assert list(space.points) == ["tower.a.size"]
    candidate = space.build({"tower.a.size": 2})
    shares = {node.name: node.share for node in candidate.graph.nodes if node.share}
    assert shares == {
        "parallel.left.a": "tower.a",
        "parallel.left.b": "tower.b",
        "parallel.right.tower.a": "tower.a",
        "parallel.right.tower.b": "tower.b",
    }
    module = candidate.module(seed=0)
    assert len([name for name, _ in module.named_children() if name.endswith("_b")]) == 1


def test_parts_tied_within_a_copy_are_apart_between_copies() -> None:
    part = Tied("pair", Keep())
    graph = small_space(Steps(s=Repeat(Steps(a=part, b=part), 2))).build({}).graph
    assert [node.share for node in graph.nodes] == ["s.0.pair", "s.0.pair", "s.1.pair", "s.1.pair"]
