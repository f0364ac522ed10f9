"""The contract between what decides which trials run (a driver) and what runs them (an executor).

This module knows no Ray, no store and no search strategy. The driver is implemented above
(`nasplat.search.driver`), executors below it know only the protocol here.

Order of the calls that every executor keeps, and that a driver may rely on:

1. All calls come from the one thread that called `Executor.run`, never two at a time.
2. Of one trial: `next` hands it out, then any number of `report`, then exactly one of `finish`,
   `fail` or `release`. After `fail` and `release` the driver may hand the same trial out again.
3. Every report of an evaluator is passed on once and in order. After a verdict STOP, or a report
   with ``final`` set, the next call for that trial is `finish`.
4. `beat` is called at least every `HEARTBEAT_SECONDS` (a profile may ask for less) with exactly
   the trials handed out and not yet finished, failed or released. An in-process evaluation beats
   only where the evaluator calls its context's heartbeat.
5. `interrupt` is called at most once per run, at the first Ctrl-C. Nothing is asked of `next`
   once `stopping` is true; each running trial is released at its next report or when the
   profile's grace time is over, whatever comes first. `stopping` and `exhausted` are read often.
6. `flush` is the last call of every run, also when the run ends with an exception.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Protocol, runtime_checkable

from nasplat.errors import Failure
from nasplat.evaluate.base import Job, Report

HEARTBEAT_SECONDS = 5.0
"""Longest time between two beats of a running trial, in seconds, when a profile says nothing."""


class Verdict(StrEnum):
    """What a driver decides about a trial that has just reported."""

    CONTINUE = "continue"
    STOP = "stop"


@runtime_checkable
class Driver(Protocol):
    """Hands out jobs and records what became of them; the owner of all state that must survive.

    A driver may gather what `report` and `finish` bring and write it in batches, as long as it is
    written when `beat` or `flush` returns.
    """

    @property
    def exhausted(self) -> bool:
        """Whether nothing will ever be started again (a running trial may still be retried)."""

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for, by `interrupt` or from outside (``nasplat stop``)."""

    def next(self) -> Job | None:
        """Hand out the next job, or None when there is nothing to start now.

        A trial that was released, lost or is to be retried comes back as a job that carries its
        last checkpoint and what its retry changes (`nasplat.execute.policy.retry`).
        """

    def report(self, trial: int, report: Report) -> Verdict:
        """Record one report of a running trial in one transaction and decide how it goes on."""

    def finish(self, trial: int) -> None:
        """Record that a trial ran to its last rung or was stopped by a verdict."""

    def fail(self, trial: int, failure: Failure, message: str, seconds: float) -> None:
        """Record that an attempt at a trial failed; whether it is retried is the driver's to say.

        Args:
            trial: Number of the trial.
            failure: Class of the failure; `nasplat.execute.policy` says what follows from it.
            message: What happened, one line or a short traceback.
            seconds: Device seconds spent since the last report of this attempt, >= 0.
        """

    def release(self, trial: int, seconds: float) -> None:
        """Return a trial unfinished, to wait with its last checkpoint.

        Args:
            trial: Number of the trial.
            seconds: Device seconds spent since the last report of this attempt, >= 0.
        """

    def beat(self, trials: Collection[int]) -> None:
        """Renew the leases of all running trials (may be none)."""

    def interrupt(self) -> None:
        """Stop launching: `stopping` is true from now on."""

    def flush(self) -> None:
        """Write everything that was gathered."""


@runtime_checkable
class Executor(Protocol):
    """Runs the jobs of a driver."""

    def run(self, driver: Driver) -> None:
        """Run until the driver is exhausted and nothing runs, or a stop was asked for.

        Raises:
            KeyboardInterrupt: At the second Ctrl-C, after running work was killed and released.
            UsageError: What the driver's trials need can never be had here; nothing was started.
        """
