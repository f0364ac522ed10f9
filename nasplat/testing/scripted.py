"""An evaluator that does what its job's recipe says: sleeps, reports, fails, hangs or dies.

It trains nothing, so that tests of executors and drivers, and measurements of their overhead, see
only the executor. It keeps and continues checkpoints as a real one does.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, ClassVar

from nasplat.errors import Failure, TrialFailure
from nasplat.evaluate.base import Context, Job, Report

SPEC: dict[str, Any] = {"kind": "nasplat.testing.scripted:ScriptedEvaluator"}
"""The evaluator's spec, for `nasplat.evaluate.base.evaluator_from_spec`."""

_SLICE = 0.02
_HUNG_SECONDS = 600


class ScriptedEvaluator:
    """Reports one line of a recipe per rung.

    Keys of a job's recipe, all optional:

    - ``seconds``: how long each rung takes, 0 by default;
    - ``accuracy``: value of the metric at the last rung; a rung at fidelity f of n reports
      ``accuracy * f / n``;
    - ``fail``: a class of failure, or ``"raise"`` for an error of the code, met at ``fail_at``;
    - ``hang``: ``"sleep"`` or ``"c"`` (a C call that holds the interpreter), met at ``fail_at``;
    - ``die``: kill the own process with signal 9, met at ``fail_at``, once per scratch folder;
    - ``fail_at``: the fidelity before whose report this happens, the first by default;
    - ``batch_size``: with ``fits``, running out of memory when above it.
    """

    kind: ClassVar[str] = SPEC["kind"]

    @property
    def spec(self) -> dict[str, Any]:
        """JSON from which the same evaluator is made."""
        return dict(SPEC)

    def evaluate(self, job: Job, context: Context) -> Generator[Report, None, None]:
        """Yield one report per rung that the checkpoint does not hold."""
        done = _reached(job.checkpoint)
        last = job.fidelities[-1]
        for rung in job.fidelities:
            if rung <= done:
                continue
            began = time.monotonic()
            _sleep(float(job.recipe.get("seconds", 0.0)), context)
            if rung >= job.recipe.get("fail_at", job.fidelities[0]):
                _misbehave(job, context)
            folder = None
            if rung != last:
                folder = context.scratch / "checkpoint"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "state.json").write_text(json.dumps({"fidelity": rung}), "utf-8")
            yield Report(
                fidelity=rung,
                metrics={
                    "accuracy": float(job.recipe.get("accuracy", 0.5)) * rung / last,
                    "process": float(os.getpid()),
                    "resumed_from": float(done),
                },
                seconds=time.monotonic() - began,
                checkpoint=str(folder) if folder else None,
                final=rung == last,
            )


def _reached(checkpoint: str | None) -> int:
    if checkpoint is None:
        return 0
    state = json.loads((Path(checkpoint) / "state.json").read_text("utf-8"))
    return int(state["fidelity"])


def _sleep(seconds: float, context: Context) -> None:
    until = time.monotonic() + seconds
    context.heartbeat()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(_SLICE, left))
        context.heartbeat()


def _misbehave(job: Job, context: Context) -> None:
    recipe = job.recipe
    if recipe.get("fits") is not None and recipe["batch_size"] > recipe["fits"]:
        raise TrialFailure(Failure.OOM, f"a batch of {recipe['batch_size']} does not fit")
    if recipe.get("fail") == "raise":
        raise RuntimeError("raised by the script")
    if recipe.get("fail"):
        raise TrialFailure(Failure(recipe["fail"]), "failed by the script")
    if recipe.get("hang") == "sleep":
        time.sleep(_HUNG_SECONDS)
    if recipe.get("hang") == "c":
        # PyDLL does not let go of the interpreter's lock during the call.
        ctypes.PyDLL(None).sleep(_HUNG_SECONDS)
    if recipe.get("die"):
        mark = context.scratch / "died"
        if not mark.exists():
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
