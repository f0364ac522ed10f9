"""A study: one search over one space for one task, from its plan to its Pareto front.

    study = Study.create(name="flowers", space="hybrid-vit", task="./flowers", budget="8gpu-h")
    study.run()
    study.pareto()

All that a study knows is in the store; a study that was interrupted is loaded and run again.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from nasplat import settings as environment
from nasplat.errors import BudgetSpentError, Failure, NotFoundError, UsageError
from nasplat.evaluate.base import Job, Report, evaluator_from_spec
from nasplat.execute.base import Executor
from nasplat.execute.engine import RayExecutor
from nasplat.execute.inline import InlineExecutor
from nasplat.graph.cost import COSTS
from nasplat.hardware.device import Device
from nasplat.search import transfer
from nasplat.search.budget import Budget, parse_budget
from nasplat.search.driver import StudyDriver
from nasplat.search.history import constraints_of, objectives_of
from nasplat.search.objectives import violation
from nasplat.search.plan import Plan, make_plan
from nasplat.search.proxies import resolved
from nasplat.search.stored import StoredStudy, open_store
from nasplat.search.strategies.base import Measure, Strategy
from nasplat.search.strategies.table import make_strategy
from nasplat.space.candidate import Candidate
from nasplat.store.records import (
    DeviceRecord,
    EventRecord,
    NewStudy,
    SpaceRecord,
    StudyState,
)
from nasplat.store.store import Store
from nasplat.tasks.base import Task

if TYPE_CHECKING:
    pass

_QUICK_SECONDS = 0.2  # results of quick evaluators are committed in groups this old


@dataclass(frozen=True)
class Asked:
    """A trial for a loop of one's own: evaluate the candidate and :meth:`Study.tell` its metrics."""

    number: int
    candidate: Candidate
    job: Job


