"""What a search was worth, on values small enough to work out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from nasplat.bench.measures import (
    Problem,
    at,
    bootstrap,
    nothing,
    quantile,
    running,
    to_optimum,
)
from nasplat.errors import UsageError
from tests.bench.small import small_table, tiny_table


def problem(objectives: int = 1) -> Problem:
    """Values from 0 to 10 in each objective."""
    return Problem(
        table="made",
        title="",
        reference="",
        objectives=("a", "b")[:objectives],
        directions=("min", "min")[:objectives],
        fidelities=(1,),
        size=9,
        best=(0.0,) * objectives,
        worst=(10.0,) * objectives,
        front=((0.0,),) if objectives == 1 else ((0.0, 5.0), (5.0, 0.0)),
    )


def test_regret_is_the_best_so_far_less_the_optimum() -> None:
    values = np.array([[7.0], [9.0], [3.0], [4.0], [0.0]])
    assert running(problem(), values).tolist() == [7, 7, 3, 3, 0]


def test_a_failure_leaves_what_was_reached_and_counts_from_the_whole_span() -> None:
    values = np.array([[np.nan], [7.0], [np.nan]])
    assert running(problem(), values).tolist() == [10, 7, 7]
    two = np.array([[np.nan, np.nan], [0.0, 5.0]])
    assert running(problem(2), two).tolist() == [0.0, pytest.approx(2 / 3)]


def test_the_share_of_the_hypervolume_is_that_of_the_true_front() -> None:
    # The true front dominates 50 + 50 - 25 = 75 of 100; one of its two points 50.
    values = np.array([[10.0, 10.0], [5.0, 0.0], [6.0, 1.0], [0.0, 5.0]])
    assert running(problem(2), values).tolist() == pytest.approx([0, 50 / 75, 50 / 75, 1])


def test_the_optimum_is_counted_by_what_was_spent_until_it_was_met() -> None:
    values = np.array([[7.0], [0.0], [0.0]])
    assert to_optimum(problem(), values, np.array([1.0, 2.0, 3.0])) == 2
    assert to_optimum(problem(), values, np.array([0.5, 1.5, 2.5])) == 1.5
    assert to_optimum(problem(), values[:1], np.array([1.0])) == math.inf


def test_what_was_reached_at_a_cost_is_what_was_finished_by_then() -> None:
    reached, cost = np.array([5.0, 3.0]), np.array([1.0, 2.5])
    assert [at(mark, reached, cost, 10.0) for mark in (0.5, 1, 2, 2.5, 9)] == [10, 5, 5, 3, 3]
    assert nothing(problem()) == 10
    assert nothing(problem(2)) == 0


def test_quantiles_know_runs_that_never_met_the_optimum() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile([1, 2], 0.5) == 1.5
    assert quantile([1, 2, math.inf], 0.5) == 2
    assert quantile([1, math.inf], 0.5) == math.inf
    assert quantile([math.inf] * 3, 0.5) == math.inf


def test_the_bounds_of_a_mean_hold_it_and_close_where_runs_agree() -> None:
    table = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0], [7.0, 2.0]])
    low, high = bootstrap(table)
    assert low[0] < 4 < high[0]
    assert low[1] == high[1] == 2


def test_a_problem_knows_the_table_it_is_of() -> None:
    single = Problem.of(small_table())
    assert single.single
    assert single.size == 48
    assert single.front == ((single.best[0],),)
    both = Problem.of(small_table(), ["score", "macs"])
    assert both.directions == ("max", "min")
    assert len(both.front) > 2
    assert both.best[0] == single.best[0]
    assert "score, macs" in both.name
    assert Problem.of(small_table(), fidelities=[9, 3]).fidelities == (3, 9)


def test_a_problem_comes_back_from_json() -> None:
    known = Problem.of(small_table(), ["score", "macs"], [3, 9])
    assert Problem.from_json(json.loads(json.dumps(known.to_json()))) == known
    assert known != replace(known, size=1)


def test_failed_rows_are_no_optimum() -> None:
    whole = Problem.of(small_table())
    table = small_table()
    best = int(np.nanargmax(table.results[9]["score"]))
    assert Problem.of(small_table(failed=[best])).best[0] > whole.best[0]


def test_a_table_that_poses_no_problem_is_refused() -> None:
    with pytest.raises(UsageError, match="score of small has no results"):
        Problem.of(small_table(failed=range(48)))
    with pytest.raises(UsageError, match="score of small is 1 wherever"):
        Problem.of(small_table(constant=True))
    with pytest.raises(UsageError, match="unknown metric of small 'skore'; known: score"):
        Problem.of(small_table(), ["skore"])
    with pytest.raises(UsageError, match="unknown fidelity '12'"):
        Problem.of(small_table(), fidelities=[12, 9])
    with pytest.raises(UsageError, match="named twice"):
        Problem.of(small_table(), ["score", "score"])
    assert Problem.of(tiny_table()).best == (0.0,)
