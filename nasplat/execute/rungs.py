"""The rule by which a trial that reaches a rung goes on or stops: asynchronous successive halving
by Pareto rank. Pure numbers; it knows no trials, no Ray and no store.

Sources:
    [Li2020asha] Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020: the
        decision is taken as each result comes in, among the results already at the rung.
    [Schmucker2021moasha] Schmucker et al., Multi-objective Asynchronous Successive Halving, 2021:
        results are ordered by non-dominated sorting, ties in a front by how much they stand apart.
Unlike [Schmucker2021moasha], which covers a front greedily (epsilon-net), ties in a front are
ordered by crowding distance: one sort, and the same order for NSGA-II and for the rungs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nasplat import pareto
from nasplat.errors import UsageError

Values = NDArray[np.float64]


def rung_verdict(
    values_at_rung: Sequence[Sequence[float]] | Values, candidate: Sequence[float], eta: float
) -> bool:
    """Say whether a candidate that reports at a rung goes on to the next.

    It goes on when it is among the best ``1 / eta`` of all results recorded at this rung, itself
    included, by Pareto rank and then crowding distance. As long as fewer than ``eta`` results are
    at the rung, itself included, there is nothing to compare with and it goes on.

    Args:
        values_at_rung: n x m, the results recorded at this rung before, without the candidate's;
            all objectives to be minimised. One with NaN is behind every candidate.
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
    known = others[~np.isnan(others).any(axis=1)]
    place = int(np.flatnonzero(pareto.order(np.concatenate([known, own])) == len(known))[0])
    return place < int(total / eta)
