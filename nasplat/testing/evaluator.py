"""The conformance suite of evaluators: inherit it, supply ``evaluator`` and ``job``.

    class TestMine(EvaluatorConformance):
        @pytest.fixture
        def evaluator(self) -> Evaluator:
            return MyEvaluator()

        @pytest.fixture
        def job(self) -> Job:
            return ...  # at least two rungs

An evaluator that writes no checkpoints sets ``checkpoints = False``; one that reports once, at the last
rung, sets ``every_rung = False``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import ClassVar

import pytest

from nasplat.errors import Failure, TrialFailure
from nasplat.evaluate.base import Context, Evaluator, Job, Report, evaluator_from_spec


def run(evaluator: Evaluator, job: Job, scratch: Path) -> list[Report]:
    """All reports of a job."""
    return list(evaluator.evaluate(job, Context(scratch)))


class EvaluatorConformance:
    """The rules of :class:`nasplat.evaluate.base.Evaluator`."""

    checkpoints: ClassVar[bool] = True
    every_rung: ClassVar[bool] = True

    def test_it_keeps_to_the_protocol(self, evaluator: Evaluator) -> None:
        assert isinstance(evaluator, Evaluator)

    def test_spec_is_json_and_makes_the_same_evaluator(self, evaluator: Evaluator) -> None:
        spec = json.loads(json.dumps(evaluator.spec))
        again = evaluator_from_spec(spec)
        assert type(again) is type(evaluator)
        assert again.spec == evaluator.spec

    def test_every_rung_is_reported_and_the_last_is_final(
        self, evaluator: Evaluator, job: Job, tmp_path: Path
    ) -> None:
        reports = [r for r in run(evaluator, job, tmp_path) if r.fidelity > 0]
        rungs = job.fidelities if self.every_rung else job.fidelities[-1:]
        assert [report.fidelity for report in reports] == list(rungs)
        assert [report.final for report in reports] == [rung == rungs[-1] for rung in rungs]

    def test_reports_are_plain_data_with_finite_numbers(
        self, evaluator: Evaluator, job: Job, tmp_path: Path
    ) -> None:
        for report in run(evaluator, job, tmp_path):
            assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report
            assert report.metrics
            assert all(math.isfinite(value) for value in report.metrics.values())
            assert report.seconds >= 0
            assert (report.checkpoint is not None) <= self.checkpoints

    def test_a_job_that_went_through_json_gives_equal_metrics(
        self, evaluator: Evaluator, job: Job, tmp_path: Path
    ) -> None:
        travelled = Job.from_json(json.loads(json.dumps(job.to_json())))
        first = run(evaluator, job, tmp_path / "a")
        second = run(evaluator_from_spec(evaluator.spec), travelled, tmp_path / "b")
        assert [r.metrics for r in first] == [r.metrics for r in second]

    def test_closing_it_between_rungs_ends_it_quietly(
        self, evaluator: Evaluator, job: Job, tmp_path: Path
    ) -> None:
        running = evaluator.evaluate(job, Context(tmp_path))
        next(running)
        running.close()
        assert list(running) == []

    def test_it_goes_on_from_a_checkpoint_as_if_never_stopped(
        self, evaluator: Evaluator, job: Job, tmp_path: Path
    ) -> None:
        whole = [r for r in run(evaluator, job, tmp_path / "whole") if r.fidelity > 0]
        if not self.checkpoints:
            assert all(report.checkpoint is None for report in whole)
            return
        running = evaluator.evaluate(job, Context(tmp_path / "parts"))
        first = next(report for report in running if report.fidelity > 0)
        running.close()
        assert first.checkpoint is not None
        rest = dataclasses.replace(job, checkpoint=first.checkpoint)
        resumed = run(evaluator, rest, tmp_path / "parts")
        assert [r.fidelity for r in resumed] == list(job.fidelities[1:])
        assert [r.metrics for r in resumed] == [r.metrics for r in whole[1:]]

    def test_a_checkpoint_that_is_not_here_is_not_missed(
        self, evaluator: Evaluator, job: Job, tmp_path: Path
    ) -> None:
        elsewhere = dataclasses.replace(job, checkpoint=str(tmp_path / "on-another-machine"))
        fresh = run(evaluator, job, tmp_path / "a")
        again = run(evaluator, elsewhere, tmp_path / "b")
        assert [r.metrics for r in again] == [r.metrics for r in fresh]

    def test_it_says_that_it_is_alive(self, evaluator: Evaluator, job: Job, tmp_path: Path) -> None:
        beats: list[float] = []
        context = Context(tmp_path, beat=lambda: beats.append(time.monotonic()), interval=0.0)
        list(evaluator.evaluate(job, context))
        assert beats

    def test_a_passed_deadline_is_a_timeout(
        self, evaluator: Evaluator, job: Job, tmp_path: Path
    ) -> None:
        context = Context(tmp_path, deadline=time.monotonic() - 1)
        with pytest.raises(TrialFailure) as met:
            list(evaluator.evaluate(job, context))
        assert met.value.failure is Failure.TIMEOUT
