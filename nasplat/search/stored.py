"""What is stored of a study, and what can be read from it; runs nothing and changes no trial."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplat import settings as environment
from nasplat.errors import UsageError
from nasplat.execute.profile import Profile, load_profile
from nasplat.hardware.device import Device
from nasplat.search.budget import Budget
from nasplat.search.driver import StudyDriver
from nasplat.search.history import History, constraints_of, objectives_of
from nasplat.search.settings import Settings
from nasplat.space.space import Space
from nasplat.store.records import SpaceRecord, StudyRecord, StudyState, TrialRecord, TrialState
from nasplat.store.store import Store
from nasplat.tasks.base import Task
from nasplat.tasks.load import load_task

if TYPE_CHECKING:
    import pandas


class StoredStudy:
    """A study as the store knows it.

    Attributes:
        record: The study as stored when it was loaded or last changed from here.
        store: Where it is stored.
        settings: What was fixed when it was created.
    """

    def __init__(self, store: Store, record: StudyRecord) -> None:
        self.store = store
        self.record = record
        self.settings = Settings.from_json(record.settings)
        self._driver: StudyDriver | None = None
        self._task: Task | None = None
        self._space: Space | None = None

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.record.name

    @property
    def task(self) -> Task:
        """The task, loaded when first asked for.

        Raises:
            TaskError: Its data are gone or have changed.
        """
        if self._task is None:
            self._task = load_task(self.record.task_spec)
        return self._task

    @property
    def space(self) -> Space:
        """The space, loaded when first asked for.

        A space that has changed since the study was created goes on when it still holds every stored
        candidate.

        Raises:
            SpaceError: The space file is gone or broken.
            UsageError: The space has changed and does not hold every candidate any more.
        """
        if self._space is None:
            space = self.settings.load_space(self.task)
            if space.version != self.record.space.version:
                self._take_new_version(space)
            self._space = space
        return self._space

    @property
    def profile(self) -> Profile:
        """The worker profile."""
        return load_profile(self.settings.profile)

    @property
    def folder(self) -> Path:
        """Where checkpoints and exports of the study go: below ``NASPLAT_HOME``."""
        return environment.home() / re.sub(r"[^\w.-]+", "-", self.name)

    def _take_new_version(self, space: Space) -> None:
        offences = [
            f"trial {trial.number}: {offence}"
            for trial in self.store.trials(self.name)
            for offence in space.validate(trial.genotype)
        ]
        if offences:
            raise UsageError(
                f"the space {self.settings.space} has changed since study {self.name!r} began and does "
                f"not hold all its candidates any more: {'; '.join(offences[:5])}",
                hint="Undo the change, or start a new study: nasplat search --study NAME ...",
            )
        self.record = self.store.update_study(
            self.name, space=SpaceRecord(space.name, space.version, space.size())
        )

    @property
    def state(self) -> str:
        """State of the study; ``interrupted`` when it was running and nobody holds it any more."""
        state = self.store.study_state(self.name)
        if state not in (StudyState.RUNNING, StudyState.STOPPING) or self._driver is not None:
            return str(state)
        running = self.store.trials(self.name, states=[TrialState.RUNNING])
        alive = any((trial.lease_until or 0.0) > time.time() for trial in running)
        return str(state) if alive else "interrupted"

    def trials(self) -> list[TrialRecord]:
        """All trials, by number."""
        return self.store.trials(self.name)

    def trials_dataframe(self) -> pandas.DataFrame:
        """All trials as a pandas frame, one column for each metric, indexed by number."""
        return self.store.trials_dataframe(self.name)

    def pareto(self) -> list[dict[str, Any]]:
        """The Pareto front, the best first objective first.

        Returns:
            ``{"digest", "number", "metrics", "costs", "measured_on"}`` for each point.
        """
        objectives = objectives_of(self.record)
        device = None if self.settings.device is None else Device.from_json(self.settings.device)
        rows = [
            {
                "digest": trial.digest,
                "number": trial.number,
                "metrics": dict(trial.metrics),
                "costs": dict(trial.costs),
                "measured_on": None if device is None else str(device),
            }
            for trial in self.store.front(self.name)
        ]

        def first(row: Mapping[str, Any]) -> float:
            known = {**row["costs"], **row["metrics"]}
            return objectives[0].minimised(float(known[objectives[0].metric]))

        return sorted(rows, key=first)

    def used(self) -> dict[str, float]:
        """What is used of each unit of budget."""
        if self._driver is not None:
            return self._driver.used()
        totals = self.store.ledger_totals(self.name)
        used = {f"{unit}-h": total.used / 3600 for unit, total in totals.items()}
        used["s"] = used.pop("wall-h", 0.0) * 3600
        used["trials"] = float(sum(trial.attempt > 0 for trial in self.trials()))
        return used

    def status(self) -> dict[str, Any]:
        """Everything that ``nasplat status --format json`` prints."""
        trials = self.trials()
        history = History.of(self.record, trials)
        numbered = {trial.number: trial.digest for trial in trials}
        predictors = self.store.predictors(self.name)
        return {
            "study": self.name,
            "state": self.state,
            "space": self.record.space.name,
            "task": self.record.task,
            "objectives": [dict(objective) for objective in self.record.objectives],
            "constraints": [str(constraint) for constraint in constraints_of(self.record)],
            "budget": Budget.from_json(self.record.budget).to_json(self.used()),
            **history.summary(),
            "hypervolume": history.hypervolume,
            "front": [numbered[number] for number in history.front],
            "predictor": None
            if not predictors
            else {"name": predictors[-1].name, "kendall_tau": predictors[-1].kendall_tau},
            "strategy": self.settings.strategy,
            "seed": self.record.seed,
        }


def open_store(storage: str | Store | None, *, create: bool = True) -> Store:
    """The store of a URL; by default that of ``NASPLAT_STORAGE``, or a file below ``NASPLAT_HOME``."""
    if isinstance(storage, Store):
        return storage
    return Store.open(storage or environment.storage(), create=create)
