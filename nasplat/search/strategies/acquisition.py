"""Expected improvement of the dominated volume for any number of objectives.

For independent predictions the expected hypervolume improvement is a sum over boxes that tile what the
front leaves open, each term a product over objectives [Yang2019]; with one objective it is the usual
expected improvement. A prediction is given as values with weights, so that what is modelled on another
scale (ranks) is still judged on the scale of the volume. Knows numbers only.

References:
    [Yang2019] K. Yang et al. Efficient computation of expected hypervolume improvement using box
        decomposition algorithms. J. Global Optimization 75, 2019. The tiling here is the simpler grid
        over all objectives but the last, enough for fronts of some dozen points.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from nasplat import pareto

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

    def expected_improvement(self, values: Floats, weights: Floats) -> Floats:
        """Expected volume added by each of some predictions with independent objectives.

        Args:
            values: Values that each objective may take, ``(n, m, q)``.
            weights: How likely each of the ``q`` is, ``(q,)``; their sum is 1.

        Returns:
            Expected gain, ``(n,)``, at least 0.
        """
        tops, row_of_top = np.unique(self.tops, return_inverse=True)
        gain = _below(tops, values[:, -1], weights)[:, row_of_top]
        for axis, edge in enumerate(self.edges):
            reached = _below(edge[1:], values[:, axis], weights)
            steps = np.diff(reached, axis=1, prepend=0.0)
            gain = gain * steps[:, self.cells[:, axis]]
        return np.asarray(gain.sum(1))


def _below(levels: Floats, values: Floats, weights: Floats) -> Floats:
    """Expected distance by which values ``(n, q)`` fall below each level, ``(n, levels)``."""
    gaps = np.maximum(levels[None, :, None] - values[:, None, :], 0.0)
    return np.asarray(gaps @ weights)
