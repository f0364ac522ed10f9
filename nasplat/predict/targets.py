"""Targets that models like: values through their ranks to a normal distribution.

Only the order of values survives among the ones that were seen; between and beyond them the map is
linear, so that it can be taken back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

Floats = NDArray[np.float64]


END = 5
"""Values at either end by which the map goes on beyond them, at least; else the half at that end."""


class RankNormal:
    """Rank → normal quantile, fitted on observed values.

    Equal values share the mean of their ranks. Beyond the observed range the map goes on with the slope
    of the half at that end: a search collects values that are nearly equal to the best, and by their slope
    alone nothing much better could be expected anywhere.

    Args:
        values: Observed values ``(n,)``, at least one, finite.
    """

    def __init__(self, values: ArrayLike) -> None:
        observed = np.asarray(values, dtype=float)
        # Blom's plotting positions: quantiles close to the expected order statistics.
        scores = norm.ppf((rankdata(observed) - 0.375) / (len(observed) + 0.25))
        self.values, first = np.unique(observed, return_index=True)
        self.scores = scores[first]
        end = max(END, -(-len(self.values) // 2))
        self.slopes = self._slope(slice(0, end)), self._slope(slice(-end, None))

    def forward(self, values: ArrayLike) -> Floats:
        """Normal scores of values, of any shape."""
        given = np.asarray(values, dtype=float)
        inside = np.interp(given, self.values, self.scores)
        low, high = self.slopes
        under = np.minimum(given - self.values[0], 0.0)
        over = np.maximum(given - self.values[-1], 0.0)
        return np.asarray(inside + low * under + high * over)

    def backward(self, scores: ArrayLike) -> Floats:
        """Values of normal scores, of any shape."""
        given = np.asarray(scores, dtype=float)
        inside = np.interp(given, self.scores, self.values)
        low, high = self.slopes
        under = np.minimum(given - self.scores[0], 0.0)
        over = np.maximum(given - self.scores[-1], 0.0)
        return np.asarray(inside + under / low + over / high)

    def errors(self, values: ArrayLike, errors: ArrayLike) -> Floats:
        """Standard errors of values as those of their scores, of any shape."""
        given, deviation = np.asarray(values, dtype=float), np.asarray(errors, dtype=float)
        return (self.forward(given + deviation) - self.forward(given - deviation)) / 2

    def _slope(self, part: slice) -> float:
        """Scores per value at one end."""
        values, scores = self.values[part], self.scores[part]
        return (
            float((scores[-1] - scores[0]) / (values[-1] - values[0])) if len(values) > 1 else 1.0
        )
