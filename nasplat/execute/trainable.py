"""What runs in a worker process: Ray Tune's class trainable around an evaluator.

One process evaluates many trials (``reuse_actors=True``): a trial is a configuration, reset between
two of them. Everything that arrives is data (JSON); this module knows no driver and no store.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from ray import tune

from nasplat.evaluate.base import Context, Evaluator, Job, Report, evaluator_from_spec
from nasplat.execute.policy import classify

JOB = "nasplat_job"
"""Key of a trial's configuration that holds the job, as JSON text."""
SETTINGS = "nasplat_settings"
"""Key of a trial's configuration that holds `Settings`, as JSON text."""
REPORT = "nasplat_report"
"""Key of a result that holds the evaluator's report, as JSON text."""
FAILURE = "nasplat_failure"
"""Key of a result that holds a failure (class, message, seconds), as JSON text."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a worker needs besides the job.

    Attributes:
        evaluator: Spec of the evaluator (`evaluator_from_spec`).
        scratch: Folder for checkpoints, one sub-folder per trial; on several machines one that
            all of them mount.
        timeout: Seconds for a job without a time-out of its own, 0 for no limit.
        threads: Threads of one trial, >= 1.
        request: Resources of one trial, by Ray's names.
    """

    evaluator: dict[str, Any]
    scratch: str
    timeout: float = 0.0
    threads: int = 1
    request: dict[str, float] = dataclasses.field(default_factory=lambda: {"CPU": 1.0})

    def to_json(self) -> str:
        """Return the settings as JSON text."""
        return json.dumps(dataclasses.asdict(self))


class Trainable(tune.Trainable):
    """Evaluates one job after another; each step is one report.

    The configuration holds the job and the settings, as `StudySearcher` gives them. A result holds
    the report's metrics and fidelity under their own names, so that any scheduler of Tune can read
    them. A failed evaluation is a result too (key `FAILURE`): the process stays and takes
    the next trial; only a process that dies is an error of Tune's.
    """

    _evaluator: Evaluator | None = None
    _made_from: dict[str, Any] | None = None
    _reports: Generator[Report, None, None] | None = None
    _last: Report | None = None

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Ask for what the settings say; one processor when there are none."""
        settings = json.loads(config[SETTINGS]) if SETTINGS in config else {}
        return tune.PlacementGroupFactory([settings.get("request") or {"CPU": 1.0}])

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first trial; what can fail is left to `step`, where failures have classes."""
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial in the same process."""
        self._close()
        self._take(new_config)
        return True

    def _take(self, config: dict[str, Any]) -> None:
        self._job = Job.from_json(json.loads(config[JOB]))
        self._settings = Settings(**json.loads(config[SETTINGS]))
        self._scratch = Path(self._settings.scratch) / f"trial-{self._job.trial}"
        self._last = None

    def step(self) -> dict[str, Any]:
        """Evaluate up to the next report."""
        began = time.monotonic()
        try:
            report = next(self._generator(), None)
        except Exception as error:
            self._close()
            failure, message = classify(error)
            seconds = time.monotonic() - began
            return {"done": True, FAILURE: json.dumps([failure, message, seconds])}
        if report is None:
            return {"done": True}
        self._last = report
        if report.final:
            self._close()
        return {
            **report.metrics,
            "fidelity": report.fidelity,
            REPORT: json.dumps(report.to_json()),
            "done": report.final,
        }

    def _generator(self) -> Generator[Report, None, None]:
        if self._reports is None:
            settings, job = self._settings, self._job
            if self._evaluator is None or self._made_from != settings.evaluator:
                self._evaluator = evaluator_from_spec(settings.evaluator)
                self._made_from = settings.evaluator
                if "torch" in sys.modules:
                    sys.modules["torch"].set_num_threads(settings.threads)
            if job.checkpoint is not None and not Path(job.checkpoint).is_dir():
                # Written on another machine without a common folder: train again from the start.
                job = dataclasses.replace(job, checkpoint=None)
            limit = job.timeout or settings.timeout
            context = Context(self._scratch, deadline=time.monotonic() + limit if limit else None)
            self._reports = self._evaluator.evaluate(job, context)
        return self._reports

    def _close(self) -> None:
        if self._reports is not None:
            # The trial is settled; what its evaluation does while it is closed changes nothing.
            with contextlib.suppress(Exception):
                self._reports.close()
            self._reports = None

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Copy the checkpoint of the last report, for Tune's own uses (pausing, population based)."""
        folder = self._last.checkpoint if self._last else self._job.checkpoint
        if folder is not None:
            shutil.copytree(folder, Path(checkpoint_dir) / "evaluator", dirs_exist_ok=True)

    def load_checkpoint(self, checkpoint: dict[str, Any] | str | None) -> None:
        """Continue from a checkpoint that `save_checkpoint` made."""
        self._close()
        saved = Path(str(checkpoint)) / "evaluator"
        if saved.is_dir():
            # Tune may remove its folder; the trial's own stays.
            kept = self._scratch / "restored"
            shutil.copytree(saved, kept, dirs_exist_ok=True)
            self._job = dataclasses.replace(self._job, checkpoint=str(kept))

    def cleanup(self) -> None:
        """Close the evaluation, if one is open."""
        self._close()
