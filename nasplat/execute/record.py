"""Keeps a driver and a set of running trials in step: every call of the driver goes through here.

Tune tells of one event at several places (scheduler, searcher, callback) and repeats the last
result when a trial ends; a driver wants each report once and each trial settled once. This module
knows trials by an executor's own identifiers and knows nothing of Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from nasplat.errors import Failure
from nasplat.evaluate.base import Job, Report
from nasplat.execute.base import Driver, Verdict

_T = TypeVar("_T")


@dataclass
class Running:
    """One trial that was handed out and is not settled.

    Attributes:
        job: What is evaluated.
        started: `time.monotonic` time when a worker took it; None while it waits for one.
        last: Time of its last report, or of its start.
        reports: Number of reports that were passed on.
        verdict: The last verdict.
        ended_as: Why the executor ended its worker: a time-out or a release; None: it did not.
    """

    job: Job
    started: float | None = None
    last: float | None = None
    reports: int = 0
    verdict: Verdict = Verdict.CONTINUE
    ended_as: str | None = None

    @property
    def seconds(self) -> float:
        """Device seconds since the last report."""
        return 0.0 if self.last is None else time.monotonic() - self.last


class Recorder:
    """Passes on what happens to trials, each thing once.

    The first error that the driver raises is kept in `error`, since Tune wraps or swallows what its
    callbacks raise.
    """

    def __init__(self, driver: Driver, heartbeat: float) -> None:
        self.driver = driver
        self.heartbeat = heartbeat
        self.running: dict[str, Running] = {}
        self.error: Exception | None = None
        self._beaten = time.monotonic()

    def _ask(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except Exception as error:
            if self.error is None:
                self.error = error
            raise

    def next(self, key: str) -> Job | None:
        """Take a job from the driver and keep it as ``key``."""
        job = self._ask(self.driver.next)
        if job is not None:
            self.running[key] = Running(job)
        return job

    def start(self, key: str) -> None:
        """A worker has taken the trial."""
        entry = self.running[key]
        entry.started = entry.last = time.monotonic()

    def report(self, key: str, number: int, report: Report) -> Verdict:
        """Pass on a trial's report unless it was passed on before.

        Args:
            key: The trial.
            number: 1 for the first report of this attempt, then 2, ...
            report: The report.

        Returns:
            The verdict on it; STOP for a trial that is settled.
        """
        entry = self.running.get(key)
        if entry is None:
            return Verdict.STOP
        if number > entry.reports:
            entry.reports = number
            entry.last = time.monotonic()
            entry.verdict = self._ask(lambda: self.driver.report(entry.job.trial, report))
        return entry.verdict

    def finish(self, key: str) -> None:
        """Settle a trial as finished; nothing when it is settled."""
        entry = self.running.pop(key, None)
        if entry is not None:
            self._ask(lambda: self.driver.finish(entry.job.trial))

    def fail(self, key: str, failure: Failure, message: str, seconds: float | None = None) -> None:
        """Settle a trial as failed; nothing when it is settled."""
        entry = self.running.pop(key, None)
        if entry is not None:
            spent = entry.seconds if seconds is None else seconds
            self._ask(lambda: self.driver.fail(entry.job.trial, failure, message, spent))

    def release(self, key: str) -> None:
        """Settle a trial as released; nothing when it is settled."""
        entry = self.running.pop(key, None)
        if entry is not None:
            self._ask(lambda: self.driver.release(entry.job.trial, entry.seconds))

    def release_all(self) -> None:
        """Release every trial that is not settled."""
        for key in list(self.running):
            self.release(key)

    def beat(self, *, now: bool = False) -> None:
        """Renew the leases, when it is time to."""
        if now or time.monotonic() - self._beaten >= self.heartbeat:
            self._beaten = time.monotonic()
            trials = [entry.job.trial for entry in self.running.values()]
            self._ask(lambda: self.driver.beat(trials))
