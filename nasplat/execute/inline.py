"""Runs a driver's jobs in this process, one after another: no Ray, no process start.

For cheap evaluations (tables, zero-cost proxies, a supernet in process), for tests and for
debugging. A step that hangs cannot be ended from within its own process: a deadline takes effect
where the evaluator calls its context's heartbeat. Where hung steps must be ended, use Ray.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from nasplat.errors import Failure
from nasplat.evaluate.base import Context, Evaluator, Job
from nasplat.execute.base import HEARTBEAT_SECONDS, Driver, Verdict
from nasplat.execute.folder import temporary_folder
from nasplat.execute.interrupt import Interrupts
from nasplat.execute.policy import classify

IDLE_SECONDS = 0.05
"""Wait before a driver that had nothing to start is asked again, in seconds."""


class _Left(BaseException):
    """Leaves an evaluation from within its heartbeat; no evaluator catches it by accident.

    Args:
        error: What the driver raised; None: the grace time is over.
    """

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error


class InlineExecutor:
    """Runs jobs in this process.

    Args:
        evaluator: Evaluates every job.
        scratch: Folder for checkpoints, one sub-folder per trial, kept; None for a folder that
            is removed at the end of the run (a released trial then starts afresh).
        timeout: Seconds after which a job without a time-out of its own has failed, 0 for never.
        grace: Seconds that a running job gets after Ctrl-C to reach its next rung.
        heartbeat: Longest time between two beats in seconds.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        *,
        scratch: Path | None = None,
        timeout: float = 0.0,
        grace: float = 30.0,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self.evaluator = evaluator
        self.timeout = timeout
        self.heartbeat = heartbeat
        self.interrupts = Interrupts(grace)
        self._scratch = scratch
        self._beaten = 0.0

    def run(self, driver: Driver) -> None:
        """Run until the driver is exhausted or a stop was asked for; see `Executor.run`."""
        with self.interrupts, temporary_folder() as temporary:
            root = self._scratch or temporary
            try:
                self._loop(driver, root)
            finally:
                driver.flush()

    def _loop(self, driver: Driver, root: Path) -> None:
        told = False
        self._beaten = time.monotonic()
        while True:
            if self.interrupts.pressed and not told:
                told = True
                driver.interrupt()
            if driver.stopping:
                return
            job = driver.next()
            if job is not None:
                self._evaluate(driver, job, root / f"trial-{job.trial}")
            elif driver.exhausted:
                return
            else:
                time.sleep(IDLE_SECONDS)
            self._beat(driver, ())

    def _beat(self, driver: Driver, trials: tuple[int, ...]) -> None:
        # Of thousands of short evaluations a second few are worth a transaction.
        if time.monotonic() - self._beaten >= self.heartbeat:
            self._beaten = time.monotonic()
            driver.beat(trials)

    def _evaluate(self, driver: Driver, job: Job, scratch: Path) -> None:
        """Evaluate one job and settle its trial with finish, fail or release."""
        last = began = time.monotonic()
        limit = job.timeout or self.timeout

        def beat() -> None:
            try:
                if driver.stopping:
                    self.interrupts.stop()
                self._beat(driver, (job.trial,))
            except Exception as error:
                raise _Left(error) from error
            if self.interrupts.overdue:
                raise _Left

        context = Context(
            scratch,
            beat=beat,
            deadline=began + limit if limit else None,
            interval=min(1.0, self.heartbeat),
        )
        failed: tuple[Failure, str] | None = None
        released = settled = False
        reports = self.evaluator.evaluate(job, context)
        try:
            while not (settled or released):
                try:
                    report = next(reports, None)
                except _Left as left:
                    if left.error is not None:
                        raise left.error from None
                    released = True
                except Exception as error:
                    failed = classify(error)
                    settled = True
                else:
                    if report is None:
                        settled = True
                        continue
                    last = time.monotonic()
                    verdict = driver.report(job.trial, report)
                    settled = report.final or verdict is Verdict.STOP
                    released = not settled and (self.interrupts.requested or driver.stopping)
            with contextlib.suppress(Exception):
                # The trial is settled; what its evaluation does while it is closed changes nothing.
                reports.close()
        except KeyboardInterrupt:
            driver.release(job.trial, time.monotonic() - last)
            raise
        seconds = time.monotonic() - last
        if released:
            driver.release(job.trial, seconds)
        elif failed is not None:
            driver.fail(job.trial, *failed, seconds)
        else:
            driver.finish(job.trial)
