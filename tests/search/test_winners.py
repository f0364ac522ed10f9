"""Rules of winners: how they are chosen, and that what is exported is what was trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nasplat.errors import ExportError, NotFoundError, UsageError
from nasplat.search.study import Study
from nasplat.search.winners import choose, export_winner
from nasplat.store.records import TrialState

Create = Callable[..., Study]


@pytest.fixture
def study(create: Create) -> Study:
    made = create(budget="25trials", epochs=2)
    made.run()
    return made


def test_the_best_by_a_metric_is_chosen_within_its_bounds(study: Study) -> None:
    (best,) = choose(study, best="accuracy")
    (quick,) = choose(study, best="accuracy where latency_ms<=0.5 and params<=20k")
    complete = [t for t in study.trials() if t.state is TrialState.COMPLETE]
    assert best.metrics["accuracy"] == max(t.metrics["accuracy"] for t in complete)
    kept = [t for t in complete if t.metrics["latency_ms"] <= 0.5 and t.costs["params"] <= 20e3]
    assert quick.metrics["accuracy"] == max(t.metrics["accuracy"] for t in kept)


def test_a_metric_to_be_minimised_is(study: Study) -> None:
    (smallest,) = choose(study, best="params")
    complete = [t for t in study.trials() if t.state is TrialState.COMPLETE]
    assert smallest.costs["params"] == min(t.costs["params"] for t in complete)


def test_of_equal_ones_the_other_objectives_decide(create: Create) -> None:
    study = create(budget="3trials", epochs=1)
    for latency in (3.0, 1.0, 2.0):
        study.tell(study.ask(), {"accuracy": 0.9, "latency_ms": latency})
    (best,) = choose(study, best="accuracy")
    assert best.metrics["latency_ms"] == 1.0


def test_the_whole_front_is_chosen_in_its_order(study: Study) -> None:
    assert [t.number for t in choose(study, pareto=True)] == [r["number"] for r in study.pareto()]


def test_a_digest_may_be_shortened(study: Study) -> None:
    trial = study.trials()[0]
    for text in (trial.digest, trial.digest[:11], trial.digest[3:11]):
        assert choose(study, arch=text)[0].digest == trial.digest


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        ({}, UsageError, "in one way, got none"),
        ({"best": "accuracy", "pareto": True}, UsageError, "got best and pareto"),
        ({"best": "acc"}, UsageError, "unknown metric 'acc'; known: "),
        ({"best": "accuracy where latency_ms<=1e-9"}, NotFoundError, "latency_ms goes from"),
        ({"best": "accuracy where fast"}, UsageError, "cannot be read"),
        ({"arch": "g1:zz"}, NotFoundError, "no complete trial"),
        ({"arch": "g1:"}, UsageError, "begins several digests"),
    ],
)
def test_a_choice_that_means_nothing_is_refused(
    study: Study, choice: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        choose(study, **choice)  # type: ignore[arg-type]  # wrong on purpose


def test_a_winner_is_trained_exported_and_verified(study: Study, tmp_path: Path) -> None:
    (trial,) = choose(study, best="params")
    out = tmp_path / "winner"
    winner = export_winner(study, trial, out, seeds=2, epochs=1)
    assert winner.verified and winner.difference < 1e-4
    assert 0 < winner.test["accuracy"] <= 1
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["digest"] == trial.digest
    assert manifest["training"]["seeds"] == 2
    assert manifest["training"]["over_seeds"]["accuracy"]["standard_error"] is not None
    assert manifest["evaluation"]["examples"] == study.task.sizes["test"]
    (artifact,) = study.store.artifacts(study=study.name, kind="export")
    assert artifact.path == str(out.resolve())
    with pytest.raises(ExportError, match="exists"):
        export_winner(study, trial, out, epochs=1)


def test_a_study_without_complete_trials_has_no_winner(create: Create) -> None:
    with pytest.raises(NotFoundError, match="no complete trial to export"):
        choose(create(), pareto=True)
