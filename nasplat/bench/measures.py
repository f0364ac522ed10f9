"""What a search on a table was worth: evaluations to the optimum, regret, share of the true front.

Numbers in, numbers out: it knows neither spaces nor strategies, and what it needs of a table fits into a
few hundred numbers (:class:`Problem`), so that stored runs are read without their table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplat import pareto
from nasplat.errors import UsageError
from nasplat.pareto import Frame

if TYPE_CHECKING:
    from nasplat.bench.table import Table

Floats = NDArray[np.float64]

MARKS = (50, 100, 200)
"""Evaluations after which regret and hypervolume are told."""
CLOSE = 1e-9
"""Part of the span of a metric within which a value counts as the optimum."""


@dataclass(frozen=True)
class Problem:
    """A table and what is searched in it.

    Attributes:
        table: Name of the table.
        title: One line on it.
        reference: Where it is from.
        objectives: Names of the metrics.
        directions: ``max`` or ``min`` of each.
        fidelities: What trials report at, rising; one number where they report once.
        size: Architectures, those that failed included.
        best: Best value of each objective in the table, minimised.
        worst: Worst value of each, minimised.
        front: The true front, minimised, ``(k, m)``.
    """

    table: str
    title: str
    reference: str
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    fidelities: tuple[int, ...]
    size: int
    best: tuple[float, ...]
    worst: tuple[float, ...]
    front: tuple[tuple[float, ...], ...]

    @classmethod
    def of(
        cls,
        table: Table,
        objectives: Sequence[str] | None = None,
        fidelities: Sequence[int] | None = None,
    ) -> Problem:
        """The problem that a table poses.

        Args:
            table: The table.
            objectives: Names of metrics; those of the table by default.
            fidelities: Rungs, rising; the highest fidelity alone by default.

        Raises:
            UsageError: A metric or fidelity is not known or named twice, every row failed, or a metric is
                the same everywhere.
        """
        names = tuple(objectives or table.objectives)
        if len(set(names)) < len(names):
            raise UsageError(f"an objective is named twice: {', '.join(names)}")
        rungs = tuple(sorted(set(fidelities or table.fidelities[-1:])))
        for rung in rungs[:-1]:
            table.values(names, rung)  # refuses what this rung does not know
        values = table.values(names, rungs[-1])
        known = values[~np.isnan(values).any(1)]
        best, worst = known.min(0), known.max(0)
        return cls(
            table=table.name,
            title=table.title,
            reference=table.reference,
            objectives=names,
            directions=tuple(table.metrics[name] for name in names),
            fidelities=rungs,
            size=len(set(table.first.tolist())),
            best=tuple(map(float, best)),
            worst=tuple(map(float, worst)),
            front=tuple(tuple(map(float, known[row])) for row in pareto.front(known)),
        )

    @property
    def single(self) -> bool:
        """Whether there is one objective."""
        return len(self.objectives) == 1

    @property
    def optimum(self) -> float | None:
        """Up to what a value of the only objective counts as the optimum; ``None`` if there are several."""
        span = self.worst[0] - self.best[0]
        return self.best[0] + CLOSE * span if self.single else None

    @property
    def name(self) -> str:
        """The table and what is searched in it, in words."""
        rungs = f" at {', '.join(map(str, self.fidelities))}" if len(self.fidelities) > 1 else ""
        return f"{self.table}: {', '.join(self.objectives)}{rungs}"

    @property
    def frame(self) -> Frame:
        """The box from the best to the worst values of the table."""
        return Frame(self.best, self.worst)

    def to_json(self) -> dict[str, Any]:
        """Every field by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Problem:
        """Decode :meth:`to_json`."""
        lists = {
            name: tuple(data[name])
            for name in ("objectives", "directions", "fidelities", "best", "worst")
        }
        front = tuple(tuple(point) for point in data["front"])
        return cls(**{**data, **lists, "front": front})


def running(problem: Problem, values: Floats) -> Floats:
    """What a search had reached after each of its evaluations, ``(n,)``.

    With one objective that is the regret, the best value so far less the optimum in the unit of the metric
    (before the first result that did not fail, the whole span); with several it is the share of the true
    front's hypervolume.

    Args:
        problem: What was searched.
        values: Results in the order of evaluations, ``(n, m)``, minimised; NaN where one failed.
    """
    table = np.asarray(values, dtype=float).reshape(-1, len(problem.objectives))
    failed = np.isnan(table).any(1)
    if problem.single:
        met = np.where(failed, problem.worst[0], table[:, 0])
        return np.asarray(np.minimum.accumulate(met) - problem.best[0])
    frame = problem.frame
    whole = frame.hypervolume(problem.front)
    front = np.zeros((0, table.shape[1]))
    shares, share = [], 0.0
    for row, bad in zip(table, failed, strict=True):
        if not bad and not (front <= row).all(1).any():
            front = np.vstack([front[~(row <= front).all(1)], row])
            share = frame.hypervolume(front) / whole
        shares.append(share)
    return np.array(shares)


def to_optimum(problem: Problem, values: Floats, cost: Floats) -> float:
    """Cost until the optimum of the only objective; infinite when it was not met.

    Args:
        problem: What was searched.
        values: Results in the order of evaluations, ``(n, m)``.
        cost: Spent after each evaluation, ``(n,)``.
    """
    if problem.optimum is None:
        return math.inf
    met = np.flatnonzero(np.asarray(values)[:, 0] <= problem.optimum)
    return float(cost[met[0]]) if len(met) else math.inf


def at(mark: float, reached: Floats, cost: Floats, before: float) -> float:
    """What was reached when ``mark`` was spent; ``before`` where nothing was finished by then.

    Args:
        mark: Cost.
        reached: From :func:`running`, ``(n,)``.
        cost: Spent after each evaluation, rising, ``(n,)``.
        before: Value before the first evaluation.
    """
    done = int(np.searchsorted(cost, mark + 1e-9, side="right"))
    return float(reached[done - 1]) if done else before


def nothing(problem: Problem) -> float:
    """What :func:`running` starts from: the whole span of regret, or none of the hypervolume."""
    return problem.worst[0] - problem.best[0] if problem.single else 0.0


def quantile(numbers: Sequence[float], part: float) -> float:
    """A quantile of numbers that may be infinite; between an infinite and another one: infinite."""
    ordered = sorted(numbers)
    place = part * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    if ordered[low] == ordered[high]:
        return ordered[low]
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def bootstrap(table: Floats, *, draws: int = 300, part: float = 0.95) -> tuple[Floats, Floats]:
    """Bounds of the mean over rows, from resampled rows.

    Args:
        table: One row for each run, ``(r, n)``.
        draws: Resamples.
        part: Share of the resampled means inside the bounds.

    Returns:
        Lower and upper bounds, ``(n,)`` each.
    """
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(table), (draws, len(table)))
    means = np.array([table[drawn].mean(0) for drawn in rows])
    low, high = np.quantile(means, [(1 - part) / 2, (1 + part) / 2], axis=0)
    return low, high
