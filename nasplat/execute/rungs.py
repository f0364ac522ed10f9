"""The rule by which a trial that reaches a rung goes on or stops: asynchronous successive halving
by Pareto rank. Pure numbers; it knows no trials, no Ray and no store.

Sources:
    [Li2020asha] Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020: the
        decision is taken as each result comes in, among the results already at the rung.
    [Schmucker2021moasha] Schmucker et al., Multi-objective Asynchronous Successive Halving, 2021:
        results are ordered by non-dominated sorting, ties in a front by how much they stand apart.
    [Deb2002nsga2] Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, 2002:
        crowding distance.
Unlike [Schmucker2021moasha], which covers a front greedily (epsilon-net), ties in a front are
ordered by crowding distance: one sort, and the same order for NSGA-II and for the rungs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nasplat.errors import UsageError

Values = NDArray[np.float64]


def pareto_ranks(values: Values) -> NDArray[np.int64]:
    """Number the fronts that each point lies in, 0 for points that nothing dominates.

    Args:
        values: n x m, all to be minimised; NaN is worse than everything.

    Returns:
        n ranks >= 0.
    """
    points = np.where(np.isnan(values), np.inf, values)
    not_worse = np.less_equal(points[:, None, :], points[None, :, :]).all(axis=2)
    better = np.less(points[:, None, :], points[None, :, :]).any(axis=2)
    dominates: NDArray[np.bool_] = np.logical_and(not_worse, better)
    ranks = np.full(len(points), -1, dtype=np.int64)
    rank = 0
    left = np.ones(len(points), dtype=bool)
    while left.any():
        front = left & ~dominates[left].any(axis=0)
        ranks[front] = rank
        left &= ~front
        rank += 1
    return ranks


def crowding_distances(values: Values) -> Values:
    """Measure how far each point of one front stands apart from its neighbours.

    Args:
        values: n x m, one front.

    Returns:
        n distances >= 0; infinite for the points at the ends of an objective. Of equal points
        only the first keeps its distance, the others have 0.
    """
    points = np.where(np.isnan(values), np.inf, values)
    distinct, first, back = np.unique(points, axis=0, return_index=True, return_inverse=True)
    distances = np.zeros(len(distinct))
    for column in distinct.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        finite = ordered[np.isfinite(ordered)]
        spread = finite[-1] - finite[0] if len(finite) > 1 else 0.0
        distances[order[[0, -1]]] = np.inf
        if spread > 0:
            with np.errstate(invalid="ignore"):
                gaps = (ordered[2:] - ordered[:-2]) / spread
            distances[order[1:-1]] += np.where(np.isnan(gaps), 0.0, gaps)
    spread_out = np.zeros(len(points))
    spread_out[first] = distances[np.ravel(back)[first]]
    return spread_out


def order(values: Values) -> NDArray[np.int64]:
    """Sort points by Pareto rank, then by crowding distance in their front, the best first.

    Equal points keep their order of arrival.
    """
    ranks = pareto_ranks(values)
    distances = np.zeros(len(values))
    for rank in range(int(ranks.max(initial=-1)) + 1):
        members = np.flatnonzero(ranks == rank)
        distances[members] = crowding_distances(values[members])
    return np.lexsort((np.arange(len(values)), -distances, ranks)).astype(np.int64)


def rung_verdict(
    values_at_rung: Sequence[Sequence[float]] | Values, candidate: Sequence[float], eta: float
) -> bool:
    """Say whether a candidate that reports at a rung goes on to the next.

    It goes on when it is among the best ``1 / eta`` of all results recorded at this rung, itself
    included, by Pareto rank and then crowding distance. As long as fewer than ``eta`` results are
    at the rung, itself included, there is nothing to compare with and it goes on.

    Args:
        values_at_rung: n x m, the results recorded at this rung before, without the candidate's;
            all objectives to be minimised.
        candidate: m values of the candidate; one with NaN never goes on once there are ``eta``.
        eta: Reduction factor, > 1: one in ``eta`` goes on.

    Raises:
        UsageError: ``eta`` is not above 1, or the numbers of objectives differ.
    """
    if not eta > 1:
        raise UsageError(f"eta must be above 1 (one in eta goes on), got {eta}")
    own = np.asarray(candidate, dtype=np.float64).reshape(1, -1)
    others = np.asarray(values_at_rung, dtype=np.float64)
    others = others.reshape(len(others), -1) if len(others) else others.reshape(0, own.shape[1])
    if others.shape[1] != own.shape[1]:
        raise UsageError(
            f"the rung holds {others.shape[1]} objectives, the candidate has {own.shape[1]}"
        )
    total = len(others) + 1
    if total < eta:
        return True
    if np.isnan(own).any():
        return False
    place = int(np.flatnonzero(order(np.concatenate([others, own])) == total - 1)[0])
    return place < int(total / eta)
