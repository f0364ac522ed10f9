"""Ray Tune's seams, usable in any Tune script: a searcher around a study, and schedulers that decide
rungs by Pareto rank. The third seam, a callback, is `nasplat.execute.callback`.

    searcher = nasplat.StudySearcher(study)
    tune.Tuner(
        nasplat.Trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=StudyRungs(searcher),      # or ParetoRungs({"accuracy": "max"}, eta=3)
            num_samples=-1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(callbacks=[StudyCallback(searcher)]),
    ).fit()

The searcher alone records a study completely. The callback adds what Tune tells nobody else: signs
of life, time-outs that end a hung step, and why a worker died. The study decides and records;
Tune's own experiment files are not needed for anything. This module knows no store.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from nasplat.errors import Failure, UsageError
from nasplat.evaluate.base import Report
from nasplat.execute.base import HEARTBEAT_SECONDS, Driver, Verdict
from nasplat.execute.profile import Profile
from nasplat.execute.record import Recorder
from nasplat.execute.rungs import rung_verdict
from nasplat.execute.trainable import FAILURE, JOB, REPORT, SETTINGS, Settings
from nasplat.settings import home

_IDLE = 0.05
_IDLE_FOR = 0.9


class HasEvaluator(Protocol):
    """The part of a study's settings that workers need."""

    @property
    def evaluator(self) -> Mapping[str, Any]:
        """Spec of the evaluator."""


@runtime_checkable
class HasDriver(Protocol):
    """A study, as far as Tune is concerned."""

    @property
    def settings(self) -> HasEvaluator:
        """What is fixed for the study."""

    @property
    def profile(self) -> Profile:
        """What one trial gets."""

    @property
    def folder(self) -> Path:
        """Where the study keeps its files."""

    def driver(self) -> Driver:
        """Return what decides and records."""


def worker_settings(profile: Profile, evaluator: Mapping[str, Any], scratch: Path) -> Settings:
    """What workers of a profile need besides their job; checkpoints go to ``scratch``."""
    return Settings(
        evaluator=dict(evaluator),
        scratch=str(scratch.resolve()),
        timeout=profile.timeout,
        threads=profile.threads,
        request=profile.request,
    )


