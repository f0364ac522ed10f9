"""How good a predictor is: rank correlation on rows that it was not fitted on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau, spearmanr

from nasplat.errors import UsageError
from nasplat.predict.base import Floats, Predictor

SURE = 1.8
"""Deviations of Kendall's tau from 0 that count as more than chance: one in thirty without a relation."""
TOLD = 9
"""Decimals to which two predictions of a pair must differ."""


@dataclass(frozen=True)
class Quality:
    """Held-out rank correlation of a predictor.

    Attributes:
        kendall_tau: Kendall's tau-b in [-1, 1]; 0 when either side is constant.
        spearman: Spearman's correlation in [-1, 1]; 0 when either side is constant.
        rows: Rows that were predicted.
        method: How rows were held out.
    """

    kendall_tau: float
    spearman: float
    rows: int
    method: str

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON data."""
        return asdict(self)


def kendall_tau(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Kendall's tau-b of two lists of numbers, in [-1, 1]; 0 when either is constant."""
    return _correlation(kendalltau, predicted, actual)


def pairs_tau(predicted: Floats, actual: Floats) -> float:
    """Kendall's tau-b over given pairs only, in [-1, 1]; 0 when all of either side are ties.

    Args:
        predicted: What was predicted for the two of each pair, ``(p, 2)``.
        actual: What was met, ``(p, 2)``.
    """
    # Closed forms leave rounding behind where a model tells two rows nothing apart.
    told = np.sign(np.round(predicted[:, 0] - predicted[:, 1], TOLD))
    met = np.sign(actual[:, 0] - actual[:, 1])
    untied = math.sqrt(float((told**2).sum() * (met**2).sum()))
    return float(told @ met) / untied if untied else 0.0


def chance(count: int) -> float:
    """Standard deviation of Kendall's tau of ``count`` numbers without any relation; infinite for one."""
    if count < 2:
        return math.inf
    return math.sqrt(2 * (2 * count + 5) / (9 * count * (count - 1)))


def beyond_chance(tau: float, count: int) -> bool:
    """Whether Kendall's tau of ``count`` numbers exceeds 0 by :data:`SURE` of its deviations by chance."""
    return tau >= SURE * chance(count)


def in_order(predicted: ArrayLike, actual: ArrayLike) -> bool:
    """Whether predictions are in the order of actual values beyond what chance brings."""
    return beyond_chance(kendall_tau(predicted, actual), len(np.asarray(actual)))


def measure(predicted: ArrayLike, actual: ArrayLike, method: str) -> Quality:
    """The quality of predictions that were made without the actual values."""
    return Quality(
        kendall_tau(predicted, actual),
        _correlation(spearmanr, predicted, actual),
        len(np.asarray(actual)),
        method,
    )


def cross_validated(
    make: Callable[[], Predictor], X: Floats, y: Floats, *, folds: int = 5, seed: int = 0
) -> Quality:
    """Cross-validate a predictor: each row is predicted by a model of the other folds.

    Args:
        make: Makes an unfitted predictor.
        X: Features ``(n, d)``.
        y: Targets ``(n,)``.
        folds: Number of folds, in [2, n].
        seed: Seed of the split.

    Raises:
        UsageError: There are fewer rows than folds.
    """
    if not 2 <= folds <= len(y):
        raise UsageError(f"cross-validation needs 2 <= folds <= rows, got {folds=}, rows={len(y)}")
    shuffled = np.random.default_rng(seed).permutation(len(y))
    predicted = np.zeros(len(y))
    for fold in range(folds):
        held = shuffled[fold::folds]
        kept = np.setdiff1d(shuffled, held)
        model = make()
        model.fit(X[kept], y[kept])
        predicted[held] = model.predict(X[held])[0]
    return measure(predicted, y, f"{folds}-fold cross-validation")


def _correlation(function: Callable[..., Any], predicted: ArrayLike, actual: ArrayLike) -> float:
    left, right = np.asarray(predicted, dtype=float), np.asarray(actual, dtype=float)
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return 0.0
    return float(function(left, right).statistic)
