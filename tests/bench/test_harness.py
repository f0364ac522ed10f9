"""Searches on a table: what is counted, what is told, who goes on to the next fidelity."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from nasplat.bench.harness import run
from nasplat.bench.measures import Problem, running, to_optimum
from nasplat.bench.peers import PEERS
from nasplat.bench.searchers import known_searchers
from nasplat.bench.speed import round_seconds
from nasplat.bench.trace import Trace
from nasplat.errors import UsageError
from tests.bench.small import small_table, tiny_table

PROMOTING = """
from nasplat.search.strategies.random import Random

class All(Random):
    def promote(self, paused, count):
        assert self.fidelities == (3, 9)
        return list(paused) + [999]

class Last(Random):
    def promote(self, paused, count):
        return paused[-1:] if len(paused) >= 8 else []
"""


@pytest.fixture
def promoting(tmp_path: Path) -> str:
    file = tmp_path / "promoting.py"
    file.write_text(PROMOTING, encoding="utf-8")
    return str(file)


def test_every_proposal_is_an_evaluation_looked_up_in_the_table() -> None:
    table = small_table()
    trace = run(table, "random", evaluations=12, seed=3, objectives=["score", "macs"])
    assert trace.cost == list(range(1, 13))
    assert len(set(trace.rows)) == 12
    for row, (score, _) in zip(trace.rows, trace.values, strict=True):
        assert score == -table.results[9]["score"][row]
    assert trace.asked == [(0, 5), (5, 5), (10, 2)]
    assert len(trace.seconds) == 3
    assert trace.seconds_per_proposal > 0


def test_one_seed_gives_one_search_and_another_another() -> None:
    rows = [run(small_table(), "evolution", evaluations=20, seed=seed).rows for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]


def test_options_and_batches_reach_the_strategy() -> None:
    trace = run(
        small_table(), "evolution", evaluations=9, seed=0, batch=3, options={"population": 4}
    )
    assert trace.label == "evolution (population=4)"
    assert [count for _, count in trace.asked] == [3, 3, 3]


def test_a_whole_table_is_searched_to_its_optimum() -> None:
    table = tiny_table()
    trace = run(table, "random", evaluations=6, seed=0, batch=6)
    values, cost = trace.complete
    assert sorted(trace.rows) == list(range(6))
    assert to_optimum(Problem.of(table), values, cost) <= 6


@pytest.mark.parametrize(
    ("strategy", "fidelities"),
    [("random", None), ("local-search", None), ("guided", None), ("guided", [3, 9])],
)
def test_a_search_of_one_objective_ends_with_the_optimum(
    strategy: str, fidelities: list[int] | None
) -> None:
    table = small_table()
    best = int(table.results[9]["score"].argmax())
    trace = run(table, strategy, evaluations=48, seed=0, batch=2, fidelities=fidelities)
    met = [row for row, at in zip(trace.rows, trace.levels, strict=True) if at == 9]
    assert met.index(best) >= len(met) - 2  # the batch that holds it is the last
    assert trace.cost[-1] < 48
    values, _ = trace.complete
    assert running(Problem.of(table, None, fidelities), values)[-1] == 0.0


def test_a_part_of_a_space_is_searched_among_its_rows() -> None:
    table = small_table(listed=20)
    for name in ("guided", "optuna-tpe", "local-search"):
        trace = run(table, name, evaluations=15, seed=0)
        assert max(trace.rows) < 20


def test_several_objectives_are_all_told() -> None:
    trace = run(small_table(), "nsga2", evaluations=10, seed=0, objectives=["score", "macs"])
    assert all(len(values) == 2 and values[1] > 0 > values[0] for values in trace.values)


def test_failures_are_evaluations_without_values() -> None:
    table = small_table(failed=range(0, 48, 2))
    trace = run(table, "guided", evaluations=30, seed=0)
    bad = [math.isnan(values[0]) for values in trace.values]
    assert bad == [row % 2 == 0 for row in trace.rows]
    assert 0 < sum(bad) < 30
    back = Trace.from_json(json.loads(json.dumps(trace.to_json())))
    assert str(back.values) == str(trace.values)


def test_a_trace_comes_back_from_json() -> None:
    trace = run(small_table(), "random", evaluations=5, seed=0, objectives=["score", "macs"])
    assert Trace.from_json(json.loads(json.dumps(trace.to_json()))) == trace


@pytest.mark.parametrize("continues", [False, True])
def test_fidelities_are_paid_in_trainings_at_the_last(promoting: str, continues: bool) -> None:
    table = small_table(continues=continues)
    trace = run(table, f"{promoting}:All", evaluations=10, seed=0, fidelities=[3, 9])
    # Whoever was seen at 3 goes on to 9: a third, then the whole or what is left of it.
    price = {3: 1 / 3, 9: 2 / 3 if continues else 1.0}
    assert np.diff([0.0, *trace.cost]) == pytest.approx([price[level] for level in trace.levels])
    assert trace.cost[-2] < 10 + 5
    low = [row for row, level in zip(trace.rows, trace.levels, strict=True) if level == 3]
    high = [row for row, level in zip(trace.rows, trace.levels, strict=True) if level == 9]
    assert high == low[: len(high)]
    values, cost = trace.complete
    assert len(values) == len(cost) == len(high)
    assert values[:, 0] == pytest.approx(-table.results[9]["score"][high])


def test_a_strategy_may_wait_before_it_lets_a_trial_go_on(promoting: str) -> None:
    trace = run(small_table(), f"{promoting}:Last", evaluations=8, seed=0, fidelities=[3, 9])
    assert trace.levels[:10] == [3] * 10
    assert 9 in trace.levels


def test_successive_halving_decides_where_a_strategy_does_not() -> None:
    table = small_table()
    trace = run(table, "random", evaluations=12, seed=0, fidelities=[3, 9])
    low = [row for row, level in zip(trace.rows, trace.levels, strict=True) if level == 3]
    high = [row for row, level in zip(trace.rows, trace.levels, strict=True) if level == 9]
    assert 0 < len(high) < len(low) / 2
    early = table.results[3]["score"]
    assert np.median(early[high]) > np.median(early[low])


def test_a_search_at_rungs_ends_with_its_space() -> None:
    trace = run(tiny_table_of_rungs(), "random", evaluations=6, seed=0, fidelities=[1, 2])
    assert sorted(row for row, level in zip(trace.rows, trace.levels, strict=True) if level == 1)
    assert trace.cost[-1] < 6 + 5


def tiny_table_of_rungs() -> object:
    table = tiny_table()
    table.results[2] = {"loss": table.results[1]["loss"] + 1}  # type: ignore[index]  # a dict
    return table


@pytest.mark.parametrize("name", ["evolution", "guided", "local", "nsga2"])
def test_strategies_search_at_rungs(name: str) -> None:
    trace = run(small_table(), name, evaluations=10, seed=0, fidelities=[3, 9])
    assert {3, 9} == set(trace.levels)
    assert trace.cost == sorted(trace.cost)


def reached(name: str, seeds: Sequence[int]) -> float:
    table = small_table()
    known = Problem.of(table)
    met = [running(known, run(table, name, evaluations=20, seed=s).complete[0])[-1] for s in seeds]
    return float(np.mean(met))


def test_guided_is_ahead_of_chance() -> None:
    assert reached("guided", range(3)) < reached("random", range(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "gided"}, "unknown strategy 'gided'; known: guided"),
        ({"strategy": "optuna-tpee"}, "known: optuna-tpe"),
        ({"evaluations": 0}, "evaluations must be at least 1, got 0"),
        ({"evaluations": 49}, "small has 48 architectures, fewer than the 49"),
        ({"batch": 0}, "a batch holds at least 1"),
        ({"options": {"populaton": 4}}, "has no option 'populaton'; it has"),
        ({"strategy": "local-search", "options": {"x": 1}}, "no option 'x'; it has: first"),
        ({"strategy": "optuna-tpe", "fidelities": [3, 9]}, "complete trials only"),
    ],
)
def test_a_search_that_cannot_be_run_is_refused(arguments: dict[str, object], message: str) -> None:
    given = {"strategy": "evolution", "evaluations": 5, "seed": 0, **arguments}
    with pytest.raises(UsageError, match=message):
        run(small_table(), **given)  # type: ignore[arg-type]  # of the cases above


def test_peers_and_strategies_are_known_by_name() -> None:
    assert {*PEERS, "guided", "random"} <= set(known_searchers())


@pytest.mark.parametrize("name", ["random", "optuna-tpe"])
def test_a_question_is_timed_after_results_are_known(name: str) -> None:
    first, second = round_seconds(small_table(), name, 20)
    assert first > 0 and second > 0
    with pytest.raises(UsageError, match="fewer than the 58"):
        round_seconds(small_table(), name, 48)
