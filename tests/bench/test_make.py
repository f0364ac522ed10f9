"""Making a table trains each architecture once, and goes on where it stopped."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasplat.bench import make
from nasplat.bench.load import load_table
from nasplat.bench.make import Plan, make_table, toml_text
from nasplat.bench.table import SECONDS
from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.train import TrainEvaluator

SPACE = """
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.resample import Identity, Pool
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice
from nasplat.space.space import Space


def space(task):
    first, second = (Choose(skip=Identity(), pool=Pool()) for _ in range(2))
    head = ClassifierHead(classes=10)
    body = Conv(channels=2, kernel=Choice(1, 3), stride=4) >> first >> second >> head
    return Space(body, task.inputs, task.outputs, name="little", recipe={"batch_size": 512})
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    file = tmp_path / "source" / "little.py"
    file.parent.mkdir()
    file.write_text(SPACE, encoding="utf-8")
    return Plan(space=str(file), epochs=(1, 2), title="Little")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests of what the evaluator was given, in order."""
    met: list[str] = []
    evaluate = TrainEvaluator.evaluate

    def noted(self: TrainEvaluator, job: object, context: object) -> object:
        met.append(job.digest)  # type: ignore[attr-defined]  # a Job
        return evaluate(self, job, context)  # type: ignore[arg-type]  # handed on

    monkeypatch.setattr(TrainEvaluator, "evaluate", noted)
    return met


def test_every_architecture_is_trained_once_and_read_back(
    plan: Plan, tmp_path: Path, trained: list[str]
) -> None:
    told: list[tuple[int, int]] = []
    out = make_table(plan, tmp_path / "out" / "a-b.csv", told=lambda *one: told.append(one))
    assert len(trained) == len(set(trained)) == 6  # of 8 genotypes
    assert told[-1] == (len(trained), len(trained))
    assert (out.parent / "a_b_space.py").read_text(encoding="utf-8") == SPACE
    table = load_table(out)
    assert table.title == "Little"
    assert len(table) == len(trained)
    assert table.complete and table.continues and table.missing() == []
    assert table.fidelities == [1, 2]
    assert table.objectives == ("accuracy",)
    assert (table.results[2][SECONDS] > table.results[1][SECONDS]).all()
    for row, genotype in enumerate(table.genotypes):
        assert table.results[1]["params"][row] == table.space.build(genotype).cost.params


def test_what_was_interrupted_goes_on(plan: Plan, tmp_path: Path, trained: list[str]) -> None:
    out = make_table(plan, tmp_path / "t.csv")
    whole, count = load_table(out), len(trained)
    lines = out.read_text(encoding="utf-8").splitlines(keepends=True)
    # Two whole architectures, half of the third, and a line that was cut short.
    out.write_text("".join(lines[:6]) + lines[6][:9], encoding="utf-8")
    make_table(plan, out)
    assert len(trained) == 2 * count - 2
    again = load_table(out)
    assert list(again.genotypes) == list(whole.genotypes)
    for epochs in (1, 2):
        for name in ("accuracy", "loss"):
            np.testing.assert_array_equal(again.results[epochs][name], whole.results[epochs][name])
    make_table(plan, out)
    assert len(trained) == 2 * count - 2


def test_random_networks_of_any_space_are_a_sample(
    plan: Plan, tmp_path: Path, trained: list[str]
) -> None:
    out = make_table(replace(plan, count=2, repeats=2, epochs=(1,)), tmp_path / "t.csv")
    assert len(trained) == 4 and len(set(trained)) == 2
    assert not load_table(out).complete


def test_a_training_that_diverges_leaves_its_cells_empty(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = TrainEvaluator.evaluate
    count = 0

    def broken(self: TrainEvaluator, job: object, context: object) -> object:
        nonlocal count
        count += 1
        for report in evaluate(self, job, context):  # type: ignore[arg-type]  # handed on
            if report.fidelity == 2 and count == 3:
                raise TrialFailure(Failure.DIVERGED, "the loss is nan")
            yield report

    monkeypatch.setattr(TrainEvaluator, "evaluate", broken)
    table = load_table(make_table(plan, tmp_path / "t.csv"))
    assert np.flatnonzero(np.isnan(table.results[2]["accuracy"])).tolist() == [2]
    assert np.isfinite(table.results[1]["accuracy"]).all()
    assert np.isfinite(table.results[2]["params"]).all()


def test_other_failures_are_not_taken_for_results(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: TrainEvaluator, job: object, context: object) -> object:
        raise TrialFailure(Failure.OOM, "out of memory")

    monkeypatch.setattr(TrainEvaluator, "evaluate", broken)
    with pytest.raises(TrialFailure, match="out of memory"):
        make_table(plan, tmp_path / "t.csv")


def test_wrong_plans_are_refused(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str]
) -> None:
    with pytest.raises(UsageError, match=r"written as \.csv"):
        make_table(plan, tmp_path / "t.parquet")
    with pytest.raises(UsageError, match="at least one network"):
        make_table(replace(plan, repeats=0), tmp_path / "t.csv")
    with pytest.raises(UsageError, match="gave 6 different networks, 9 asked for"):
        make_table(replace(plan, count=9), tmp_path / "t.csv")
    monkeypatch.setattr(make, "MOST", 5)
    with pytest.raises(UsageError, match="at most 5 are trained whole"):
        make_table(plan, tmp_path / "t.csv")
    assert trained == []
    out = make_table(replace(plan, count=1, epochs=(1,)), tmp_path / "t.csv")
    with pytest.raises(UsageError, match="made with other settings"):
        make_table(replace(plan, count=2, epochs=(1,)), out)


def test_toml_is_read_back_as_it_was_written() -> None:
    values = {"a": 'x "y" ü\n', "b": [1, 2], "c": True, "d": {"e f": ["Image", 1], "g": 0.5}}
    assert tomllib.loads(toml_text(values)) == values