class StudySearcher(Searcher):
    """Hands Tune the trials that a study wants evaluated, and the study what became of them.

    Args:
        study: A study, or a driver.
        settings: What workers need; by default what the study was created with. For a driver
            training with one processor per trial, checkpoints in ``NASPLAT_HOME``.
        concurrent: Most trials at the same time, or a function that says so; None leaves it to
            Tune.
        heartbeat: Longest time between two beats of running trials in seconds, > 0.
    """

    def __init__(
        self,
        study: Driver | HasDriver,
        *,
        settings: Settings | None = None,
        concurrent: int | Callable[[], int] | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        super().__init__()
        if isinstance(study, HasDriver):
            evaluator, scratch = study.settings.evaluator, study.folder / "checkpoints"
            settings = settings or worker_settings(study.profile, evaluator, scratch)
            study = study.driver()
        self.recorder = Recorder(study, heartbeat)
        self.settings = settings or Settings(
            evaluator={"kind": "train"}, scratch=str(home() / "checkpoints")
        )
        self.watched = False
        self._concurrent = concurrent

    def suggest(
        self, trial_id: str
    ) -> Any:  # a dict, or what Tune's annotation leaves out: FINISHED
        """Return the next trial's configuration, None when there is none now, or FINISHED."""
        recorder, driver = self.recorder, self.recorder.driver
        recorder.beat()
        limit = self._concurrent() if callable(self._concurrent) else self._concurrent
        if driver.stopping or recorder.error is not None:
            return self._nothing(finished=True)
        if limit is not None and len(recorder.running) >= limit:
            return None
        # With nothing running Tune sleeps a second at a time; a shorter wait is spent here.
        patience = time.monotonic() + (0.0 if recorder.running else _IDLE_FOR)
        while (job := recorder.next(trial_id)) is None:
            if driver.exhausted or driver.stopping:
                return self._nothing(finished=True)
            if time.monotonic() >= patience:
                return None
            time.sleep(_IDLE)
        return {JOB: json.dumps(job.to_json()), SETTINGS: self.settings.to_json()}

    def _nothing(self, *, finished: bool) -> str | None:
        # A trial that runs may come back as a retry: the end is only when none runs.
        return Searcher.FINISHED if finished and not self.recorder.running else None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass on a report, unless the scheduler did."""
        self.take(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Settle a trial: failed when its last result says so, else finished."""
        if error:
            if not self.watched:
                self.recorder.fail(trial_id, Failure.LOST, "the worker died")
            return
        if result and FAILURE in result:
            failure, message, seconds = json.loads(result[FAILURE])
            self.recorder.fail(trial_id, Failure(failure), message, seconds)
            return
        if result:
            self.take(trial_id, result)
        self.recorder.finish(trial_id)

    def take(self, trial_id: str, result: Mapping[str, Any]) -> Verdict:
        """Pass on the report in a result, once, and return the study's verdict on it."""
        if REPORT not in result:
            return Verdict.CONTINUE
        report = Report.from_json(json.loads(result[REPORT]))
        return self.recorder.report(trial_id, int(result["iterations_since_restore"]), report)

    def save(self, checkpoint_path: str) -> None:
        """Write where the state is: in the study's store, not in Tune's files."""
        Path(checkpoint_path).write_text("the study's store is the state of record\n", "utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Refuse: a study is resumed with a fresh Tuner.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            "a study's search is not restored from Tune's files",
            hint="Start a fresh Tuner with StudySearcher(study), or: nasplat resume NAME",
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave the driver out of what Tune pickles; it holds a database connection."""
        return {name: value for name, value in vars(self).items() if name != "recorder"}


class StudyRungs(FIFOScheduler):
    """Stops trials where the study's verdict says so, and at a report once the study is stopping.

    Args:
        searcher: The searcher of the same study.
    """

    def __init__(self, searcher: StudySearcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray annotates it not
        self._searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass on the report and return the verdict."""
        recorder = self._searcher.recorder
        if self._searcher.take(trial.trial_id, result) is Verdict.STOP:
            return TrialScheduler.STOP
        if recorder.driver.stopping:
            recorder.release(trial.trial_id)
            return TrialScheduler.STOP
        return TrialScheduler.CONTINUE

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return a waiting trial; looks only at trials that are alive, of which there are few."""
        live = tune_controller.get_live_trials()
        return next((trial for trial in live if trial.status == Trial.PENDING), None)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the study out of what Tune pickles."""
        return {name: value for name, value in vars(self).items() if name != "_searcher"}


class ParetoRungs(FIFOScheduler):
    """Asynchronous successive halving by Pareto rank, for any Tune trainable.

    At each rung a trial goes on when it is among the best ``1 / eta`` of all results recorded there,
    by non-dominated rank and then crowding distance (`nasplat.execute.rungs.rung_verdict`).

    Args:
        metrics: Reported metrics to decide by, each ``"max"`` or ``"min"``.
        eta: Reduction factor, > 1.
        rungs: Values of ``fidelity`` at which is decided; None: every value that is reported
            except 0, at which nothing was trained.
        fidelity: The result's key that counts progress.

    Raises:
        UsageError: No metrics, a direction that is neither, or ``eta`` is not above 1.
    """

    def __init__(
        self,
        metrics: Mapping[str, str],
        *,
        eta: float = 3.0,
        rungs: tuple[int, ...] | None = None,
        fidelity: str = "fidelity",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray annotates it not
        wrong = {name: way for name, way in metrics.items() if way not in ("max", "min")}
        if not metrics or wrong:
            raise UsageError(
                f"metrics map names to 'max' or 'min', got {dict(metrics)!r}",
                hint='For instance ParetoRungs({"accuracy": "max", "latency_ms": "min"}).',
            )
        if not eta > 1:
            raise UsageError(f"eta must be above 1 (one in eta goes on), got {eta}")
        self._signs = {name: 1.0 if way == "min" else -1.0 for name, way in metrics.items()}
        self._eta = eta
        self._rungs = rungs
        self._fidelity = fidelity
        self._at_rung: dict[int, list[tuple[float, ...]]] = defaultdict(list)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Record the result at its rung and decide."""
        if self._fidelity not in result:
            raise UsageError(
                f"a result has no {self._fidelity!r}; it has {', '.join(sorted(result))}",
                hint="Give the key that counts progress: ParetoRungs(..., fidelity='epoch').",
            )
        rung = int(result[self._fidelity])
        if rung == 0 if self._rungs is None else rung not in self._rungs:
            return TrialScheduler.CONTINUE
        values = tuple(
            sign * float(result.get(name, math.nan)) for name, sign in self._signs.items()
        )
        goes_on = rung_verdict(self._at_rung[rung], values, self._eta)
        self._at_rung[rung].append(values)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP
