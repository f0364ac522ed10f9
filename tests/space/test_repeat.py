"""Repeated bodies: decisions and weights of their own or shared."""

from __future__ import annotations

from typing import Any

import pytest

from nasplat.errors import SpaceError
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Float, Int
from nasplat.space.repeat import Private, Repeat
from nasplat.space.wiring import Steps
from nasplat.testing.space import Keep, small_space


def test_copies_decide_for_themselves_below_their_numbers() -> None:
    space = small_space(Steps(blocks=Repeat(Steps(a=Keep(size=Choice(1, 2))), Int(0, 2))))
    assert list(space.points) == ["blocks.times", "blocks.0.a.size", "blocks.1.a.size"]
    assert space.build({"blocks.times": 0}).graph.nodes == ()
    graph = space.build({"blocks.times": 2, "blocks.0.a.size": 1, "blocks.1.a.size": 2}).graph
    assert [(node.name, node.op, node.share) for node in graph.nodes] == [
        ("blocks.0.a", Keep(size=1), None),
        ("blocks.1.a", Keep(size=2), None),
    ]


def test_copies_that_share_decisions_look_alike_and_have_weights_of_their_own() -> None:
    space = small_space(Steps(blocks=Repeat(Keep(size=Choice(1, 2)), 2, share="decisions")))
    assert list(space.points) == ["blocks.size"]
    graph = space.build({"blocks.size": 2}).graph
    assert [(node.name, node.op, node.share) for node in graph.nodes] == [
        ("blocks.0", Keep(size=2), None),
        ("blocks.1", Keep(size=2), None),
    ]


def test_a_loop_has_one_set_of_weights_but_for_its_private_parts() -> None:
    body = Steps(norm=Private(Keep()), mix=Keep(size=Choice(1, 2)))
    space = small_space(Steps(loop=Repeat(body, Int(1, 3), share="weights")))
    candidate = space.build({"loop.times": 3, "loop.mix.size": 2})
    assert [(node.name, node.share) for node in candidate.graph.nodes] == [
        ("loop.0.norm", None),
        ("loop.0.mix", "loop.mix"),
        ("loop.1.norm", None),
        ("loop.1.mix", "loop.mix"),
        ("loop.2.norm", None),
        ("loop.2.mix", "loop.mix"),
    ]
    assert candidate.cost.params == 3 * 1 + 3


def test_loops_nest_and_what_is_copied_inside_a_loop_is_shared_between_its_turns() -> None:
    inner = Repeat(Keep(), 2)
    graph = small_space(Steps(loop=Repeat(Steps(in_=inner), 2, share="weights"))).build({}).graph
    assert [node.share for node in graph.nodes] == ["loop.in_.0", "loop.in_.1"] * 2


def test_a_decision_used_outside_is_one_for_all_copies() -> None:
    size = Choice(1, 2, name="size")
    space = small_space(Repeat(Keep(size=size), 3) >> Keep(size=size))
    assert list(space.points) == ["size"]


def test_common_decisions_and_parts_are_made_once_for_all_copies() -> None:
    size = Choice(1, 2, name="width")
    norm = Choose(a=Keep(), b=Keep(size=Choice(3, 4)))
    body = Steps(norm=norm, mix=Keep(size=size, form=Choice("p", "q")))
    own = small_space(Steps(s=Repeat(body, 2)))
    assert "s.0.width" in own.points and "s.1.width" in own.points
    one = small_space(Steps(s=Repeat(body, 2, common=(size, norm))))
    assert list(one.points) == [
        "s.0.norm",
        "s.0.norm.b.size",
        "width",
        "s.0.mix.form",
        "s.1.mix.form",
    ]


def test_nested_copies_have_nested_paths() -> None:
    space = small_space(Steps(s=Repeat(Steps(b=Repeat(Keep(size=Choice(1, 2)), 2)), 2)))
    assert list(space.points) == ["s.0.b.0.size", "s.0.b.1.size", "s.1.b.0.size", "s.1.b.1.size"]


@pytest.mark.parametrize("times", [-1, 1.5, True, Choice(1, -1), Choice("a"), Float(0.0, 1.0)])
def test_strange_times_are_refused(times: Any) -> None:
    with pytest.raises(SpaceError, match=r"repeated"):
        Repeat(Keep(), times)


def test_a_strange_share_is_refused() -> None:
    with pytest.raises(SpaceError, match="'all'"):
        Repeat(Keep(), 1, share="all")  # type: ignore[arg-type]  # the point