class Study(StoredStudy):
    """A stored study that can be run. Made by :meth:`create` or :meth:`load`."""

    # ---- making and finding ----

    @classmethod
    def create(
        cls,
        name: str = "",
        *,
        space: str,
        task: str | Mapping[str, Any] | Task | None = None,
        budget: str,
        storage: str | Store | None = None,
        exist_ok: bool = False,
        **options: Any,
    ) -> Study:
        """Plan a study and store it; nothing is evaluated yet.

        Args:
            name: Name, unique in the storage; by default space and task.
            space: Name or path of a space.
            task: Name or path of a task, or a task; absent: the space's own.
            budget: Such as ``100gpu-h`` or ``30min``.
            storage: URL of the results database, or a store; by default ``NASPLAT_STORAGE`` or a file.
            exist_ok: Take up the study of this name when it searches the same.
            **options: As in :func:`nasplat.search.plan.make_plan`.

        Raises:
            UsageError: Something is unknown, malformed or can never work, or the name is taken.
        """
        plan = make_plan(
            name=name, space=space, task=task, budget=budget, storage=storage, **options
        )
        return cls.from_plan(plan, storage, exist_ok=exist_ok)

    @classmethod
    def from_plan(
        cls, plan: Plan, storage: str | Store | None = None, *, exist_ok: bool = False
    ) -> Study:
        """Store a planned study."""
        store = open_store(storage)
        device = None if plan.device is None else _calibrated(store, plan.device)
        settings = dataclasses.replace(
            plan.settings, device=None if device is None else device.to_json()
        )
        record = store.create_study(
            NewStudy(
                name=plan.name,
                space=SpaceRecord(plan.space.name, plan.space.version, plan.space.size()),
                task=plan.task.name,
                task_fingerprint=plan.task.fingerprint,
                task_spec=plan.task.spec,
                objectives=[objective.to_json() for objective in plan.objectives],
                constraints=[dataclasses.asdict(constraint) for constraint in plan.constraints],
                budget=plan.budget.to_json({}),
                settings=settings.to_json(),
                seed=plan.seed,
                environment=_environment(),
            ),
            exist_ok=exist_ok,
        )
        study = cls(store, record)
        study._task, study._space = plan.task, plan.space
        return study

    @classmethod
    def load(cls, name: str | None = None, storage: str | Store | None = None) -> Study:
        """Load a stored study.

        Args:
            name: Its name; may be left out when the storage holds exactly one.
            storage: URL of the results database, or a store.

        Raises:
            NotFoundError: No such study or database; lists the known ones.
            UsageError: No name is given and there are several.
        """
        store = open_store(storage, create=False)
        if name is None:
            known = [record.name for record in store.studies()]
            if not known:
                raise NotFoundError(
                    f"{store.url} holds no study", hint="Start one: nasplat search --help"
                )
            if len(known) > 1:
                raise UsageError(f"which study? {store.url} holds {', '.join(known)}")
            name = known[0]
        return cls(store, store.study(name))

    # ---- running ----

    def strategy(self) -> Strategy:
        """A fresh strategy of this study, told nothing yet."""
        constraints = constraints_of(self.record)
        objectives = objectives_of(self.record)
        cheap = [constraint for constraint in constraints if constraint.cheap]

        def broken(candidate: Candidate) -> float:
            return violation(cheap, candidate.cost.as_dict())

        exact: dict[int, Measure] = {}
        for index, objective in enumerate(objectives):
            if objective.metric in COSTS:
                exact[index] = _cost_measure(objective.metric, objective.minimised(1.0))
        options = resolved(self.settings.options, self.task, self.record.seed, self._charge_proxies)
        if self.settings.transfer:
            options[transfer.OPTION] = transfer.earlier(
                self.store, self.settings.transfer, objectives
            )
        return make_strategy(
            self.settings.strategy,
            self.space,
            objectives=len(objectives),
            seed=self.record.seed,
            cheap=broken if cheap else None,
            exact=exact,
            options=options,
            starts=self.settings.starts(self.space),
            fidelities=self.settings.fidelities,
        )

    def _charge_proxies(self, seconds: float) -> None:
        # whoever drives a search measures candidates on its own processor
        self.store.charge(self.name, "cpu", seconds, "proxies of candidates")

    def driver(self) -> StudyDriver:
        """What decides and records; one for each process. For executors and Ray Tune's seams."""
        if self._driver is None:
            self._driver = StudyDriver(
                self.store,
                self.record,
                self.space,
                self.task,
                self.strategy(),
                self.settings,
                self.profile,
            )
        return self._driver

    def executor(self) -> Executor:
        """The executor that the study was created for."""
        profile = self.profile
        scratch = self.folder / "checkpoints"
        if self.settings.executor == "inline":
            return InlineExecutor(
                evaluator_from_spec(self.settings.evaluator),
                scratch=scratch,
                timeout=profile.timeout,
                grace=profile.grace,
                heartbeat=profile.heartbeat,
            )
        budget = Budget.from_json(self.record.budget)
        return RayExecutor(
            profile,
            self.settings.evaluator,
            scratch=scratch,
            budget=[(limit.unit, limit.amount) for limit in budget.limits],
        )

    def run(self, executor: Executor | None = None) -> None:
        """Search until the budget is spent, the space is exhausted or a stop is asked for.

        A study that was stopped or killed goes on where it was.

        Args:
            executor: Runs the trials; by default the one the study was created for.

        Raises:
            BudgetSpentError: The budget was spent before.
            KeyboardInterrupt: At the second Ctrl-C; what was recorded is kept.
        """
        self._driver = None
        driver = self.driver()
        spent = driver.budget.spent(driver.used())
        if spent is not None and not driver.waiting:
            raise BudgetSpentError(
                f"the budget of study {self.name!r} is spent: {spent}",
                hint=f"Give it a larger one: nasplat resume {self.name} --budget ...",
            )
        self._mark(StudyState.RUNNING, "started" if not driver.history.states else "resumed")
        quick = not self.settings.trains
        try:
            with self.store.batch(_QUICK_SECONDS) if quick else nullcontext():
                (executor or self.executor()).run(driver)
        finally:
            state = StudyState.COMPLETE if driver.done else StudyState.STOPPED
            self._mark(state, driver.reason or "failed")

    def _mark(self, state: StudyState, reason: str) -> None:
        self.record = self.store.update_study(self.name, state=state)
        self.store.add_event(EventRecord(str(state), reason, study=self.name))

    def extend(self, budget: str) -> None:
        """Set another budget; what is used already counts.

        Raises:
            BudgetError: It cannot be read.
        """
        limits = parse_budget(budget)
        self.record = self.store.update_study(self.name, budget=limits.to_json({}))
        self._driver = None

    def stop(self) -> None:
        """Ask whoever runs the study to launch nothing more and to keep all; returns at once.

        Raises:
            UsageError: The study is not running.
        """
        if self.state not in ("running", "stopping"):
            raise UsageError(f"study {self.name!r} is not running: it is {self.state}")
        self._mark(StudyState.STOPPING, "asked for")

    def ask(self) -> Asked:
        """Take the next trial, for a loop of one's own.

        Raises:
            BudgetSpentError: Nothing more is started; the message says why.
        """
        driver = self.driver()
        job = driver.next()
        if job is None:
            raise BudgetSpentError(f"study {self.name!r} starts nothing more: {driver.reason}")
        return Asked(job.trial, driver.running[job.trial], job)

    def tell(
        self,
        trial: Asked,
        metrics: Mapping[str, float] | None = None,
        *,
        seconds: float = 0.0,
        failure: Failure = Failure.BUG,
        message: str = "",
    ) -> None:
        """Say what became of a trial that was asked for.

        Args:
            trial: What :meth:`ask` returned.
            metrics: Its metrics, all objectives among them; ``None`` when it failed.
            seconds: Device seconds that it took.
            failure: Class of the failure.
            message: What happened.

        Raises:
            UsageError: An objective is missing; all are named.
        """
        driver = self.driver()
        if metrics is None:
            driver.fail(trial.number, failure, message, seconds)
            return
        known = {**trial.candidate.cost.as_dict(), **metrics}
        objectives = objectives_of(self.record)
        missing = [objective.metric for objective in objectives if objective.metric not in known]
        if missing:
            raise UsageError(
                f"trial {trial.number} lacks {', '.join(missing)}; got {dict(metrics)}"
            )
        driver.report(
            trial.number,
            Report(
                fidelity=self.settings.fidelities[-1], metrics=metrics, seconds=seconds, final=True
            ),
        )
        driver.finish(trial.number)


def _calibrated(store: Store, device: Device) -> Device:
    """The device with the nominal time of its reference model, measured once for each database."""
    for known in store.devices():
        if known.fingerprint == device.fingerprint:
            return Device.from_json(known.data)
    from nasplat.hardware.latency import calibrate

    measured = calibrate(device)
    store.put_device(DeviceRecord(measured.fingerprint, measured.name, measured.to_json()))
    return measured


def _cost_measure(name: str, sign: float) -> Measure:
    return lambda candidate: sign * float(candidate.cost.as_dict()[name])


def _environment() -> dict[str, str]:
    packages = ("nasplat", "torch", "ray", "optuna", "onnxruntime", "numpy")
    return {
        "python": platform.python_version(),
        "machine": platform.platform(),
        **{name: version(name) for name in packages},
        **environment.used(),
    }
