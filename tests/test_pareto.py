"""Pareto order agrees with its definition; a study's hypervolume never falls."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasplat.pareto import Frame, crowding, front, order, ranks, study_frame

POINTS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from([0, 0, 1, 3])),
    min_size=1,
    max_size=20,
)


def dominates(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """Constraint domination, by its definition."""
    if one[2] != other[2]:
        return one[2] < other[2]
    if one[2] > 0:
        return False
    better = one[0] <= other[0] and one[1] <= other[1]
    return better and one[:2] != other[:2]


@given(POINTS)
def test_ranks_peel_fronts_off_by_constraint_domination(points: list[tuple[int, int, int]]) -> None:
    met = ranks([point[:2] for point in points], [point[2] for point in points])
    left, level = set(range(len(points))), 0
    while left:
        peeled = {a for a in left if not any(dominates(points[b], points[a]) for b in left)}
        assert {index for index in range(len(points)) if met[index] == level} == peeled
        left, level = left - peeled, level + 1


@given(POINTS)
def test_the_front_is_feasible_undominated_and_without_repeats(
    points: list[tuple[int, int, int]],
) -> None:
    kept = front([point[:2] for point in points], [point[2] for point in points])
    feasible = {point for point in points if point[2] == 0}
    expected = {a for a in feasible if not any(dominates(b, a) for b in feasible)}
    assert {points[index] for index in kept} == expected
    assert len(kept) == len(expected)


def test_crowding_is_the_side_of_the_box_around_a_point() -> None:
    values = [(0.0, 10.0), (1.0, 4.0), (4.0, 2.0), (10.0, 0.0)]
    assert crowding(values, [0, 0, 0, 0]).tolist() == pytest.approx(
        [np.inf, 4 / 10 + 8 / 10, 9 / 10 + 4 / 10, np.inf]
    )


def test_of_equal_points_only_the_first_stands_apart() -> None:
    values = [(0.0, 4.0), (1.0, 3.0), (1.0, 3.0), (3.0, 1.0), (4.0, 0.0), (4.0, 0.0)]
    assert crowding(values, [0] * 6).tolist() == pytest.approx([np.inf, 1.5, 0.0, 1.5, np.inf, 0.0])


def test_order_goes_by_rank_then_by_crowding() -> None:
    values = [(5, 5), (0, 10), (1, 4), (4, 2), (10, 0), (0, 0)]
    assert order(values, [0, 0, 0, 0, 0, 1]).tolist() == [1, 4, 3, 2, 0, 5]


def test_nothing_has_no_front() -> None:
    assert len(ranks([])) == len(front([])) == len(order([])) == 0
    assert len(front([(1.0, 2.0)], [0.5])) == 0


def test_hypervolume_is_the_part_of_the_box_that_is_dominated() -> None:
    frame = Frame(best=(0.0, 0.0), worst=(10.0, 2.0))
    assert frame.hypervolume([(5.0, 1.0)]) == pytest.approx(0.25)
    assert frame.hypervolume([(5.0, 1.0), (0.0, 2.0)]) == pytest.approx(0.25)
    assert frame.hypervolume([(-3.0, 0.0)]) == pytest.approx(1.0)
    assert frame.hypervolume([(20.0, 0.0)]) == 0.0
    assert frame.hypervolume([]) == 0.0


def test_a_frame_takes_known_bounds_and_else_the_first_results() -> None:
    results = [(-0.5, 3.0), (-0.9, 7.0), (-0.99, 100.0)]
    assert study_frame(results, best=(-1.0, 0.0), first=2) == Frame((-1.0, 0.0), (-0.5, 7.0))
    assert study_frame(results, best=(-1.0, None), first=2) == Frame((-1.0, -1.0), (-0.5, 7.0))
    assert study_frame([], best=(-1.0, 0.0)) is None
    assert study_frame([], best=(-1.0, 0.0), worst=(0.0, 9.0)) == Frame((-1.0, 0.0), (0.0, 9.0))


UNIT = st.floats(0, 1, allow_subnormal=False)  # measuring and training flush them to zero


@given(st.lists(st.tuples(UNIT, UNIT.map(lambda value: 50 * value)), min_size=11, max_size=40))
def test_hypervolume_never_falls_once_the_frame_stands(results: list[tuple[float, float]]) -> None:
    met = []
    for count in range(10, len(results) + 1):
        frame = study_frame(results[:count], best=(0.0, 0.0))
        assert frame is not None
        met.append(frame.hypervolume(results[:count]))
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(met))
