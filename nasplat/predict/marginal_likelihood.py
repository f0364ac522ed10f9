"""The marginal likelihood of the Gaussian process, its gradient, and columns that share a weight.

References:
    [Rasmussen2006] as in gaussian_process.py, 5.4.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from nasplat.predict.base import Floats

ROOT5 = np.sqrt(5.0)
JITTER = 1e-8


class Alike:
    """Columns that say the same of some rows: equal, or opposite, within a group.

    Args:
        rows: ``(n, d)``, centred.
        group: Group of each column, ``(d,)``.

    Attributes:
        first: The first column of each kind, without those that are constant.
        times: How many columns there are of each kind.
    """

    def __init__(self, rows: Floats, group: NDArray[np.int64]) -> None:
        shown = np.round(rows, 9)
        sign = np.sign(shown[np.argmax(shown != 0, axis=0), np.arange(shown.shape[1])])
        self._varying = np.flatnonzero(sign)
        marked = np.vstack([group, shown * sign])[:, self._varying]
        _, first, kind, self.times = np.unique(
            marked, axis=1, return_index=True, return_inverse=True, return_counts=True
        )
        self._kind = kind.reshape(-1)
        self.first = self._varying[first]

    def spread(self, values: Floats, columns: int) -> Floats:
        """Values of kinds as values of all columns, ``(columns,)``: 0 for those that are constant."""
        made = np.zeros(columns)
        made[self._varying] = values[self._kind]
        return made


def squared_distances(A: Floats, B: Floats, product: Floats) -> Floats:
    """Between rows whose products are known, ``(len(A), len(B))``."""
    squared = (A**2).sum(1)[:, None] + (B**2).sum(1) - 2 * product
    return np.asarray(np.maximum(squared, 0.0))


def negative_likelihood(
    theta: Floats,
    X: Floats,
    group: NDArray[np.int64],
    y: Floats,
    lines: Floats | None = None,
    noises: Floats | None = None,
) -> tuple[float, Floats]:
    """Negative log marginal likelihood and its gradient in ``theta``; columns of ``X`` are centred.

    ``noises`` is how much noise each row has, 1 by default, in units of that in ``theta``.
    """
    along = np.zeros((len(y), 0)) if lines is None else lines
    each = np.ones(len(y)) if noises is None else noises
    ends = len(theta) - 3 - along.shape[1]
    groups = ends - X.shape[1]
    slopes, (trend, signal, noise) = np.exp(theta[ends:-3]), np.exp(theta[-3:])
    rows = X * np.exp(0.5 * (theta[:groups][group] + theta[groups:ends]))
    product = rows @ rows.T
    radius = ROOT5 * np.sqrt(squared_distances(rows, rows, product))
    decay = signal * np.exp(-radius)
    kernel = (1 + radius + radius**2 / 3) * decay
    covariance = kernel + 2 * trend * product
    if along.shape[1]:
        covariance += (along * slopes) @ along.T
    diagonal = np.diag_indices_from(covariance)
    covariance[diagonal] += noise * each + JITTER
    factor = cho_factor(covariance, lower=True, check_finite=False)
    alpha = cho_solve(factor, y, check_finite=False)
    value = 0.5 * float(y @ alpha) + float(np.log(factor[0][diagonal]).sum())
    inverse = cho_solve(factor, np.eye(len(y)), check_finite=False)
    outer = inverse - np.outer(alpha, alpha)
    slope = -5.0 / 6.0 * (1 + radius) * decay * outer
    # For each feature a sum over pairs of rows, without the distances and products of single features.
    own = slope.sum(1) @ rows**2 - np.einsum("ic,ic->c", rows, (slope - trend * outer) @ rows)
    gradient = np.concatenate(
        [
            np.bincount(group, own, minlength=groups),
            own,
            0.5 * slopes * np.einsum("il,ij,jl->l", along, outer, along),
            [
                trend * float((outer * product).sum()),
                0.5 * float((outer * kernel).sum()),
                0.5 * noise * float(outer[diagonal] @ each),
            ],
        ]
    )
    return value, gradient
