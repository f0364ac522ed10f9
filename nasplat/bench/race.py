"""Races strategies on a task: real training, equal budgets, several seeds, one frame for all.

Every search is an ordinary study in a database of its own, run inline. What laps come to is said by
:mod:`nasplat.bench.standings`. It knows no strategy in particular.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from nasplat.bench.runs import code_of
from nasplat.errors import NotFoundError, UsageError
from nasplat.search.budget import parse_budget
from nasplat.search.strategies.table import find_strategy
from nasplat.search.study import Study
from nasplat.space.load import default_task
from nasplat.store.records import TrialRecord
from nasplat.tasks.load import load_task

FILE = "race.jsonl"
"""Name of the file in a folder of races: one search in each line."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What is the same for all searches of a race.

    Attributes:
        space: Name or path of a space.
        task: Name or path of a task; empty: the space's own.
        budget: Of each search: ``10min``, or ``10cpu-min`` for device time, or ``40trials``.
        objectives: Such as ``accuracy:max``; none: the task's first metric and ``macs:min``.
        epochs: Length of a complete trial.
        min_epochs: First rung; ``None``: trials are never ended early.
        recipe: Fields of the training recipe that differ from its defaults.
    """

    space: str
    budget: str
    task: str = ""
    objectives: tuple[str, ...] = ()
    epochs: int = 9
    min_epochs: int | None = None
    recipe: tuple[tuple[str, Any], ...] = ()

    def settled(self) -> Course:
        """The course with its defaults filled in.

        Raises:
            UsageError: The budget cannot be read, has several limits, or an objective has no direction.
        """
        limits = parse_budget(self.budget).limits
        if len(limits) != 1:
            raise UsageError(f"a race has one limit, got {self.budget!r}")
        task = self.task or default_task(self.space)
        objectives = self.objectives
        if not objectives:
            (metric, direction), *_ = load_task(task).metrics.items()
            objectives = (f"{metric}:{direction}", "macs:min")
        for text in objectives:
            if text.partition(":")[2] not in ("max", "min"):
                raise UsageError(f"an objective is METRIC:max or METRIC:min, got {text!r}")
        return Course(
            **{**asdict(self), "task": task, "objectives": objectives, "recipe": self.recipe}
        )

    @property
    def unit(self) -> str:
        """What the budget is in: ``s`` of search, ``device s``, or ``trials``."""
        (limit,) = parse_budget(self.budget).limits
        return limit.unit if limit.unit in ("s", "trials") else "device s"

    @property
    def length(self) -> float:
        """The budget in that unit."""
        (limit,) = parse_budget(self.budget).limits
        return limit.amount * (1.0 if limit.unit in ("s", "trials") else 3600.0)

    @property
    def signs(self) -> list[float]:
        """1 for what is minimised, -1 for what is maximised."""
        return [-1.0 if text.endswith(":max") else 1.0 for text in self.objectives]

    @property
    def name(self) -> str:
        """The race in words."""
        return f"{self.space} on {self.task}, {self.budget}: {', '.join(self.objectives)}"


@dataclass(frozen=True)
class Lap:
    """One search of a race.

    Attributes:
        strategy: Name of the strategy.
        seed: Its seed.
        points: For each trained model when it was done, in the unit of the budget, and its objectives,
            minimised; in order of time.
    """

    strategy: str
    seed: int
    points: tuple[tuple[float, tuple[float, ...]], ...]


def run_lap(course: Course, search: tuple[str, int]) -> Lap:
    """Run one search of a race that is :meth:`Course.settled`."""
    name, seed = search
    with tempfile.TemporaryDirectory() as folder, _home(folder):
        study = Study.create(
            f"{name.rpartition(':')[2]}-{seed}",
            space=course.space,
            task=course.task,
            budget=course.budget,
            storage=f"sqlite:///{Path(folder) / 'results.db'}",
            objectives=course.objectives,
            strategy=name,
            executor="inline",
            epochs=course.epochs,
            min_epochs=course.epochs if course.min_epochs is None else course.min_epochs,
            recipe=dict(course.recipe),
            seed=seed,
        )
        study.run()
        trials = study.trials()
        study.store.close()
    return Lap(name, seed, tuple(_points(course, trials)))


def _points(
    course: Course, trials: Sequence[TrialRecord]
) -> Iterator[tuple[float, tuple[float, ...]]]:
    """What each trained model reached and when, those whose training was ended early included."""
    begun = min((trial.started for trial in trials if trial.started is not None), default=0.0)
    ended = sorted(
        (trial for trial in trials if trial.ended is not None), key=lambda one: one.ended or 0.0
    )
    spent = 0.0
    for place, trial in enumerate(ended):
        spent += trial.device_seconds
        known = {**trial.costs, **trial.metrics}
        values = tuple(
            sign * float(known.get(text.partition(":")[0], math.nan))
            for sign, text in zip(course.signs, course.objectives, strict=True)
        )
        if str(trial.state) in ("complete", "stopped") and not any(map(math.isnan, values)):
            wall = (trial.ended or begun) - begun
            yield {"s": wall, "trials": place + 1.0}.get(course.unit, spent), values


@contextmanager
def _home(folder: str) -> Iterator[None]:
    """Keep what a study leaves behind in a folder of its own."""
    before = os.environ.get("NASPLAT_HOME")
    os.environ["NASPLAT_HOME"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["NASPLAT_HOME"]
        else:
            os.environ["NASPLAT_HOME"] = before


def run_race(
    course: Course,
    strategies: Sequence[str],
    seeds: int,
    *,
    processes: int = 1,
    out: Path | None = None,
    done: Callable[[Lap, int, int], None] | None = None,
) -> tuple[Course, list[Lap]]:
    """Run a race, or what is missing of it.

    Args:
        course: What is the same for all.
        strategies: Names, or ``file.py:Class``.
        seeds: Searches of each strategy.
        processes: Searches side by side; they disturb each other's measured times.
        out: Folder in which laps are kept; ``None`` keeps nothing.
        done: Called after each lap with it, how many are done, and how many there are.

    Returns:
        The course with its defaults filled in, and the laps.

    Raises:
        UsageError: Something is unknown or can never work; nothing was started.
    """
    if not strategies or seeds < 1 or processes < 1:
        raise UsageError(
            "a race needs at least one strategy, one seed and one process, got "
            f"{len(strategies)}, {seeds} and {processes}"
        )
    for name in strategies:
        find_strategy(name)
    course = course.settled()
    known = {} if out is None else _known(out, course)
    searches = [(name, seed) for seed in range(seeds) for name in strategies]
    laps = [known[search] for search in searches if search in known]
    missing = [search for search in searches if search not in known]
    for lap in _run(course, missing, processes):
        laps.append(lap)
        if out is not None:
            _append(out, course, lap)
        if done is not None:
            done(lap, len(laps), len(searches))
    return course, laps


def _run(course: Course, searches: Sequence[tuple[str, int]], processes: int) -> Iterator[Lap]:
    if processes == 1 or len(searches) < 2:
        yield from map(partial(run_lap, course), searches)
        return
    with ProcessPoolExecutor(min(processes, len(searches)), mp_context=get_context("fork")) as pool:
        for future in as_completed([pool.submit(run_lap, course, one) for one in searches]):
            yield future.result()


def read(folder: Path) -> list[tuple[Course, list[Lap]]]:
    """The races of a folder.

    Raises:
        NotFoundError: It holds none.
    """
    file = folder / FILE
    if not file.is_file():
        raise NotFoundError(f"{folder} holds no race", hint="Make one: nasplat bench race --help")
    found: dict[str, tuple[Course, dict[tuple[str, int], Lap]]] = {}
    for data in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        course = _course(data["course"])
        lap = _lap(data["lap"])
        laps = found.setdefault(json.dumps(data["course"]), (course, {}))[1]
        laps[lap.strategy, lap.seed] = lap
    return [(course, list(laps.values())) for course, laps in found.values()]


def _known(folder: Path, course: Course) -> dict[tuple[str, int], Lap]:
    """The laps of a course in a folder, made with the code of now."""
    if not (folder / FILE).is_file():
        return {}
    found = {}
    for data in map(json.loads, (folder / FILE).read_text(encoding="utf-8").splitlines()):
        lap = _lap(data["lap"])
        if _course(data["course"]) == course and data["code"] == code_of(lap.strategy):
            found[lap.strategy, lap.seed] = lap
    return found


def _append(out: Path, course: Course, lap: Lap) -> None:
    out.mkdir(parents=True, exist_ok=True)
    data = {"course": asdict(course), "lap": asdict(lap), "code": code_of(lap.strategy)}
    with (out / FILE).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(data) + "\n")


def _course(data: Mapping[str, Any]) -> Course:
    recipe = tuple((name, value) for name, value in data["recipe"])
    return Course(**{**data, "objectives": tuple(data["objectives"]), "recipe": recipe})


def _lap(data: Mapping[str, Any]) -> Lap:
    points = tuple((float(when), tuple(values)) for when, values in data["points"])
    return Lap(data["strategy"], data["seed"], points)
