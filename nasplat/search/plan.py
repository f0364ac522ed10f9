"""Resolves what a user asks for into a plan that can run, before anything is stored or started.

Everything that can be refused is refused here: unknown names, constraints that no candidate meets, a
budget that the cluster can never spend.
"""

from __future__ import annotations

import inspect
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasplat.content import load_file
from nasplat.errors import UsageError
from nasplat.evaluate.base import Context
from nasplat.execute.cluster import Cluster, local_cluster, this_machine
from nasplat.execute.preflight import preflight
from nasplat.execute.profile import Profile, load_profile
from nasplat.graph.cost import COSTS
from nasplat.graph.op import Op
from nasplat.hardware.device import Device, find_device
from nasplat.search.budget import Budget, parse_budget
from nasplat.search.jobs import JobMaker
from nasplat.search.objectives import (
    MEASURED,
    Constraint,
    Objective,
    check_satisfiable,
    parse_constraint,
    parse_objectives,
    violation,
)
from nasplat.search.proxies import resolved
from nasplat.search.settings import QUICK, Settings, rungs
from nasplat.search.stored import open_store
from nasplat.search.strategies.table import DEFAULT, find_strategy, make_strategy
from nasplat.search.transfer import Informant, informants
from nasplat.space.designs import restricted
from nasplat.space.load import default_task, load_space
from nasplat.space.space import Space
from nasplat.store.store import Store
from nasplat.tasks.base import Task
from nasplat.tasks.load import load_task
from nasplat.tasks.recipe import Recipe, batch_size_for

_OP_SAMPLES = 32  # random candidates that are searched for ops of the user's own
_SHARE_SAMPLES = 200  # random candidates that tell which share keeps the cheap constraints


@dataclass(frozen=True)
class Plan:
    """A search that can run.

    Attributes:
        name: Name of the study.
        slots: How many trials run at the same time, at least 1.
        device: The device that latency is measured on; ``None`` when no metric asks for it.
        transfer: Earlier studies that inform the strategy.
    """

    name: str
    space: Space
    task: Task
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    budget: Budget
    settings: Settings
    profile: Profile
    seed: int
    slots: int
    device: Device | None
    transfer: tuple[Informant, ...] = ()

    def share_feasible(self) -> float:
        """The share of random candidates that keep the cheap constraints, in [0, 1]."""
        rng = random.Random(self.seed)
        kept = sum(
            violation(self.constraints, candidate.cost.as_dict()) <= 0
            for candidate in self.space.batch(_SHARE_SAMPLES, rng)
        )
        return kept / _SHARE_SAMPLES

    def candidates(self, seconds_per_epoch: float) -> int:
        """About how many candidates the budget lasts for.

        One in ``eta`` trials goes on beyond each rung; a candidate costs its epochs and little else.

        Args:
            seconds_per_epoch: Of a candidate of middle size.
        """
        epochs, before, survive = 0.0, 0, 1.0
        for fidelity in self.settings.fidelities:
            epochs += (fidelity - before) * survive
            before, survive = fidelity, survive / self.settings.eta
        each = max(epochs * seconds_per_epoch, 1e-6)
        share = self.profile.gpus if self.profile.gpus > 0 else self.profile.cpus
        found = []
        for limit in self.budget.limits:
            if limit.unit == "trials":
                found.append(limit.amount)
            elif limit.unit == "s":
                found.append(limit.amount * self.slots / each)
            else:
                found.append(limit.amount * 3600 / (each * share))
        return max(1, int(min(*found, float(self.space.size())) if found else 1))


