"""Rungs are decided by Pareto rank, then by how far results stand apart."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasplat.errors import UsageError
from nasplat.execute.rungs import rung_verdict

points = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda pair: [float(x) for x in pair]),
    min_size=1,
    max_size=12,
)


def test_until_eta_results_are_there_everything_goes_on() -> None:
    assert rung_verdict([], [9.0, 9.0], eta=3)
    assert rung_verdict([[0.0, 0.0]], [9.0, 9.0], eta=3)
    assert not rung_verdict([[0.0, 0.0], [1.0, 1.0]], [9.0, 9.0], eta=3)


def test_one_in_eta_goes_on() -> None:
    others = [[float(i)] for i in range(1, 9)]
    assert [rung_verdict(others, [value], eta=3) for value in (0.5, 2.5, 3.5)] == [
        True,
        True,
        False,
    ]


def test_a_point_on_the_front_goes_before_a_dominated_one() -> None:
    others = [[0.0, 1.0], [1.0, 0.0], [3.0, 3.0], [4.0, 4.0], [5.0, 5.0]]
    assert rung_verdict(others, [0.5, 0.1], eta=2)
    assert not rung_verdict(others, [4.5, 4.5], eta=2)


def test_in_a_full_front_the_crowded_candidate_stops() -> None:
    front = [[0.0, 10.0], [5.0, 5.0], [10.0, 0.0]]
    assert not rung_verdict(front, [5.1, 4.9], eta=2)
    assert rung_verdict(front, [-1.0, 11.0], eta=2)


def test_a_candidate_without_a_number_stops() -> None:
    assert not rung_verdict([[1.0], [2.0], [3.0]], [math.nan], eta=2)


def test_results_without_a_number_are_behind_but_count() -> None:
    others = [[math.nan, 0.0], [0.0, math.nan], [1.0, 1.0]]
    assert rung_verdict(others, [2.0, 2.0], eta=2)
    assert not rung_verdict(others, [2.0, 2.0], eta=4)


@given(points, st.integers(2, 5))
def test_among_distinct_results_at_most_one_in_eta_would_go_on(
    values: list[list[float]], eta: int
) -> None:
    distinct = [list(value) for value in sorted({tuple(value) for value in values})]
    if len(distinct) < eta:
        return
    verdicts = [
        rung_verdict(distinct[:i] + distinct[i + 1 :], distinct[i], eta)
        for i in range(len(distinct))
    ]
    # Each candidate comes last among equals in rank and distance, so there are never more.
    assert sum(verdicts) <= len(distinct) // eta


@pytest.mark.parametrize("eta", [1.0, 0.5, math.nan])
def test_eta_must_be_above_one(eta: float) -> None:
    with pytest.raises(UsageError, match="eta must be above 1"):
        rung_verdict([], [1.0], eta)


def test_different_numbers_of_objectives_are_refused() -> None:
    with pytest.raises(UsageError, match="holds 2 objectives, the candidate has 1"):
        rung_verdict([[1.0, 2.0]], [1.0], eta=2)
