"""The study loop: decides which trial runs next and records what becomes of it.

It implements :class:`nasplat.execute.base.Driver`. Candidates come from the strategy; results that any
study of the store already has are taken over; every change of state is one transaction; the budget is what
ends it. It knows neither Ray nor torch.

It is long on purpose: all that happens to a trial stands in one place, in the order in
which it happens.

Life of a trial: waiting -> running, under a lease -> reports at rungs -> complete, stopped or failed.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nasplat.errors import Failure, StoreError
from nasplat.evaluate.base import Job, Report
from nasplat.execute.base import Verdict
from nasplat.execute.policy import POLICIES, retry
from nasplat.execute.profile import Profile
from nasplat.execute.rungs import rung_verdict
from nasplat.search import leases
from nasplat.search.budget import Budget
from nasplat.search.history import History, constraints_of, known_metrics, objectives_of
from nasplat.search.jobs import JobMaker
from nasplat.search.meter import Meter
from nasplat.search.objectives import MEASURED
from nasplat.search.settings import Settings
from nasplat.search.strategies.base import Observation, Proposal, Strategy
from nasplat.space.candidate import Candidate
from nasplat.space.genotype import Genotype
from nasplat.space.space import Space
from nasplat.store.records import (
    Lease,
    MeasurementRecord,
    NewReport,
    NewTrial,
    PredictorRecord,
    ReportRecord,
    StudyRecord,
    StudyState,
    TrialState,
)
from nasplat.store.store import Store
from nasplat.tasks.base import Task

_LOOK_SECONDS = 1.0  # between two looks at the store for a stop that was asked for elsewhere


@dataclass
class _Running:
    """A trial in an executor's hands."""

    job: Job
    candidate: Candidate
    attempt: int
    metrics: dict[str, float]
    fidelity: int = 0
    seconds: float = 0.0
    broken: str = ""


