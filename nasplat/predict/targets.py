"""Targets that models like: values through their ranks to a normal distribution.

Only the order of values survives among the ones that were seen; between and beyond them the map is
linear, so that it can be taken back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

Floats = NDArray[np.float64]


class RankNormal:
    """Rank → normal quantile, fitted on observed values.

    Equal values share the mean of their ranks. Beyond the observed range the map goes on with the mean
    slope of the fitted one.

    Args:
        values: Observed values ``(n,)``, at least one, finite.
    """

    def __init__(self, values: ArrayLike) -> None:
        observed = np.asarray(values, dtype=float)
        # Blom's plotting positions: quantiles close to the expected order statistics.
        scores = norm.ppf((rankdata(observed) - 0.375) / (len(observed) + 0.25))
        self.values, first = np.unique(observed, return_index=True)
        self.scores = scores[first]
        reach = self.values[-1] - self.values[0]
        self.slope = (self.scores[-1] - self.scores[0]) / reach if reach > 0 else 1.0

    def forward(self, values: ArrayLike) -> Floats:
        """Normal scores of values, of any shape."""
        given = np.asarray(values, dtype=float)
        inside = np.interp(given, self.values, self.scores)
        beyond = given - np.clip(given, self.values[0], self.values[-1])
        return np.asarray(inside + self.slope * beyond)

    def backward(self, scores: ArrayLike) -> Floats:
        """Values of normal scores, of any shape."""
        given = np.asarray(scores, dtype=float)
        inside = np.interp(given, self.scores, self.values)
        beyond = given - np.clip(given, self.scores[0], self.scores[-1])
        return np.asarray(inside + beyond / self.slope)
