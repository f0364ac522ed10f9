"""Makes a table: trains the networks of a small space and writes what came out in the neutral form.

Every network is trained by the evaluator that searches use. Rows are written as they come, so that what was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasplat import content
from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.base import Context, Job
from nasplat.evaluate.train import TrainEvaluator
from nasplat.graph.serialise import graph_to_json
from nasplat.graph.types import type_to_json
from nasplat.space.candidate import Candidate
from nasplat.space.genotype import Genotype
from nasplat.space.load import load_space
from nasplat.space.space import Space
from nasplat.tasks.base import Task
from nasplat.tasks.load import load_task

MOST = 100_000
"""Genotypes of the largest space that is trained whole."""

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained, and how.

    Attributes:
        space: Name of a shipped space or path of a space file.
        task: What ``--task`` takes.
        epochs: Fidelities, rising; a training goes on from one to the next.
        count: How many random genotypes; None: every architecture of the space.
        repeats: Trainings of each, over which metrics are averaged.
        seed: Decides for the random genotypes, weights and the order of examples.
        objectives: Such as ``accuracy:max``; none: the first metric of the task.
        title: One line.
    """

    space: str
    task: str = "digits"
    epochs: tuple[int, ...] = (2, 6)
    count: int | None = None
    repeats: int = 1
    seed: int = 0
    objectives: tuple[str, ...] = ()
    title: str = ""


def make_table(
    plan: Plan, out: Path, *, device: str = "cpu", told: Callable[[int, int], None] | None = None
) -> Path:
    """Train, and write ``out`` with its ``.toml`` and its space file beside it.

    Args:
        plan: What is trained.
        out: The file, ``NAME.csv``.
        device: As in :class:`~nasplat.evaluate.train.TrainEvaluator`.
        told: Called after each architecture with how many are done and how many there are.

    Returns:
        ``out``.

    Raises:
        UsageError: The space is too large to be trained whole, or ``out`` holds another table.
        TrialFailure: A training failed in a way that has nothing to do with its architecture.
    """
    if out.suffix != ".csv":
        raise UsageError(f"a table is written as .csv, got {out}")
    if min(plan.repeats, 1 if plan.count is None else plan.count) < 1:
        raise UsageError("a table needs at least one network, trained at least once")
    task = load_task(plan.task)
    space = load_space(plan.space, task)
    candidates = _architectures(space, plan)
    paths = list(space.points)
    columns = [*paths, "epochs", "seconds", *task.metrics, "params", "macs"]
    _head(plan, space, task, out)
    done = _begun(out, columns, paths, plan)
    evaluator = TrainEvaluator(device=device)
    with out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        if not file.tell():
            writer.writeheader()
        for number, candidate in enumerate(candidates):
            cells = {path: _cell(value) for path, value in candidate.genotype.items()}
            if tuple(cells.get(path, "") for path in paths) not in done:
                writer.writerows(
                    {**cells, **row} for row in _trained(evaluator, candidate, plan, task.spec)
                )
                file.flush()
            if told is not None:
                told(number + 1, len(candidates))
    return out


def _architectures(space: Space, plan: Plan) -> list[Candidate]:
    """The first genotype of each architecture that is to be trained."""
    genotypes: Iterable[Genotype]
    if plan.count is None:
        if space.size() > MOST:
            raise UsageError(
                f"the space {space.name} has {space.size():.2g} genotypes; at most {MOST:,} are "
                "trained whole",
                hint="Say how many random ones with --count.",
            )
        genotypes = space.genotypes()
    else:
        rng = random.Random(plan.seed)
        genotypes = (space.sample(rng) for _ in range(100 * plan.count))
    met: dict[Any, Candidate] = {}
    for genotype in genotypes:
        candidate = space.build(genotype)
        met.setdefault((candidate.digest, repr(candidate.recipe)), candidate)
        if len(met) == plan.count:
            break
    if plan.count is not None and len(met) < plan.count:
        raise UsageError(f"{space.name} gave {len(met)} different networks, {plan.count} asked for")
    return list(met.values())


