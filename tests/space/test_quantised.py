"""Bit widths as decisions."""

from __future__ import annotations

import pytest

from nasplat.errors import SpaceError
from nasplat.graph.op import FLOAT, Bits
from nasplat.space.arithmetic import Largest
from nasplat.space.decisions import Choice
from nasplat.space.quantised import Quantised
from nasplat.space.wiring import Steps
from nasplat.testing.space import Keep, small_space


def test_widths_hold_for_the_part_and_not_after_it() -> None:
    body = Steps(
        q=Quantised(Steps(a=Keep(), b=Keep()), weight=Choice(32, 4), activation=8), after=Keep()
    )
    space = small_space(body)
    assert list(space.points) == ["q.weight_bits"]
    graph = space.build({"q.weight_bits": 4}).graph
    assert [(node.name, node.bits) for node in graph.nodes] == [
        ("q.a", Bits(4, 8)),
        ("q.b", Bits(4, 8)),
        ("after", FLOAT),
    ]


def test_an_inner_part_overrides_the_outer_one() -> None:
    inner = Quantised(Keep(), weight=32, activation=32)
    graph = small_space(Quantised(Steps(a=inner, b=Keep()), weight=8, activation=8)).build({}).graph
    assert [node.bits for node in graph.nodes] == [FLOAT, Bits(8, 8)]


def test_one_decision_can_set_both_widths() -> None:
    bits = Choice(32, 4, name="bits")
    space = small_space(Quantised(Keep(), weight=bits, activation=Largest(bits, 8)))
    assert space.build({"bits": 4}).graph.nodes[0].bits == Bits(4, 8)


@pytest.mark.parametrize("weight", [7, Choice(32, 5), "8"])
def test_widths_that_graphs_do_not_have_are_refused(weight: object) -> None:
    with pytest.raises(SpaceError, match="weight bits must be one of"):
        Quantised(Keep(), weight=weight)
