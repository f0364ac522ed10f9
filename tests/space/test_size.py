"""The exact size of a space, against brute force."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

from hypothesis import HealthCheck, assume, given, settings

from nasplat.graph.op import Expression
from nasplat.space.choose import Choose, Match, Optional
from nasplat.space.decisions import Choice, Float, Int
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.testing.space import Keep, bodies, small_space

LOOSE = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def brute_force(space: Space) -> int:
    """Try every value, or absence, of every path: knows nothing of how the space is made."""
    domains = [
        [None, *((point.path, point.decision.value(i)) for i in range(point.decision.count or 0))]
        for point in space.decisions()
    ]
    combinations: Any = product(*domains)
    return sum(
        space.validate(dict(pair for pair in chosen if pair is not None)) == []
        for chosen in combinations
    )


def combinations(space: Space) -> int:
    total = 1
    for point in space.decisions():
        total *= 1 + (point.decision.count or 0)
    return total


@LOOSE
@given(bodies())
def test_size_counts_what_validation_accepts(body: Expression) -> None:
    space = small_space(body)
    assume(combinations(space) <= 5000)
    assert space.size() == brute_force(space)


@LOOSE
@given(bodies(depth=3))
def test_size_counts_what_is_listed_and_samples_are_among_it(body: Expression) -> None:
    space = small_space(body)
    assume(space.size() <= 3000)
    listed = list(space.genotypes())
    assert len(set(listed)) == len(listed) == space.size()
    assert all(space.validate(genotype) == [] for genotype in listed)
    rng = random.Random(0)
    assert {space.sample(rng) for _ in range(20)} <= set(listed)


def test_a_product_a_sum_and_a_power() -> None:
    assert small_space(Keep(size=Choice(1, 2, 3)) >> Keep(size=Choice(1, 2))).size() == 6
    assert small_space(Choose(a=Keep(size=Choice(1, 2, 3)), b=Keep())).size() == 4
    assert small_space(Repeat(Keep(size=Choice(1, 2, 3)), Int(0, 3))).size() == 1 + 3 + 9 + 27
    assert small_space(Optional(Keep(size=Choice(1, 2, 3)))).size() == 4


def test_shared_decisions_count_once_wherever_they_are_active() -> None:
    size = Choice(1, 2, 3)
    both = Optional(Keep(size=size)) >> Optional(Keep(size=size))
    assert small_space(both).size() == 1 + 3 * 3  # neither is there, or the size counts once
    switch = Choice(0, 1)
    matched = Match(switch, {0: Keep(), 1: Keep(size=Choice(1, 2))})
    again = Match(switch, {0: Keep(size=Choice(1, 2, 3)), 1: Keep()})
    assert small_space(matched >> again).size() == 3 + 2


def test_copies_that_share_decisions_count_as_one_body() -> None:
    body = Keep(size=Choice(1, 2, 3))
    assert small_space(Repeat(body, Int(0, 3), share="decisions")).size() == 1 + 3 * 3
    assert small_space(Repeat(body, Int(0, 3), share="weights")).size() == 1 + 3 * 3


def test_a_continuous_decision_counts_as_one_value() -> None:
    space = small_space(Keep(size=Choice(1, 2)), recipe={"lr": Float(1e-4, 1e-2, log=True)})
    assert space.size() == 2


def test_large_sizes_are_exact_integers() -> None:
    body = Repeat(Choose(a=Keep(size=Choice(1, 2, 3)), b=Keep()), 60)
    assert small_space(body).size() == 4**60