def _trained(
    evaluator: TrainEvaluator, candidate: Candidate, plan: Plan, task: Mapping[str, Any]
) -> list[Row]:
    """The rows of an architecture, one for each fidelity."""
    runs: list[dict[int, Row]] = []
    for repeat in range(plan.repeats):
        job = Job(
            trial=repeat,
            digest=candidate.digest,
            graph=graph_to_json(candidate.graph),
            task=task,
            fidelities=plan.epochs,
            seed=plan.seed + repeat,
            recipe=candidate.recipe,
        )
        seconds = 0.0
        run: dict[int, Row] = {}
        with tempfile.TemporaryDirectory() as scratch:
            try:
                for report in evaluator.evaluate(job, Context(Path(scratch))):
                    seconds += report.seconds
                    run[report.fidelity] = {**report.metrics, "seconds": seconds}
            except TrialFailure as failure:
                if failure.failure is not Failure.DIVERGED:
                    raise
        runs.append(run)
    costs = {"params": candidate.cost.params, "macs": candidate.cost.macs}
    rows = []
    for epochs in plan.epochs:
        met = [run[epochs] for run in runs if epochs in run]
        whole = len(met) == plan.repeats  # a mean over the lucky ones says nothing
        means = (
            {name: float(np.mean([row[name] for row in met])) for name in met[0]} if whole else {}
        )
        rows.append({"epochs": epochs, **{name: f"{x:.6g}" for name, x in means.items()}, **costs})
    return rows


def _head(plan: Plan, space: Space, task: Task, out: Path) -> None:
    """Write what stands beside the rows, or see that it is already the same."""
    first = next(iter(task.metrics))
    file = content.find("space", plan.space, "search_spaces")
    beside = out.with_name(f"{out.stem.replace('-', '_')}_space.py")
    told = {
        "title": plan.title or f"{space.name} trained on {plan.task}",
        "reference": "made by nasplat bench make",
        "space": beside.name,
        "space_version": space.version,
        "objectives": list(plan.objectives or (f"{first}:{task.metrics[first]}",)),
        "covers": plan.count is None,
        "continues": True,
        "inputs": {name: type_to_json(one) for name, one in task.inputs.items()},
        "outputs": {name: type_to_json(one) for name, one in task.outputs.items()},
        "metrics": {**task.metrics, "params": "min", "macs": "min"},
        "made": {
            "task": plan.task,
            "epochs": list(plan.epochs),
            "repeats": plan.repeats,
            "seed": plan.seed,
            "count": plan.count or 0,
        },
    }
    text = toml_text(told)
    head = out.with_suffix(".toml")
    if out.exists() and (not head.exists() or head.read_text(encoding="utf-8") != text):
        raise UsageError(
            f"{out} holds another table, or one that was made with other settings",
            hint="Name another file, or the same settings to go on.",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    if not beside.exists() or not beside.samefile(file):
        shutil.copyfile(file, beside)
    head.write_text(text, encoding="utf-8")


def _begun(
    out: Path, columns: Sequence[str], paths: Sequence[str], plan: Plan
) -> set[tuple[str, ...]]:
    """The genotypes whose rows are all there; what an interruption left of others is removed."""
    if not out.exists():
        return set()
    with out.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    each: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        each.setdefault(tuple(row[path] for path in paths), []).append(row)
    kept = {cells: met for cells, met in each.items() if len(met) == len(plan.epochs)}
    part = out.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(row for met in kept.values() for row in met)
    part.replace(out)
    return set(kept)


def _cell(value: object) -> str:
    """A value of a decision as the neutral form has it."""
    return value if isinstance(value, str) else json.dumps(value)


def toml_text(values: Mapping[str, Any]) -> str:
    """Strings, numbers, lists of these, and tables of them at the end, as TOML."""
    flat = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
        if not isinstance(value, Mapping)
    ]
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat += [
                "",
                f"[{name}]",
                *(f"{json.dumps(key)} = {json.dumps(one)}" for key, one in value.items()),
            ]
    return "\n".join(flat) + "\n"
