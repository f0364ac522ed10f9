"""Alternatives and their paths."""

from __future__ import annotations

from typing import Any

import pytest

from nasplat.errors import SpaceError
from nasplat.space.base import fresh
from nasplat.space.choose import Choose, Match, Optional
from nasplat.space.decisions import Choice, Float
from nasplat.space.wiring import Steps
from nasplat.testing.space import Keep, small_space


def test_decisions_of_an_option_stand_below_it_and_are_active_only_with_it() -> None:
    space = small_space(Steps(mixer=Choose(conv=Keep(size=Choice(3, 5)), none=Keep())))
    assert list(space.points) == ["mixer", "mixer.conv.size"]
    assert [dict(genotype) for genotype in space.genotypes()] == [
        {"mixer": "conv", "mixer.conv.size": 3},
        {"mixer": "conv", "mixer.conv.size": 5},
        {"mixer": "none"},
    ]
    assert space.build({"mixer": "conv", "mixer.conv.size": 5}).graph.nodes[0].name == "mixer.conv"


def test_one_choose_in_two_places_is_one_decision_and_fresh_makes_two() -> None:
    mixer = Choose(a=Keep(size=Choice(1, 2)), b=Keep())
    assert small_space(Steps(one=mixer, two=mixer)).size() == 3
    assert small_space(Steps(one=mixer, two=mixer.fresh())).size() == 9
    assert small_space(Steps(one=mixer, two=fresh(mixer))).size() == 9


def test_two_matches_follow_one_decision() -> None:
    kind = Choice("a", "b", name="kind")
    one = Match(kind, {"a": Keep(size=1), "b": Keep(size=2)})
    two = Match(kind, {"a": Keep(form="a"), "b": Keep(form=Choice("b", "c"))})
    space = small_space(Steps(one=one, two=two))
    assert [dict(genotype) for genotype in space.genotypes()] == [
        {"kind": "a"},
        {"kind": "b", "two.b.form": "b"},
        {"kind": "b", "two.b.form": "c"},
    ]


def test_an_optional_part_is_passed_by_or_there() -> None:
    space = small_space(Steps(gate=Optional(Keep(size=Choice(1, 2)))))
    assert [dict(genotype) for genotype in space.genotypes()] == [
        {"gate": False},
        {"gate": True, "gate.size": 1},
        {"gate": True, "gate.size": 2},
    ]
    assert space.build({"gate": False}).graph.nodes == ()
    assert small_space(Optional(Keep(), present=True)).size() == 1


def test_an_optional_choice_keeps_both_decisions_apart() -> None:
    space = small_space(Steps(gate=Optional(Choose(a=Keep(), b=Keep()))))
    assert list(space.points) == ["gate", "gate.choice"]
    assert space.size() == 3


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Choose(), "at least one option"),
        (lambda: Match(Choice(1, 2), {1: Keep(), 3: Keep()}), "no option for 2 .* no value: 3"),
        (lambda: Match(Float(0.0, 1.0), {}), "countable"),
        (lambda: Optional(Keep(), present=Choice("yes", "no")), "True or False"),
    ],
)
def test_malformed_alternatives_are_refused(make: Any, says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        make()
