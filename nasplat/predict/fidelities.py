"""Results at a lower fidelity, such as fewer epochs, put on the scale of the highest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from nasplat.predict.base import Floats

PAIRS = 8
"""Trials with reports at two fidelities from which the slope between these is learned."""
PAIRS_UP_TO = 300
"""Of more, so many are looked at: a slope is the median over all pairs of these."""


def aligned(values: Floats, fidelities: Floats, trials: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Values as they would be at the highest fidelity, by the trials that reported at two of them.

    From one fidelity to the next a straight line: through the median difference, or with a slope of its
    own (that of Theil and Sen) from :data:`PAIRS` trials on.

    Args:
        values: ``(n, m)``.
        fidelities: ``(n,)``.
        trials: The trial of each row, ``(n,)``.

    Returns:
        The values, ``(n, m)``, and the slope by which each was stretched, ``(n, m)``.
    """
    made, slopes = values.copy(), np.ones(values.shape)
    levels = np.unique(fidelities)
    for below, above in zip(levels[-2::-1], levels[:0:-1], strict=True):
        low, high = np.flatnonzero(fidelities == below), np.flatnonzero(fidelities == above)
        common, left, right = np.intersect1d(trials[low], trials[high], return_indices=True)
        if len(common) == 0:
            continue
        if len(common) > PAIRS_UP_TO:
            some = np.linspace(0, len(common) - 1, PAIRS_UP_TO).astype(int)
            left, right = left[some], right[some]
        for column in range(values.shape[1]):
            x, y = values[low[left], column], made[high[right], column]
            slope = 1.0
            if len(x) >= PAIRS and np.ptp(x) > 0:
                slope = max(float(theilslopes(y, x).slope), 0.0)
            shift = float(np.median(y - slope * x))
            made[low, column] = slope * values[low, column] + shift
            slopes[low, column] = slope
    return made, slopes
