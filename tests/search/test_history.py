"""Rules of a study's history: the front as results come in, the hypervolume in a frame that stands."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasplat.search.history import History
from nasplat.search.objectives import Constraint, Objective

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))
POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=25)


def history(points: list[tuple[int, int]], *constraints: Constraint) -> History:
    made = History(OBJECTIVES, constraints)
    for number, (accuracy, latency) in enumerate(points):
        made.complete(number, {"accuracy": accuracy / 5, "latency_ms": float(latency)})
    return made


@given(points=POINTS)
def test_the_front_holds_what_nothing_covers_and_of_equals_the_first(
    points: list[tuple[int, int]],
) -> None:
    def beaten(number: int) -> bool:
        a, b = points[number]
        return any(
            (c >= a and d <= b) and ((c, d) != (a, b) or other < number)
            for other, (c, d) in enumerate(points)
        )

    expected = {number for number in range(len(points)) if not beaten(number)}
    front = history(points).front
    assert set(front) == expected
    assert [-points[number][0] for number in front] == sorted(-points[n][0] for n in front)


def test_what_breaks_a_constraint_is_never_on_the_front() -> None:
    made = history([(5, 5), (1, 1)], Constraint("latency_ms", "<=", 2.0))
    assert made.front == [1]


@given(points=POINTS)
def test_the_hypervolume_never_falls_once_its_frame_stands(points: list[tuple[int, int]]) -> None:
    volumes = [history(points[: count + 1]).hypervolume for count in range(10, len(points))]
    assert volumes == sorted(volumes)  # type: ignore[type-var]  # none is None: there are results
    assert all(0 <= volume <= 1 for volume in volumes if volume is not None)


def test_there_is_no_hypervolume_before_a_result() -> None:
    assert history([]).hypervolume is None


def test_a_result_without_an_objective_counts_for_nothing() -> None:
    made = History(OBJECTIVES, ())
    made.complete(0, {"accuracy": 1.0})
    assert made.front == [] and made.hypervolume is None


def test_the_error_of_a_share_is_that_of_as_many_draws() -> None:
    made = History((Objective("accuracy", "max"), Objective("loss", "min")), (), examples=100)
    error, none = made.errors({"accuracy": 0.5, "loss": 0.4})
    assert error == pytest.approx(0.05)
    assert none == 0.0  # nothing is known of it
    perfect, _ = made.errors({"accuracy": 1.0, "loss": 0.0})
    assert 0.005 < perfect < error


@pytest.mark.parametrize("metrics", [{}, {"accuracy": math.nan}], ids=["missing", "not a number"])
def test_what_is_not_known_has_no_error(metrics: dict[str, float]) -> None:
    assert History(OBJECTIVES, (), examples=100).errors(metrics) == (0.0, 0.0)
    assert History(OBJECTIVES, ()).errors({"accuracy": 0.5}) == (0.0, 0.0)
