"""An evaluator whose results follow from the digest alone: a landscape without training.

For tests of the study loop and measurements of its overhead: equal candidates have equal results, later
rungs come nearer to the final one, and every second of sleep is a second of device time. It keeps and
continues checkpoints as a real evaluator does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, ClassVar

from nasplat.errors import Failure, TrialFailure
from nasplat.evaluate.base import Context, Job, Report

KIND = "nasplat.testing.formula:FormulaEvaluator"
_SLICE = 0.02


class FormulaEvaluator:
    """Reports an accuracy and a latency made of the digest's digits.

    Args:
        seconds: How long one epoch sleeps, at least 0.
        fail_every: One in so many candidates diverges, 0 for none.
        checkpoints: Whether checkpoints are written.
    """

    kind: ClassVar[str] = KIND

    def __init__(
        self, *, seconds: float = 0.0, fail_every: int = 0, checkpoints: bool = False
    ) -> None:
        self.seconds = seconds
        self.fail_every = fail_every
        self.checkpoints = checkpoints

    @property
    def spec(self) -> dict[str, Any]:
        """JSON from which the same evaluator is made."""
        return {
            "kind": KIND,
            "seconds": self.seconds,
            "fail_every": self.fail_every,
            "checkpoints": self.checkpoints,
        }

    def evaluate(self, job: Job, context: Context) -> Generator[Report, None, None]:
        """Yield the latency, when asked for, then one report for each rung not yet reached."""
        accuracy, latency = landscape(job.digest)
        if job.latency is not None:
            yield Report(fidelity=0, metrics={"latency_ms": latency}, seconds=0.0)
        done = _reached(job.checkpoint)
        for rung in job.fidelities:
            if rung <= done:
                continue
            seconds = self._sleep(rung - done, context)
            if self.fail_every and int(job.digest[-4:], 16) % self.fail_every == 0:
                raise TrialFailure(Failure.DIVERGED, "the formula says so")
            last = rung == job.fidelities[-1]
            yield Report(
                fidelity=rung,
                metrics={"accuracy": accuracy * (1 - 0.5 / (1 + rung)), "loss": 1 - accuracy},
                seconds=seconds,
                checkpoint=None if last else self._keep(rung, context),
                final=last,
            )
            done = rung

    def _sleep(self, epochs: int, context: Context) -> float:
        begun = time.monotonic()
        until = begun + epochs * self.seconds
        context.heartbeat()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(_SLICE, left))
            context.heartbeat()
        return time.monotonic() - begun if self.seconds else 0.0

    def _keep(self, rung: int, context: Context) -> str | None:
        if not self.checkpoints:
            return None
        context.scratch.mkdir(parents=True, exist_ok=True)
        new = context.scratch / "state.new"
        new.write_text(json.dumps({"fidelity": rung}), "utf-8")
        new.replace(context.scratch / "state.json")
        return str(context.scratch)


def landscape(digest: str) -> tuple[float, float]:
    """Accuracy in [0, 1] and latency in [0, 1] ms of a digest."""
    digits = digest.partition(":")[2]
    return int(digits[:8], 16) / 2**32, int(digits[8:16], 16) / 2**32


def _reached(checkpoint: str | None) -> int:
    if checkpoint is None:
        return 0
    return int(json.loads((Path(checkpoint) / "state.json").read_text("utf-8"))["fidelity"])
