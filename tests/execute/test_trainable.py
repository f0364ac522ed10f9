"""The trainable is Tune's: reset between trials, saved and restored, its results plain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nasplat.evaluate.base import Report
from nasplat.execute.trainable import FAILURE, JOB, REPORT, SETTINGS, Settings, Trainable
from nasplat.testing.driver import make_job
from nasplat.testing.scripted import SPEC


@pytest.fixture
def config(tmp_path: Path) -> Any:
    settings = Settings(evaluator=SPEC, scratch=str(tmp_path / "scratch"), request={"CPU": 0.5})

    def config(trial: int, **recipe: Any) -> dict[str, Any]:
        job = json.dumps(make_job(trial, **recipe).to_json())
        return {JOB: job, SETTINGS: settings.to_json()}

    return config


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside Tune a trainable makes its folder in Ray's default storage."""
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path))


def train(trainable: Any) -> dict[str, Any]:
    """One step, as Tune takes it; Ray does not annotate its methods."""
    result: dict[str, Any] = trainable.train()
    return result


def test_each_step_is_one_report_and_the_final_one_is_done(config: Any) -> None:
    trainable: Any = Trainable(config(0))
    results = [train(trainable) for _ in range(3)]
    assert [(result["fidelity"], result["done"]) for result in results] == [
        (1, False),
        (3, False),
        (9, True),
    ]
    assert results[2]["accuracy"] == 0.5
    assert Report.from_json(json.loads(results[2][REPORT])).final


def test_a_failure_is_a_result_with_its_class(config: Any) -> None:
    result = train(Trainable(config(0, fail="diverged")))
    failure, message, seconds = json.loads(result[FAILURE])
    assert (failure, message) == ("diverged", "failed by the script")
    assert seconds >= 0
    assert result["done"]


def test_a_reset_takes_another_trial_in_the_same_process(config: Any) -> None:
    trainable: Any = Trainable(config(0))
    train(trainable)
    assert trainable.reset(config(1, accuracy=0.9))
    assert [train(trainable)["fidelity"] for _ in range(3)] == [1, 3, 9]


def test_what_was_saved_goes_on_in_another_trainable(config: Any, tmp_path: Path) -> None:
    first = Trainable(config(0))
    train(first)
    train(first)
    saved = first.save(str(tmp_path / "saved"))
    second = Trainable(config(5))
    second.restore(saved)
    result = train(second)
    assert (result["fidelity"], result["resumed_from"]) == (9, 3.0)


def test_resources_are_those_of_the_settings(config: Any) -> None:
    assert Trainable.default_resource_request(config(0)).required_resources == {"CPU": 0.5}
    assert Trainable.default_resource_request({}).required_resources == {"CPU": 1.0}
