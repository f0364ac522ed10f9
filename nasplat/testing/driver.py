"""A driver in memory, strict about the order in which it is called.

For tests of executors: it hands out given jobs, retries by the real policy, records every call, and
fails at once when an executor breaks a rule of `nasplat.execute.base`.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from typing import Any

from nasplat.errors import Failure
from nasplat.evaluate.base import Job, Report
from nasplat.execute.base import Verdict
from nasplat.execute.policy import retry


def make_job(trial: int, **recipe: Any) -> Job:
    """Make a job for the scripted evaluator, with rungs at 1, 3 and 9."""
    fidelities = recipe.pop("fidelities", (1, 3, 9))
    timeout = recipe.pop("timeout", None)
    return Job(
        trial=trial,
        digest=f"g1:{trial:032x}",
        graph={},
        task={},
        fidelities=fidelities,
        seed=trial,
        recipe=recipe,
        timeout=timeout,
    )


@dataclasses.dataclass(frozen=True)
class Call:
    """One call that a driver got.

    Attributes:
        name: The method.
        trial: Number of the trial; -1 for calls about none.
        value: The report, the failure's class and message, or None.
        seconds: Device seconds of a failure or release.
    """

    name: str
    trial: int = -1
    value: Any = None
    seconds: float = 0.0


class MemoryDriver:
    """Hands out jobs and records what became of them.

    Args:
        jobs: What is handed out, in this order.
        verdict: Decides on each report; everything goes on by default.
        stop_after: Number of reports after which a stop is asked for from outside; None: never.
        keep_calls: Whether every call is kept; off for measurements of many trials.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        *,
        verdict: Callable[[int, Report], Verdict] = lambda trial, report: Verdict.CONTINUE,
        stop_after: int | None = None,
        keep_calls: bool = True,
    ) -> None:
        self.waiting = deque(jobs)
        self.running: dict[int, Job] = {}
        self.calls: list[Call] = []
        self.finished: list[int] = []
        self.failed: list[int] = []
        self.released: list[int] = []
        self.num_reports = 0
        self.num_beats = 0
        self._failures: dict[int, Counter[Failure]] = {}
        self._verdict = verdict
        self._stop_after = stop_after
        self._stopping = False
        self._keep = keep_calls
        self._thread: int | None = None
        self._flushed = False

    def _called(self, call: Call) -> None:
        own = threading.get_ident()
        self._thread = self._thread or own
        assert self._thread == own, f"{call.name} came from a second thread"
        assert not self._flushed, f"{call.name} came after the last flush"
        if call.trial >= 0:
            assert call.trial in self.running, f"{call.name} of trial {call.trial}, not running"
        if self._keep:
            self.calls.append(call)

    def of(self, trial: int) -> list[Call]:
        """Return the calls about one trial, beats left out."""
        return [call for call in self.calls if call.trial == trial]

    @property
    def exhausted(self) -> bool:
        """Whether no job waits and none runs that could be retried."""
        return not self.waiting and not self.running

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stopping

    def next(self) -> Job | None:
        """Hand out the next job."""
        assert not self._stopping, "asked for a job after a stop"
        if not self.waiting:
            return None
        job = self.waiting.popleft()
        self.running[job.trial] = job
        self._called(Call("next", job.trial, job))
        return job

    def report(self, trial: int, report: Report) -> Verdict:
        """Record a report and decide."""
        self._called(Call("report", trial, report))
        self.num_reports += 1
        job = self.running[trial]
        if report.checkpoint is not None:
            self.running[trial] = dataclasses.replace(job, checkpoint=report.checkpoint)
        if self._stop_after is not None and self.num_reports >= self._stop_after:
            self._stopping = True
        return self._verdict(trial, report)

    def finish(self, trial: int) -> None:
        """Record a finished trial."""
        self._called(Call("finish", trial))
        del self.running[trial]
        self.finished.append(trial)

    def fail(self, trial: int, failure: Failure, message: str, seconds: float) -> None:
        """Record a failure and hand the trial out again when the policy says so."""
        assert seconds >= 0
        self._called(Call("fail", trial, (failure, message), seconds))
        counts = self._failures.setdefault(trial, Counter())
        counts[failure] += 1
        again = retry(self.running.pop(trial), counts)
        if again is None:
            self.failed.append(trial)
        else:
            self.waiting.append(again)

    def release(self, trial: int, seconds: float) -> None:
        """Take a trial back unfinished."""
        assert seconds >= 0
        self._called(Call("release", trial, None, seconds))
        self.waiting.append(self.running.pop(trial))
        self.released.append(trial)

    def beat(self, trials: Collection[int]) -> None:
        """Count signs of life and check that they are of the running trials."""
        self._called(Call("beat", value=tuple(trials)))
        assert set(trials) <= set(self.running), f"beat of {set(trials) - set(self.running)}"
        self.num_beats += 1

    def interrupt(self) -> None:
        """Stop launching."""
        self._called(Call("interrupt"))
        self._stopping = True

    def flush(self) -> None:
        """End the run; nothing may follow."""
        self._called(Call("flush"))
        self._flushed = True

    def resumed(self) -> MemoryDriver:
        """Return a driver that goes on with what waits, as after a restart."""
        return MemoryDriver(self.waiting, verdict=self._verdict)
