"""Ray Tune's callback around a study: signs of life, time-outs that end a hung step, and why workers
died. It goes with the searcher of `nasplat.execute.tune`, which alone records what was evaluated.
"""

from __future__ import annotations

import re
import time
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.experiment import Trial

from nasplat.errors import Failure
from nasplat.execute.interrupt import Interrupts
from nasplat.execute.tune import StudySearcher

KILL_AFTER = 2.0
"""Seconds beyond its deadline after which the worker of a trial is killed. An evaluation that still
takes steps ends itself at the deadline and keeps its worker."""
_MEMORY_MONITOR = ("NODE_OUT_OF_MEMORY", "running low on memory")


class StudyCallback(tune.Callback):
    """Beats for running trials, ends those past their time-out, and says why workers died.

    Args:
        searcher: The searcher of the same study.
        interrupts: Ctrl-C as an executor counts it; None leaves it to Tune.
    """

    def __init__(self, searcher: StudySearcher, interrupts: Interrupts | None = None) -> None:
        super().__init__()
        self._searcher = searcher
        self._interrupts = interrupts
        self._told = False
        self._trials: dict[str, Trial] = {}
        searcher.watched = True

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Start the trial's clock."""
        recorder = self._searcher.recorder
        if trial.trial_id in recorder.running:
            recorder.start(trial.trial_id)
            self._trials[trial.trial_id] = trial
        else:
            self._kill(trial)  # it was released while it waited for a worker

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Beat, and end what is past its time-out."""
        recorder = self._searcher.recorder
        if recorder.error is not None:
            raise recorder.error
        recorder.beat()
        if self._interrupts is not None:
            self._obey(self._interrupts)
        if recorder.driver.stopping:
            for key, entry in list(recorder.running.items()):
                if entry.started is None:
                    recorder.release(key)
        now = time.monotonic()
        for key, entry in list(recorder.running.items()):
            limit = entry.job.timeout or self._searcher.settings.timeout
            if entry.started is None or entry.ended_as or not limit:
                continue
            if now - entry.started > limit + KILL_AFTER:
                entry.ended_as = f"it ran for more than {limit:g} s and was ended"
                self._kill(self._trials[key])

    def _obey(self, interrupts: Interrupts) -> None:
        driver = self._searcher.recorder.driver
        if interrupts.pressed and not self._told:
            self._told = True
            driver.interrupt()
        elif driver.stopping:
            interrupts.stop()
        if interrupts.overdue:
            self.end_running()

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Forget a trial that is settled."""
        self._trials.pop(trial.trial_id, None)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Settle a trial whose worker died, with the class of the failure."""
        self._trials.pop(trial.trial_id, None)
        recorder = self._searcher.recorder
        entry = recorder.running.get(trial.trial_id)
        if entry is None:
            return
        if entry.ended_as:
            recorder.fail(trial.trial_id, Failure.TIMEOUT, entry.ended_as)
        else:
            recorder.fail(trial.trial_id, *why_died(_error_of(trial)))

    def end_running(self) -> None:
        """Release every trial and kill its worker."""
        recorder = self._searcher.recorder
        running = [self._trials[key] for key in recorder.running if key in self._trials]
        recorder.release_all()
        for trial in running:
            self._kill(trial)

    @staticmethod
    def _kill(trial: Trial) -> None:
        actor = trial.temporary_state.ray_actor
        if actor is not None:
            ray.kill(actor, no_restart=True)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the study out of what Tune pickles."""
        return {}


class GraceOver(tune.Stopper):
    """Ends a Tune run whose grace time after Ctrl-C is over, waiting trials included."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no trial for its result."""
        return False

    def stop_all(self) -> bool:
        """Whether the grace time is over."""
        return self._interrupts.overdue

    def __getstate__(self) -> dict[str, Any]:
        """Leave the counting of Ctrl-C out of what Tune pickles."""
        return {}


def _error_of(trial: Trial) -> Exception | None:
    """Read the error that Tune has just written; `Trial.get_pickled_error` waits for a sync."""
    if trial.pickled_error_file is None:
        return None
    with open(trial.pickled_error_file, "rb") as file:
        error: Exception = ray.cloudpickle.load(file)
    return error


def why_died(error: Exception | None) -> tuple[Failure, str]:
    """Say which class of failure the death of a worker is, with one line for the record."""
    text = " ".join(str(error).split())
    if isinstance(error, RayActorError) and error.actor_init_failed:
        return Failure.BUG, f"the worker could not start: {text}"
    if isinstance(error, OutOfMemoryError) or any(mark in text for mark in _MEMORY_MONITOR):
        return Failure.OOM, "Ray ended the worker because its machine ran low on memory"
    if isinstance(error, RayActorError):
        process = re.search(r"pid: (\d+)", text)
        kind = re.search(r"Worker exit type: (\w+)", text)
        known = [f"process {process[1]}"] if process else []
        known += [kind[1].lower().replace("_", " ")] if kind else []
        return Failure.LOST, f"the worker died ({', '.join(known) or text})"
    return Failure.BUG, text