class StudyDriver:
    """Runs one study.

    Args:
        store: Where everything is recorded.
        study: The study.
        space: Its space.
        task: Its task.
        strategy: Asked for candidates; told everything the store already holds.
        settings: What was fixed when the study was created.
        profile: What one trial gets; says what is charged.
    """

    def __init__(
        self,
        store: Store,
        study: StudyRecord,
        space: Space,
        task: Task,
        strategy: Strategy,
        settings: Settings,
        profile: Profile,
    ) -> None:
        self.store = store
        self.study = study
        self.space = space
        self.task = task
        self.strategy = strategy
        self.settings = settings
        self.profile = profile
        self.budget = Budget.from_json(study.budget)
        self.history = History(
            objectives_of(study), constraints_of(study), task.sizes.get("validation", 0)
        )
        unit, self.share = ("gpu", profile.gpus) if profile.gpus > 0 else ("cpu", profile.cpus)
        self.jobs = JobMaker(study.name, study.seed, task, settings, profile)
        self.meter = Meter(store, study.name, self.budget, unit, self.share)
        self._worker = leases.worker_name()
        self._running: dict[int, _Running] = {}
        self._waiting: list[int] = []
        self._candidates: dict[int, Candidate] = {}
        self._failures: dict[int, Counter[Failure]] = {}
        self._retries: dict[int, Job] = {}
        self._quality: Mapping[str, Any] | None = None
        self._stop = ""
        self._over = ""
        self._looked = 0.0
        self._started = 0
        self._restore()

    # ---- what is known ----

    @property
    def exhausted(self) -> bool:
        """Whether nothing will ever be started again."""
        return bool(self._over) and not self._waiting

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for, here or from outside, or the budget of time is spent."""
        if not self._stop and self.meter.spent() is not None:
            self._stop = self._over = f"the budget of {self.budget} is spent"
        return bool(self._stop)

    @property
    def reason(self) -> str:
        """Why nothing more is started; empty while there is."""
        return self._stop or self._over

    @property
    def done(self) -> bool:
        """Whether the study is complete: its budget is spent or its space exhausted."""
        return bool(self._over)

    @property
    def running(self) -> Mapping[int, Candidate]:
        """The trials under way."""
        return {number: item.candidate for number, item in self._running.items()}

    @property
    def waiting(self) -> tuple[int, ...]:
        """Trials that were begun or proposed and wait to go on."""
        return tuple(self._waiting)

    def used(self) -> dict[str, float]:
        """What is used of each unit of budget so far: device hours, seconds of search, trials."""
        return {**self.meter.used(), "trials": float(self._started)}

    # ---- the driver's contract ----

    def next(self) -> Job | None:
        """Hand out a waiting trial, or a new candidate of the strategy."""
        if self.stopping:
            return None
        job = self._next_waiting()
        while job is None and not self._over:
            job = self._next_new()
        return job

    def report(self, trial: int, report: Report) -> Verdict:
        """Record what a trial reached and decide at rungs by Pareto rank."""
        item = self._running[trial]
        item.metrics.update(report.metrics)
        item.fidelity = max(item.fidelity, report.fidelity)
        item.seconds += report.seconds * self.share
        self.meter.start(trial)
        self.store.report(
            self.study.name,
            trial,
            NewReport(
                fidelity=report.fidelity,
                metrics=self._stored(item),
                device_seconds=report.seconds * self.share,
                checkpoint=report.checkpoint or item.job.checkpoint,
                curve=[dict(point) for point in report.curve],
                device=self._device,
            ),
            attempt=item.attempt,
        )
        if report.checkpoint:
            item.job = dataclasses.replace(item.job, checkpoint=report.checkpoint)
        self._keep_measurements(item, report)
        return self._verdict(trial, item, report)

    def finish(self, trial: int) -> None:
        """Record the end of a trial; one that did not reach its last rung was stopped early."""
        item = self._pop(trial)
        done = item.fidelity >= self.settings.fidelities[-1]
        self._end(trial, item, TrialState.COMPLETE if done else TrialState.STOPPED, item.broken)

    def fail(self, trial: int, failure: Failure, message: str, seconds: float) -> None:
        """Record a failed attempt; try again where the class of the failure allows it."""
        item = self._pop(trial)
        counts = self._failures.setdefault(trial, Counter())
        counts[failure] += 1
        again = retry(item.job, counts)
        if again is None:
            self.history.failures[str(failure)] += 1
            self._end(
                trial,
                item,
                TrialState.FAILED,
                message,
                failure=failure,
                seconds=seconds * self.share,
            )
            return
        self._retries[trial] = again
        note = f"{failure}: {message}; tried again, {POLICIES[failure].reason}"
        self._give_back(trial, seconds, note)

    def release(self, trial: int, seconds: float) -> None:
        """Return a trial unfinished, to wait with its last checkpoint."""
        self._pop(trial)
        self._give_back(trial, seconds, "interrupted")

    def beat(self, trials: Collection[int]) -> None:
        """Renew the leases of running trials; look whether a stop was asked for elsewhere."""
        lost = self.store.beat(self.study.name, trials, worker=self._worker)
        for number in lost:
            raise StoreError(
                f"trial {number} of {self.study.name!r} was taken over by another driver",
                hint=f"See who runs it: nasplat status {self.study.name}",
            )
        self.meter.charge()
        self._look()

    def interrupt(self) -> None:
        """Stop launching."""
        self._stop = self._stop or "interrupted"

    def flush(self) -> None:
        """Charge the search time since the last entry."""
        self.meter.charge(always=True)

    # ---- starting trials ----

    def _next_waiting(self) -> Job | None:
        """Take up a trial that waits: given back, or left by a driver that is gone."""
        if not self._waiting:
            return None
        leased = self.store.lease(self.study.name, self._lease(), 1)
        if not leased:
            self._waiting.clear()
            return None
        (record,) = leased
        number = record.number
        self._waiting = [other for other in self._waiting if other != number]
        self.history.count(TrialState.WAITING, -1)
        if number not in self._candidates:
            self._candidates[number] = self.space.build(Genotype(record.genotype))
        self._begin(
            number,
            _Running(
                self._retries.pop(number) if number in self._retries else self.jobs.again(record),
                self._candidates[number],
                record.attempt,
                known_metrics(record),
                record.fidelity or 0,
                record.device_seconds,
            ),
        )
        return self._running[number].job

    def _next_new(self) -> Job | None:
        """Ask the strategy; ``None`` when nothing came of it, and ``_over`` says whether for good."""
        limit = self.budget.limit("trials")
        if limit is not None and self._started >= limit:
            self._over = f"the budget of {self.budget} is spent"
            return None
        waiting = [self._candidates[number] for number in self._waiting]
        pending = [item.candidate for item in self._running.values()] + waiting
        proposals = self.strategy.ask(1, pending)
        if not proposals:
            self._over = "the space holds nothing new that keeps the constraints"
            return None
        return self._start(proposals[0])

    def _begin(self, number: int, item: _Running) -> None:
        self._running[number] = item
        self.meter.start(number)
        self.history.count(TrialState.RUNNING)

    def _pop(self, number: int) -> _Running:
        self.meter.stop(number)
        return self._running.pop(number)

    def _start(self, proposal: Proposal) -> Job | None:
        """Record a proposal as a running trial; take over a result that the store already has."""
        candidate = proposal.candidate
        new = self.jobs.new_trial(candidate, proposal.origin)
        (number,) = self.store.add_trials(self.study.name, [new], lease=self._lease())
        self._candidates[number] = candidate
        self._started += 1
        costs = {name: float(value) for name, value in candidate.cost.as_dict().items()}
        metrics = costs | self._measured(candidate.digest)
        job = self.jobs.first(number, new, metrics)
        item = _Running(job, candidate, 1, metrics)
        self._begin(number, item)
        return None if self._taken_over(number, item, new) else job

    def _taken_over(self, number: int, item: _Running, new: NewTrial) -> bool:
        """Finish a trial with what was trained before, wherever; False when there is no such result."""
        if item.job.latency is not None or not self.settings.trains:
            return False
        known = self.store.find_result(
            new.digest,
            self.task.fingerprint,
            new.recipe_key,
            self.settings.fidelities[-1],
            new.seed,
        )
        if known is None:
            return False
        item.metrics.update(
            {name: known.metrics[name] for name in self.task.metrics if name in known.metrics}
        )
        item.fidelity = known.fidelity
        self.store.report(
            self.study.name,
            number,
            NewReport(known.fidelity, self._stored(item), 0.0, known.checkpoint, known.curve),
            shared_from=(known.study, known.number),
        )
        self._pop(number)
        note = f"result of trial {known.number} of {known.study!r}"
        self._end(number, item, TrialState.COMPLETE, note)
        return True

    def _lease(self) -> Lease:
        return Lease(
            self._worker,
            ttl_seconds=max(leases.SECONDS, 4 * self.profile.heartbeat),
            unit=self.meter.unit,
            share=self.share,
        )

    # ---- latency ----

    @property
    def _device(self) -> str | None:
        device = self.settings.device
        return None if device is None else str(device["fingerprint"])

    def _measured(self, digest: str) -> dict[str, float]:
        if self._device is None:
            return {}
        known = self.store.find_measurement(digest, self._device, "latency_ms")
        return {} if known is None else {"latency_ms": known.value}

    def _keep_measurements(self, item: _Running, report: Report) -> None:
        if self._device is None or report.fidelity > 0:
            return
        self.store.put_measurements(
            [
                MeasurementRecord(
                    item.job.digest,
                    self._device,
                    name,
                    value,
                    spread=report.metrics.get(f"{name}_iqr"),
                )
                for name, value in report.metrics.items()
                if name in MEASURED
            ]
        )
        item.job = dataclasses.replace(item.job, latency=None)

    # ---- results ----

    def _stored(self, item: _Running) -> dict[str, float]:
        """The metrics of a report: all that is not a cost of the graph."""
        costs = item.candidate.cost.as_dict()
        return {name: value for name, value in item.metrics.items() if name not in costs}

    def _verdict(self, trial: int, item: _Running, report: Report) -> Verdict:
        broken = [
            str(constraint)
            for constraint in self.history.constraints
            if constraint.metric in MEASURED
            and constraint.metric in item.metrics
            and constraint.violation(item.metrics[constraint.metric]) > 0
        ]
        if broken:
            item.broken = f"breaks {', '.join(broken)}"
            return Verdict.STOP
        values = self.history.values(item.metrics)
        last = report.fidelity >= self.settings.fidelities[-1]
        if report.fidelity == 0 or values is None or last:
            return Verdict.CONTINUE
        others = self.history.at_rung(report.fidelity, trial, values)
        self._tell(trial, item.candidate, item.metrics, report.fidelity, item.seconds, final=False)
        wanted = self.strategy.promote([trial], 1)
        if wanted is None and rung_verdict(others, values, self.settings.eta):
            return Verdict.CONTINUE
        if wanted is not None and trial in wanted:
            return Verdict.CONTINUE
        reason = f"not among the best 1/{self.settings.eta:g}" if wanted is None else "given up"
        item.broken = f"{reason} at {report.fidelity} epochs"
        return Verdict.STOP

    def _end(
        self,
        trial: int,
        item: _Running,
        state: TrialState,
        message: str = "",
        *,
        failure: Failure | None = None,
        seconds: float = 0.0,
    ) -> None:
        before = self.history.front
        if state is TrialState.COMPLETE:
            self.history.complete(trial, item.metrics)
        after = self.history.front
        self.store.finish(
            self.study.name,
            trial,
            state,
            failure=failure,
            message=message,
            device_seconds=seconds,
            attempt=item.attempt,
            front=after if after != before else None,
        )
        self.history.count(TrialState.RUNNING, -1)
        self.history.count(state)
        metrics = {} if state is TrialState.FAILED else item.metrics
        self._tell(trial, item.candidate, metrics, item.fidelity or 1, item.seconds, final=True)
        self._keep_quality()

    def _tell(
        self,
        trial: int,
        candidate: Candidate,
        metrics: Mapping[str, float],
        fidelity: int,
        seconds: float,
        *,
        final: bool,
    ) -> None:
        self.strategy.tell(
            Observation(
                number=trial,
                candidate=candidate,
                values=self.history.values(metrics),
                violation=self.history.violation(metrics),
                errors=self.history.errors(metrics),
                fidelity=fidelity,
                final=final,
                seconds=seconds if self.budget.counts_time else 0.0,
            )
        )

    def _keep_quality(self) -> None:
        quality = self.strategy.quality()
        if quality is None or quality == self._quality:
            return
        self._quality = quality
        self.store.add_predictor(
            PredictorRecord(
                self.study.name,
                str(quality.get("name", self.strategy.name)),
                str(quality.get("target", "")),
                int(quality.get("fitted_on", 0)),
                quality.get("kendall_tau"),
                quality,
            )
        )

    def _give_back(self, trial: int, seconds: float, note: str) -> None:
        self.store.release(
            self.study.name, [trial], device_seconds=seconds * self.share, message=note
        )
        self._waiting.append(trial)
        self.history.count(TrialState.RUNNING, -1)
        self.history.count(TrialState.WAITING)

    def _look(self) -> None:
        """See once a second whether somebody asked for a stop through the store."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            if self.store.study_state(self.study.name) is StudyState.STOPPING:
                self._stop = self._stop or "stopped from outside"

    # ---- taking up a study ----

    def _restore(self) -> None:
        """Take back the trials of a driver that is gone, and tell the strategy all that is stored."""
        name = self.study.name
        leases.reclaim_dead(self.store, name)
        trials = self.store.trials(name)
        self._started = sum(trial.attempt > 0 for trial in trials)
        ended = sorted(
            (t for t in trials if t.state.ended), key=lambda t: (t.ended or 0.0, t.number)
        )
        waiting = [trial for trial in trials if trial.state is TrialState.WAITING]
        for trial in trials:
            self._candidates[trial.number] = self.space.build(Genotype(trial.genotype))
            self.history.count(trial.state)
            if trial.failure is not None:
                self.history.failures[str(trial.failure)] += 1
        seconds: defaultdict[int, float] = defaultdict(float)
        for report in self.store.reports(name):
            seconds[report.number] += report.device_seconds
            self._retell(report, seconds[report.number])
        for trial in ended:
            metrics = {} if trial.state is TrialState.FAILED else known_metrics(trial)
            if trial.state is TrialState.COMPLETE:
                self.history.complete(trial.number, metrics)
            candidate = self._candidates[trial.number]
            self._tell(
                trial.number,
                candidate,
                metrics,
                trial.fidelity or 1,
                trial.device_seconds,
                final=True,
            )
        self._waiting = [trial.number for trial in waiting]

    def _retell(self, report: ReportRecord, seconds: float) -> None:
        """Tell the strategy what a trial reached at a rung, and in how long, as when it was reported."""
        candidate = self._candidates[report.number]
        metrics = {**candidate.cost.as_dict(), **report.metrics}
        values = self.history.values(metrics)
        if values is None or not 0 < report.fidelity < self.settings.fidelities[-1]:
            return
        self.history.at_rung(report.fidelity, report.number, values)
        self._tell(report.number, candidate, metrics, report.fidelity, seconds, final=False)
