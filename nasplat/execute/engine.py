"""Runs a driver's jobs as trials of Ray Tune, in worker processes here or on a cluster.

Tune starts workers, places trials and restarts what died. What is tried, what stops and what became
of it is the driver's; Tune's files live in a temporary folder that goes with the run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasplat.errors import NasplatError
from nasplat.execute.base import Driver
from nasplat.execute.cluster import Cluster, cluster_address, local_cluster, running_cluster
from nasplat.execute.interrupt import Interrupts
from nasplat.execute.preflight import preflight
from nasplat.execute.profile import Profile

_COUNT_SECONDS = 5.0


class RayExecutor:
    """Runs jobs on Ray.

    Args:
        profile: Resources of one trial, time-outs and where the cluster is.
        evaluator: Spec from which workers make the evaluator (`evaluator_from_spec`).
        scratch: Folder for checkpoints, one sub-folder per trial, kept; on several machines one
            that all of them mount. None for a folder that is removed at the end of the run.
        budget: Limits as (unit, amount), checked against the cluster before anything starts.
    """

    def __init__(
        self,
        profile: Profile,
        evaluator: Mapping[str, Any],
        *,
        scratch: Path | None = None,
        budget: Sequence[tuple[str, float]] = (),
    ) -> None:
        self.profile = profile
        self.interrupts = Interrupts(profile.grace)
        self.startup_seconds = 0.0
        self.address = ""
        self._evaluator = dict(evaluator)
        self._scratch = scratch
        self._budget = tuple(budget)
        self._slots = 1
        self._counted = 0.0

    def run(self, driver: Driver) -> None:
        """Run until the driver is exhausted and nothing runs, or a stop was asked for.

        While it runs, other machines join by ``ray start --address=`` and the attribute ``address``;
        their processors are used within seconds. ``startup_seconds`` says how long Ray took to start.

        Raises:
            KeyboardInterrupt: At the second Ctrl-C.
            UsageError: A trial can never be scheduled or the budget never be spent; nothing was
                started. Or no cluster answers at the profile's address.
            NasplatError: Ray itself failed.
        """
        if self.profile.local:
            self._check(local_cluster(self.profile))
        # Ray is heavy to import; who only asks for a preflight does not pay for it.
        from nasplat.execute.session import ray_session

        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            stack.callback(driver.flush)
            stack.enter_context(self.interrupts)
            files = stack.enter_context(ray_session(self.profile))
            self._check(running_cluster())
            self.address = cluster_address()
            self.startup_seconds = time.monotonic() - began
            self._tune(driver, files / "tune", self._scratch or files / "scratch")

    def _check(self, cluster: Cluster) -> None:
        self._slots = preflight(self.profile, cluster, self._budget)
        self._counted = time.monotonic()

    def _concurrent(self) -> int:
        """Count how many trials may run; a cluster that grows is noticed within seconds."""
        if time.monotonic() - self._counted > _COUNT_SECONDS:
            self._counted = time.monotonic()
            slots = running_cluster().slots(self.profile.request)
            self._slots = min(slots, self.profile.concurrent) if self.profile.concurrent else slots
        return self._slots

    def _tune(self, driver: Driver, files: Path, scratch: Path) -> None:
        from ray import tune

        from nasplat.execute.callback import GraceOver, StudyCallback
        from nasplat.execute.trainable import Trainable
        from nasplat.execute.tune import StudyRungs, StudySearcher, worker_settings

        searcher = StudySearcher(
            driver,
            settings=worker_settings(self.profile, self._evaluator, scratch),
            concurrent=self._concurrent,
            heartbeat=self.profile.heartbeat,
        )
        callback = StudyCallback(searcher, self.interrupts)
        tuner = tune.Tuner(
            Trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=StudyRungs(searcher),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name="run",
                storage_path=str(files),
                callbacks=[callback],
                stop=GraceOver(self.interrupts),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        recorder = searcher.recorder
        try:
            tuner.fit()
        except Exception as error:
            if recorder.error is not None:
                raise recorder.error from None
            raise NasplatError(
                f"Ray Tune failed: {error}", hint="Nothing that was recorded is lost; resume."
            ) from error
        finally:
            # After an error of the driver itself there is nobody to release to.
            if recorder.error is None:
                callback.end_running()
        if recorder.error is not None:
            raise recorder.error


def _name(trial: Any) -> str:
    return f"trial_{trial.trial_id}"
