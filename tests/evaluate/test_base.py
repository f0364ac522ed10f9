"""Jobs and reports as plain data; contexts; evaluators made from specs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.base import KINDS, Context, Evaluator, Job, Report, evaluator_from_spec

JOB: dict[str, Any] = {
    "trial": 3,
    "digest": "g1:0",
    "graph": {"inputs": {}},
    "task": {"kind": "digits"},
    "fidelities": [1, 3, 9],
    "seed": 7,
}


def test_a_job_goes_to_json_and_back() -> None:
    job = Job(**{**JOB, "recipe": MappingProxyType({"lr": 0.1}), "op_files": ("a.py",)})
    data = json.loads(json.dumps(job.to_json()))
    assert Job.from_json(data) == Job(**{**JOB, "recipe": {"lr": 0.1}, "op_files": ("a.py",)})


def test_a_report_goes_to_json_and_back() -> None:
    report = Report(
        fidelity=3,
        metrics={"accuracy": 0.5},
        seconds=1.5,
        checkpoint="here",
        final=True,
        curve=({"epoch": 1.0, "loss": 2.0},),
        measurements={"latency_ms": {"value_ms": 0.3}},
    )
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_surplus_and_missing_fields_are_named() -> None:
    with pytest.raises(UsageError, match="a Job has no field colour, size; its fields are checkp"):
        Job.from_json({**JOB, "size": 1, "colour": 2})
    with pytest.raises(UsageError, match=r"a Job cannot be read: .*'seed'"):
        Job.from_json({key: value for key, value in JOB.items() if key != "seed"})


@pytest.mark.parametrize("rungs", [(), (0, 1), (3, 3), (3, 1)])
def test_rungs_must_rise_from_one(rungs: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="rising whole numbers"):
        Job(**{**JOB, "fidelities": rungs})


def test_heartbeats_are_passed_on_but_not_too_often(tmp_path: Path) -> None:
    beats: list[int] = []
    context = Context(tmp_path, beat=lambda: beats.append(1), interval=3600.0)
    for _ in range(5):
        context.heartbeat()
    assert len(beats) == 1


def test_a_heartbeat_after_the_deadline_is_a_timeout(tmp_path: Path) -> None:
    Context(tmp_path, deadline=time.monotonic() + 60).heartbeat()
    with pytest.raises(TrialFailure, match="deadline passed") as met:
        Context(tmp_path, deadline=time.monotonic() - 1).heartbeat()
    assert met.value.failure is Failure.TIMEOUT


@pytest.mark.parametrize(
    ("kind", "options"), [("train", {"threads": 2}), ("tabular", {"table": {}}), ("proxies", {})]
)
def test_known_kinds_are_made(kind: str, options: dict[str, Any]) -> None:
    made = evaluator_from_spec({"kind": kind, **options})
    assert isinstance(made, Evaluator)
    assert made.kind == kind
    assert set(KINDS) == {"train", "tabular", "proxies"}


def test_own_evaluators_are_found_by_module_and_class() -> None:
    made = evaluator_from_spec({"kind": "nasplat.testing.scripted:ScriptedEvaluator"})
    assert type(made).__name__ == "ScriptedEvaluator"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "needs a 'kind'"),
        ({"kind": "tran"}, "unknown evaluator 'tran'; known: train, "),
        ({"kind": "train", "speed": 3}, "cannot be made from .*speed"),
        ({"kind": "no.such.module:Thing"}, "cannot be made"),
        ({"kind": "nasplat.evaluate.train:Nothing"}, "cannot be made"),
    ],
)
def test_specs_that_cannot_be_used_say_why(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluator_from_spec(spec)
