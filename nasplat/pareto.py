"""Pareto order of objective values: ranks, crowding, fronts and a study's hypervolume.

All values are to be minimised; a violation of 0 is feasible. This module knows numbers only, neither
candidates nor trials.

References:
    [Deb2002] K. Deb et al. A fast and elitist multiobjective genetic algorithm: NSGA-II. IEEE TEC 2002.
    [Fonseca2006] C. M. Fonseca, L. Paquete, M. López-Ibáñez. An improved dimension-sweep algorithm for
        the hypervolume indicator. CEC 2006 (through the package moocore).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FIRST = 10
"""How many of the first feasible results set the open bounds of a study's hypervolume."""


def as_table(values: ArrayLike) -> Floats:
    """Values as an ``(n, m)`` table of floats; an empty input has shape ``(0, 0)``."""
    table = np.asarray(values, dtype=np.float64)
    if table.size == 0:
        return table.reshape(0, 0)
    return table.reshape(len(table), -1)


def ranks(values: ArrayLike, violations: ArrayLike | None = None) -> Integers:
    """Rank rows by constraint domination [Deb2002]: 0 is the front.

    A feasible row comes before every infeasible one; among infeasible rows the smaller violation does.

    Args:
        values: Objective values, ``(n, m)``.
        violations: Total violation of each row, ``(n,)``, at least 0; left out when all are feasible.
    """
    table = as_table(values)
    if len(table) == 0:
        return np.zeros(0, dtype=np.int64)
    broken = np.zeros(len(table)) if violations is None else np.asarray(violations, dtype=float)
    feasible = broken <= 0
    found = np.zeros(len(table), dtype=np.int64)
    if feasible.any():
        found[feasible] = moocore.pareto_rank(table[feasible])
    if not feasible.all():
        start = found[feasible].max() + 1 if feasible.any() else 0
        _, level = np.unique(broken[~feasible], return_inverse=True)
        found[~feasible] = start + level
    return found


def crowding(values: ArrayLike, rank: ArrayLike) -> Floats:
    """Crowding distance of each row among those of its rank [Deb2002]; infinite at the ends.

    Of equal rows only the first keeps its distance, the others have 0.

    Args:
        values: Objective values, ``(n, m)``.
        rank: Rank of each row, ``(n,)``.
    """
    table, ranking = as_table(values), np.asarray(rank)
    distance = np.zeros(len(table))
    levels, place, count = np.unique(ranking, return_inverse=True, return_counts=True)
    distance[count[place] == 1] = np.inf  # with one objective, nearly all
    for level in levels[count > 1]:
        rows = np.flatnonzero(ranking == level)
        distinct, first = np.unique(table[rows], axis=0, return_index=True)
        distance[rows[first]] = _gaps(distinct)
    return distance


def _gaps(distinct: Floats) -> Floats:
    """Crowding distance of the points of a front ``(k, m)`` that are all different."""
    distance = np.zeros(len(distinct))
    for column in distinct.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        span = ordered[-1] - ordered[0]
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / span
    return distance


def order(values: ArrayLike, violations: ArrayLike | None = None) -> Integers:
    """Row numbers from the best to the worst: by rank, then by crowding, then as they came."""
    ranking = ranks(values, violations)
    apart = crowding(values, ranking)
    return np.lexsort((np.arange(len(ranking)), -apart, ranking))


def front(values: ArrayLike, violations: ArrayLike | None = None) -> Integers:
    """Row numbers of the feasible rows that no feasible row dominates; of equal rows the first."""
    table = as_table(values)
    broken = np.zeros(len(table)) if violations is None else np.asarray(violations, dtype=float)
    feasible = np.flatnonzero(broken <= 0)
    if len(feasible) == 0:
        return np.zeros(0, dtype=np.int64)
    kept = moocore.is_nondominated(table[feasible], keep_weakly=False)
    return np.asarray(feasible[np.asarray(kept, dtype=bool)])


@dataclass(frozen=True)
class Frame:
    """The box in which the hypervolume of a study is measured.

    Each objective is scaled so that ``best`` becomes 0 and ``worst`` 1, clipped to [0, 1]; the reference
    point is 1 in every objective and the whole box has volume 1. A frame does not move while a search
    proceeds, so the hypervolume in it never falls.

    Attributes:
        best: Value of each objective that counts as perfect.
        worst: Value of each objective at and beyond which a result counts for nothing.
    """

    best: tuple[float, ...]
    worst: tuple[float, ...]

    def normalise(self, values: ArrayLike) -> Floats:
        """Scale values ``(n, m)`` into the unit box; a span of zero counts as one."""
        low, high = np.asarray(self.best), np.asarray(self.worst)
        span = np.where(high > low, high - low, 1.0)
        return np.asarray(np.clip((as_table(values) - low) / span, 0.0, 1.0))

    def hypervolume(self, values: ArrayLike) -> float:
        """The part of the box that feasible values ``(n, m)`` dominate, in [0, 1] [Fonseca2006]."""
        table = as_table(values)
        if len(table) == 0:
            return 0.0
        scaled = self.normalise(table)
        return float(moocore.hypervolume(scaled, ref=np.ones(scaled.shape[1])))


def study_frame(
    results: Iterable[Sequence[float]],
    *,
    best: Sequence[float | None],
    worst: Sequence[float | None] = (),
    first: int = FIRST,
) -> Frame | None:
    """The frame of a study: known bounds where there are any, the first results elsewhere.

    The rule: ``best`` is what nothing can beat (an accuracy of 1, a latency of 0, the smallest number of
    parameters in the space); an objective without such a bound takes the best of the first results less
    their span. ``worst`` is a known bound or the worst of the first results. Only the ``first`` feasible
    results count, in the order of their trials: from then on the frame stands still and the hypervolume
    of the study can only grow. Before that it is provisional.

    Args:
        results: Values of feasible results in the order of their trials, each ``(m,)``, minimised.
        best: Known best value of each objective, ``None`` where there is none.
        worst: Known worst value of each objective; empty when none is known.
        first: How many results set the open bounds, at least 1.

    Returns:
        The frame, or ``None`` while there is no result and a bound is open.
    """
    limits = tuple(worst) or (None,) * len(best)
    head = [tuple(row) for _, row in zip(range(first), results, strict=False)]
    if not head and any(bound is None for bound in (*best, *limits)):
        return None
    table = np.asarray(head, dtype=float).reshape(len(head), len(best))
    low, high = [], []
    for column, (known_best, known_worst) in enumerate(zip(best, limits, strict=True)):
        top = float(table[:, column].max()) if known_worst is None else known_worst
        if known_best is None:
            bottom = float(table[:, column].min())
            known_best = bottom - (float(table[:, column].max()) - bottom)
        low.append(float(known_best))
        high.append(top)
    return Frame(tuple(low), tuple(high))
