"""Look-up instead of training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.base import Context, Evaluator, Job
from nasplat.evaluate.tabular import TabularEvaluator
from nasplat.testing.evaluator import EvaluatorConformance, run

TABLE = {
    "g1:a": {
        "12": {"accuracy": 0.8, "loss": 0.9, "seconds": 30.0},
        "200": {"accuracy": 0.9, "loss": 0.4, "seconds": 500.0},
    },
    "g1:b": {"12": {"accuracy": 0.7}},
}


def make_job(digest: str = "g1:a", rungs: tuple[int, ...] = (12, 200)) -> Job:
    return Job(trial=1, digest=digest, graph={}, task={}, fidelities=rungs, seed=0)


class TestTabular(EvaluatorConformance):
    checkpoints = False

    @pytest.fixture
    def evaluator(self) -> Evaluator:
        return TabularEvaluator(table=TABLE)

    @pytest.fixture
    def job(self) -> Job:
        return make_job()


class TestTabularFile(TestTabular):
    @pytest.fixture
    def evaluator(self, tmp_path: Path) -> Evaluator:
        (tmp_path / "table.json").write_text(json.dumps(TABLE))
        return TabularEvaluator(path=str(tmp_path / "table.json"))


def test_metrics_and_the_cost_of_each_rung_come_from_the_table(tmp_path: Path) -> None:
    first, second = run(TabularEvaluator(table=TABLE), make_job(), tmp_path)
    assert first.metrics == {"accuracy": 0.8, "loss": 0.9}
    assert second.metrics == {"accuracy": 0.9, "loss": 0.4}
    assert (first.seconds, second.seconds) == (30.0, 470.0)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (make_job("g1:c"), "no row for g1:c"),
        (make_job("g1:b"), r"g1:b at \[12\] epochs, not at \[200\]"),
    ],
)
def test_what_is_not_in_the_table_is_invalid(tmp_path: Path, job: Job, message: str) -> None:
    with pytest.raises(TrialFailure, match=message) as met:
        list(TabularEvaluator(table=TABLE).evaluate(job, Context(tmp_path)))
    assert met.value.failure is Failure.INVALID


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either a path or a table"),
        ({"path": "x", "table": {}}, "either a path or a table"),
        ({"path": "/nowhere.json"}, "cannot be read: .*No such file"),
        ({"table": {"g1:a": {"x": {}}, "g1:b": 3, "g1:c": {"1": {}}}}, "2 rows .*: g1:a, g1:b"),
    ],
)
def test_malformed_tables_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TabularEvaluator(**options)


def test_a_thousand_look_ups_take_less_than_a_second(tmp_path: Path) -> None:
    import time

    evaluator, job = TabularEvaluator(table=TABLE), make_job()
    begun = time.process_time()
    for _ in range(1000):
        list(evaluator.evaluate(job, Context(tmp_path)))
    assert time.process_time() - begun < 1.0
