"""Expected improvement of the dominated volume, in closed form for any number of objectives.

For independent normal predictions the expected hypervolume improvement is a sum over boxes that tile what
the front leaves open, each term a product over objectives [Yang2019]; with one objective it is the usual
expected improvement. Knows numbers only.

References:
    [Yang2019] K. Yang et al. Efficient computation of expected hypervolume improvement using box
        decomposition algorithms. J. Global Optimization 75, 2019. The tiling here is the simpler grid
        over all objectives but the last, enough for fronts of some dozen points.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nasplat.search import pareto

Floats = NDArray[np.float64]

LARGEST_GRID = 4000
"""Boxes at most; a front with more is thinned to its least crowded points."""


class OpenBoxes:
    """The part of objective space that a front leaves open, as disjoint boxes.

    Args:
        front: Points of the front, ``(k, m)``, minimised; may be empty.
        reference: Reference point, ``(m,)``: nothing beyond it counts.
    """

    def __init__(self, front: Floats, reference: Floats) -> None:
        objectives = len(reference)
        points = np.asarray(front, dtype=float).reshape(-1, objectives)
        points = points[(points < reference).all(1)]
        points = points[pareto.front(points)] if len(points) else points
        largest = int(LARGEST_GRID ** (1.0 / max(objectives - 1, 1))) - 1
        if objectives > 2 and len(points) > largest:
            points = points[pareto.order(points)[:largest]]
        edges = [
            np.concatenate([[-np.inf], np.unique(points[:, axis]), [reference[axis]]])
            for axis in range(objectives - 1)
        ]
        self.edges = edges
        cells = list(itertools.product(*(range(len(edge) - 1) for edge in edges)))
        lower = np.array([[edges[axis][at] for axis, at in enumerate(cell)] for cell in cells])
        lower = lower.reshape(len(cells), objectives - 1)
        below = (points[None, :, :-1] <= lower[:, None, :]).all(2)
        height = np.where(below, points[None, :, -1], reference[-1])
        self.cells = np.array(cells, dtype=int).reshape(len(cells), objectives - 1)
        self.tops = height.min(1) if len(points) else np.full(len(cells), reference[-1])

    def expected_improvement(self, mean: Floats, std: Floats) -> Floats:
        """Expected volume added by each of some independent normal predictions.

        Args:
            mean: ``(n, m)``.
            std: ``(n, m)``, at least 0.

        Returns:
            Expected gain, ``(n,)``, at least 0.
        """
        tops, row_of_top = np.unique(self.tops, return_inverse=True)
        gain = _below(tops, mean[:, -1], std[:, -1])[:, row_of_top]
        for axis, edge in enumerate(self.edges):
            steps = np.diff(_below(edge, mean[:, axis], std[:, axis]), axis=1)
            gain = gain * steps[:, self.cells[:, axis]]
        return np.asarray(gain.sum(1))


def _below(levels: Floats, mean: Floats, std: Floats) -> Floats:
    """Expected distance by which a normal variable falls below each level, ``(n, levels)``."""
    deviation = np.maximum(std, 1e-9)[:, None]
    gap = levels[None, :] - mean[:, None]
    finite = np.isfinite(gap)
    scaled = np.where(finite, gap, 0.0) / deviation
    density = np.exp(-0.5 * scaled**2) / np.sqrt(2 * np.pi)
    expected = deviation * (scaled * ndtr(scaled) + density)
    return np.where(finite, expected, 0.0)
