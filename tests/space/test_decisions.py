"""Decisions over values: domains and identity."""

from __future__ import annotations

import math
import random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasplat.errors import SpaceError
from nasplat.space.base import fresh
from nasplat.space.decisions import Choice, Float, Int
from nasplat.space.repeat import Repeat
from nasplat.space.wiring import Steps
from nasplat.testing.space import Keep, small_space

scalars = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=2))
choices = st.lists(scalars, min_size=1, max_size=5, unique_by=lambda v: v).map(
    lambda values: Choice(*values)
)
ints = st.builds(
    lambda low, count, step: Int(low, low + count * step, step),
    st.integers(-5, 5),
    st.integers(0, 6),
    st.integers(1, 3),
)
floats = st.builds(
    lambda low, span, log: Float(low, low + span, log),
    st.floats(1e-4, 10),
    st.floats(0.01, 10),
    st.booleans(),
)
decisions: st.SearchStrategy[Any] = st.one_of(choices, ints, floats)


@given(decisions, st.integers(0, 2**32))
def test_drawn_values_defaults_and_steps_are_in_the_domain(decision: Any, seed: int) -> None:
    value = decision.draw(random.Random(seed))
    for met in (value, decision.default, *decision.steps(value)):
        assert decision.index(met) >= 0
        assert decision.index(decision.close(met)) == decision.index(met)
    assert value not in decision.steps(value)


@given(decisions)
def test_what_is_not_in_the_domain_has_no_index(decision: Any) -> None:
    for foreign in ("no such value", [1], {}, 10**9, math.nan, object()):
        assert decision.index(foreign) == -1


@given(st.one_of(choices, ints))
def test_countable_domains_count_and_index_their_values(decision: Any) -> None:
    values = [decision.value(index) for index in range(decision.count)]
    assert [decision.index(value) for value in values] == list(range(decision.count))


@given(decisions, st.integers(0, 2**32))
def test_coordinates_have_one_width_and_stay_in_the_unit_interval(decision: Any, seed: int) -> None:
    numbers = decision.coordinates(decision.draw(random.Random(seed)))
    assert len(numbers) == decision.width
    assert all(-1e-9 <= number <= 1 + 1e-9 for number in numbers)


def test_true_is_not_one_and_two_is_two_point_nought() -> None:
    assert Choice(1, 2).index(True) == -1
    assert Choice(False, True).index(1) == -1
    assert Int(0, 3).index(True) == -1
    assert Choice(2.0, 4.0).index(2) == 0
    assert type(Choice(2.0, 4.0).close(2)) is float


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Choice(), "at least one"),
        (lambda: Choice(1, 1.0), "distinct"),
        (lambda: Choice(1, True), "distinct"),
        (lambda: Choice(1, cast(Any, (2, 3))), "JSON scalars"),
        (lambda: Choice(1, math.inf), "JSON scalars"),
        (lambda: Choice(1, 2, default=3), "default 3"),
        (lambda: Int(3, 1), "low=3"),
        (lambda: Int(0, 3, 2), "step=2"),
        (lambda: Int(0, cast(Any, 3.5)), "integers"),
        (lambda: Int(0, 4, 2, default=1), "default 1"),
        (lambda: Float(1.0, 1.0), "low < high"),
        (lambda: Float(0.0, 1.0, log=True), "low > 0"),
        (lambda: Float(0.0, math.nan), "finite"),
    ],
)
def test_malformed_domains_are_refused_with_their_values(make: Any, says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        make()


def test_the_default_of_a_float_is_its_middle() -> None:
    assert Float(1.0, 3.0).default == 2.0
    assert Float(1e-4, 1e-2, log=True).default == pytest.approx(1e-3)


def test_one_object_is_one_decision_and_fresh_makes_another() -> None:
    size = Choice(1, 2)
    once = small_space(Keep(size=size) >> Keep(size=size))
    twice = small_space(Keep(size=size) >> Keep(size=size.fresh()))
    assert list(once.points) == ["keep.size"]
    assert list(twice.points) == ["keep.size", "keep_2.size"]


def test_fresh_keeps_what_is_one_within_the_copy() -> None:
    size = Choice(1, 2)
    pair = Keep(size=size) >> Keep(size=size)
    space = small_space(pair >> fresh(pair))
    assert list(space.points) == ["keep.size", "keep_3.size"]


def test_a_given_name_is_the_path() -> None:
    space = small_space(Keep(size=Choice(1, 2, name="how.much")))
    assert list(space.points) == ["how.much"]


def test_values_on_demand_are_legal_but_never_proposed() -> None:
    body = Repeat(Keep(size=Choice(1, 2, 3)), 2)
    sharing = Choice("own", "bank", on_demand=("bank",))
    space = small_space(Steps(blocks=body), recipe={"weights": sharing})
    rng = random.Random(0)
    genotype = space.sample(rng)
    assert space.contains({**genotype, "recipe.weights": "bank"})
    for _ in range(50):
        genotype = space.mutate(genotype, rng)
        assert genotype["recipe.weights"] == space.sample(rng)["recipe.weights"] == "own"
    assert all(near["recipe.weights"] == "own" for near in space.neighbours(genotype))
    asked = space.within({"recipe.weights": ("bank",)})
    assert asked.sample(rng)["recipe.weights"] == "bank"
    assert asked.mutate(asked.sample(rng), rng)["recipe.weights"] == "bank"
    with pytest.raises(SpaceError, match="'borrowed' is not one of"):
        Choice("own", on_demand=("borrowed",))


def test_nothing_is_left_to_mutate_where_only_one_value_is_offered() -> None:
    space = small_space(Steps(keep=Keep(form=Choice("a", "b", on_demand=("b",)))))
    genotype = space.sample(random.Random(0))
    assert space.mutate(genotype, random.Random(0)) == genotype