def make_plan(
    *,
    space: str,
    task: str | Mapping[str, Any] | Task | None = None,
    budget: str,
    name: str = "",
    objectives: Sequence[str] = (),
    constraints: Sequence[str] = (),
    strategy: str = DEFAULT,
    options: Mapping[str, Any] | None = None,
    workers: str = "laptop",
    executor: str = "ray",
    epochs: int = 27,
    min_epochs: int = 3,
    eta: float = 3.0,
    final_epochs: int | None = None,
    device: str = "cpu",
    recipe: Mapping[str, Any] | None = None,
    evaluator: Mapping[str, Any] | None = None,
    op_files: Sequence[str] = (),
    within: Sequence[str] = (),
    like: Sequence[str] = (),
    transfer: Sequence[str] = (),
    storage: str | Store | None = None,
    seed: int = 0,
) -> Plan:
    """Resolve a search.

    Args:
        space: Name of a space or path of a space file.
        task: Name or path of a task, its spec, or a task; absent: the space's own.
        budget: Such as ``100gpu-h``, ``2h30m``, ``500trials``, or several with commas.
        name: Name of the study; by default space and task.
        objectives: Such as ``accuracy:max``; none: the task's first metric and latency.
        constraints: Such as ``params<=5M``.
        strategy: Name of a strategy, or ``file.py:Class``.
        options: Settings of the strategy.
        workers: Name or path of a worker profile.
        executor: ``ray`` or ``inline``.
        epochs: Length of a complete trial.
        min_epochs: Fewest epochs of the first rung.
        eta: One in ``eta`` trials goes on beyond a rung.
        final_epochs: Length of the training of winners; by default twice ``epochs``.
        device: Name of the device that latency is measured on.
        recipe: Fields of the training recipe that differ from its defaults; the batch size is by default
            smaller where there are few training examples.
        evaluator: Spec of the evaluator; by default training.
        op_files: Files that define ops beyond the library's.
        within: Designs of the space, or rules ``PATTERN=VALUE,VALUE``, that every candidate keeps to.
        like: Designs of the space that the first candidates are drawn from.
        transfer: Earlier studies, of any task and space, that the strategy learns from.
        storage: Where these are: URL of the results database, or a store; by default ``NASPLAT_STORAGE`` or
            a file.
        seed: Seed of everything random.

    Raises:
        NotFoundError: There is no study or database to learn from.
        UsageError: Something is unknown, malformed or can never work; says what was expected.
    """
    limits = parse_budget(budget)
    profile = load_profile(workers)
    slots = preflight(
        profile, _cluster(profile), [(limit.unit, limit.amount) for limit in limits.limits]
    )
    find_strategy(strategy)
    Recipe.from_mapping(dict(recipe or {}))
    if task is None:
        task = default_task(space)
    made = task if isinstance(task, Task) else load_task(task)
    spec = dict(evaluator or {"kind": "train"})
    reported = _reported(spec, made, objectives)
    metrics = (*reported, *MEASURED, *COSTS)
    wanted = parse_objectives(objectives, reported)
    bounds = tuple(parse_constraint(text, metrics) for text in constraints)
    found = restricted(load_space(space, made), within)
    asked = resolved(options or {}, made, seed)
    make_strategy(strategy, found, objectives=len(wanted), seed=seed, options=asked)
    informed: tuple[Informant, ...] = ()
    if transfer:
        store = open_store(storage, create=False)
        informed = tuple(informants(store, transfer, strategy, wanted))
    cheap = {bound.metric for bound in bounds if bound.cheap}
    if cheap:
        check_satisfiable(bounds, found.cost_ranges(*sorted(cheap)))
    named = {objective.metric for objective in wanted} | {bound.metric for bound in bounds}
    measured = bool(named & set(MEASURED)) and spec["kind"] not in QUICK
    settings = Settings(
        space=str(Path(space).resolve()) if space.endswith(".py") else space,
        within=tuple(within),
        like=tuple(like),
        strategy=strategy,
        options=dict(options or {}),
        transfer={one.study: one.until for one in informed},
        fidelities=rungs(epochs, eta, min_epochs),
        eta=eta,
        profile=str(Path(workers).resolve()) if workers.endswith(".toml") else workers,
        executor=executor,
        evaluator=spec,
        recipe={"batch_size": batch_size_for(made.sizes["train"])} | dict(recipe or {}),
        op_files=_op_files(space, found, op_files),
        final_epochs=final_epochs or 2 * epochs,
    )
    settings.starts(found)  # refuses what the space does not hold
    return Plan(
        name=name or f"{Path(space).stem}-{Path(made.name).stem}",
        space=found,
        task=made,
        objectives=wanted,
        constraints=bounds,
        budget=limits,
        settings=settings,
        profile=profile,
        seed=seed,
        slots=1 if executor == "inline" else slots,
        device=find_device(device) if measured else None,
        transfer=informed,
    )


def _reported(
    evaluator: Mapping[str, Any], task: Task, objectives: Sequence[str]
) -> Mapping[str, str]:
    """Direction of each metric that an evaluator reports: the task's, unless it reports proxies."""
    if evaluator.get("kind") != "proxies":
        return task.metrics
    if not objectives:
        raise UsageError(
            "a search by zero-cost proxies needs objectives, none is given",
            hint="For instance: objective: [synflow, params]",
        )
    # torch is imported only by who asks for proxies
    from nasplat.evaluate.proxies.measure import check_names

    return {name: "max" for name in check_names(evaluator.get("names") or ()) if name not in COSTS}


def _cluster(profile: Profile) -> Cluster:
    # A cluster elsewhere is asked when the executor has joined it; here only this machine can be known.
    return local_cluster(profile) if profile.local else this_machine()


def _op_files(name: str, space: Space, files: Sequence[str]) -> tuple[str, ...]:
    """The files that define ops beyond the library's, so that workers load them too.

    Beside the given ones those of all ops that a space file of the user's own imports or defines, and
    of the ops that random candidates hold.
    """
    found = {str(Path(file).resolve()): None for file in files}
    if name.endswith(".py"):
        kinds = [kind for kind in vars(load_file(Path(name))).values() if isinstance(kind, type)]
        kinds += [
            type(node.op)
            for candidate in space.batch(_OP_SAMPLES, random.Random(0))
            for node in candidate.graph.nodes
        ]
        own = (kind for kind in kinds if issubclass(kind, Op) and _is_own(kind))
        found.update({str(Path(inspect.getfile(kind)).resolve()): None for kind in own})
    return tuple(found)


def _is_own(kind: type[Op]) -> bool:
    return kind.__module__.partition(".")[0] != "nasplat"


def seconds_per_epoch(plan: Plan) -> float:
    """Train a candidate of middle size for two epochs and time the second.

    Of some random candidates that keep the cheap constraints, the one with the median MACs is taken.
    """
    # torch is imported only by who asks for the time of an epoch
    from nasplat.evaluate.train import TrainEvaluator

    rng = random.Random(plan.seed)
    drawn = [
        candidate
        for candidate in plan.space.batch(15, rng)
        if violation(plan.constraints, candidate.cost.as_dict()) <= 0
    ] or [plan.space.build(plan.space.default())]
    middle = sorted(drawn, key=lambda candidate: candidate.cost.macs)[len(drawn) // 2]
    settings = Settings(
        space=plan.settings.space,
        fidelities=(1, 2),
        recipe=plan.settings.recipe,
        op_files=plan.settings.op_files,
    )
    maker = JobMaker(plan.name, plan.seed, plan.task, settings, plan.profile)
    job = maker.first(0, maker.new_trial(middle, {}), {})
    with tempfile.TemporaryDirectory(prefix="nasplat-") as scratch:
        *_, last = TrainEvaluator().evaluate(job, Context(Path(scratch)))
    return last.seconds
