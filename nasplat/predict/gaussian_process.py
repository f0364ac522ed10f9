"""A Gaussian process whose length scales belong to groups of features [Rasmussen2006].

Matérn 5/2 kernel. The squared distance is a weighted sum of one distance for each group of features, and
the weights are fitted by marginal likelihood under weak log-normal priors: a dozen numbers at most, so
that ten observations are enough and a hundred take milliseconds.

References:
    [Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning. 2006.
        Chapter 2 (regression), 5.4.1 (marginal likelihood), 5.4.2 (leave-one-out).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from nasplat.predict.base import Floats, Remembering, checked

FIT_ROWS = 200
"""Rows that the length scales are fitted on, evenly spread over the targets; all rows are conditioned on."""
_ROOT5 = np.sqrt(5.0)
_JITTER = 1e-8


class GaussianProcess(Remembering):
    """Gaussian process regression with grouped length scales.

    Args:
        groups: Group of each feature, ``(d,)``, numbered from 0; all in one group when left out.
        noise: Prior guess of the noise variance of standardised targets.
    """

    def __init__(self, groups: Sequence[int] | None = None, *, noise: float = 0.03) -> None:
        super().__init__()
        self.groups = None if groups is None else np.asarray(groups, dtype=int)
        self._noise_guess = noise
        self._theta: Floats = np.zeros(0)

    def fit(self, X: Floats, y: Floats) -> None:
        super().fit(X, y)
        self._centre = float(self.y.mean())
        self._spread = float(self.y.std()) or 1.0
        self._scale = self._distance_scales()
        rows = _evenly(self.y, FIT_ROWS)
        distances = self._distances(self.X[rows], self.X[rows])
        self._theta = self._maximise(distances, self._standard(self.y[rows]))
        self._condition()

    def update(self, X: Floats, y: Floats) -> None:
        """Condition on further rows; length scales, noise and target scale stay as they were fitted."""
        if len(self.y) == 0:
            self.fit(X, y)
            return
        more_X, more_y = checked(X, y)
        self.X = np.vstack([self.X, self.asked(more_X)])
        self.y = np.concatenate([self.y, more_y])
        self._condition()

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        posterior = self.posterior(X)
        return posterior.mean, posterior.std

    def posterior(self, X: Floats) -> Posterior:
        """The posterior at rows ``X`` ``(m, d)``, which can be conditioned on guesses."""
        rows = self.asked(X)
        cross = self._kernel(self._distances(self.X, rows))
        mean = self._centre + self._spread * (cross.T @ self._alpha)
        solved = solve_triangular(self._factor, cross, lower=True, check_finite=False)
        return Posterior(self, rows, mean, solved)

    def leave_out(self, blocks: Sequence[int] | NDArray[np.int64] | None = None) -> Floats:
        """Prediction of each training row from those of other blocks, ``(n,)``, in closed form.

        Args:
            blocks: Block of each row; rows of one block are left out together. One by one by default.
        """
        count = len(self.y)
        inverse = cho_solve((self._factor, True), np.eye(count), check_finite=False)
        named = np.arange(count) if blocks is None else np.asarray(blocks)
        error = np.zeros(count)
        for block in np.unique(named):
            rows = np.flatnonzero(named == block)
            error[rows] = np.linalg.solve(inverse[np.ix_(rows, rows)], self._alpha[rows])
        return self.y - self._spread * error

    @property
    def noise(self) -> float:
        """Fitted standard deviation of the noise, in units of ``y``."""
        return float(self._spread * np.exp(0.5 * self._theta[-1]))

    @property
    def relevance(self) -> Floats:
        """Weight of each group in the distance, ``(groups,)``; 0 means that it does not matter."""
        return np.asarray(np.exp(self._theta[:-2]))

    def _standard(self, y: Floats) -> Floats:
        return (y - self._centre) / self._spread

    def _members(self) -> list[NDArray[np.int64]]:
        if self.groups is None:
            return [np.arange(self.X.shape[1])]
        return [np.flatnonzero(self.groups == group) for group in range(self.groups.max() + 1)]

    def _distance_scales(self) -> Floats:
        """Mean squared distance within each group, so that a weight of 1 means the same for all."""
        scales = [2 * self.X[:, columns].var(axis=0).sum() for columns in self._members()]
        return np.array([scale if scale > 0 else 1.0 for scale in scales])

    def _distances(self, A: Floats, B: Floats) -> Floats:
        """Squared distances of each group, ``(groups, len(A), len(B))``."""
        parts = []
        for columns, scale in zip(self._members(), self._scale, strict=True):
            left, right = A[:, columns], B[:, columns]
            squared = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
            parts.append(np.maximum(squared, 0.0) / scale)
        return np.array(parts)

    def _kernel(self, distances: Floats) -> Floats:
        radius = _ROOT5 * np.sqrt(np.tensordot(np.exp(self._theta[:-2]), distances, 1))
        signal = np.exp(self._theta[-2])
        return np.asarray(signal * (1 + radius + radius**2 / 3) * np.exp(-radius))

    def _condition(self) -> None:
        covariance = self._kernel(self._distances(self.X, self.X))
        covariance[np.diag_indices_from(covariance)] += np.exp(self._theta[-1]) + _JITTER
        self._factor = cholesky(covariance, lower=True, check_finite=False)
        target = self._standard(self.y)
        self._alpha = cho_solve((self._factor, True), target, check_finite=False)

    def _maximise(self, distances: Floats, y: Floats) -> Floats:
        """Log weights of the groups, log signal and log noise variance of highest posterior."""
        groups = len(distances)
        guess = np.array([np.log(1.0 / groups)] * groups + [0.0, np.log(self._noise_guess)])
        width = np.array([1.5] * groups + [0.7, 1.5])

        def loss(theta: Floats) -> tuple[float, Floats]:
            value, gradient = _negative_likelihood(theta, distances, y)
            away = (theta - guess) / width
            return value + 0.5 * float(away @ away), gradient + away / width

        bounds = [(centre - 6 * w, centre + 4 * w) for centre, w in zip(guess, width, strict=True)]
        found = minimize(
            loss, guess, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40}
        )
        return np.asarray(found.x, dtype=float)


class Posterior:
    """Predictions at some rows that sharpen when one of the rows is taken for known.

    Attributes:
        mean: Posterior mean, ``(m,)``.
        std: Posterior standard deviation without noise, ``(m,)``.
    """

    def __init__(self, model: GaussianProcess, rows: Floats, mean: Floats, solved: Floats) -> None:
        self._model, self._rows, self._solved = model, rows, solved
        self._signal = float(np.exp(model._theta[-2]))
        self.mean = mean
        self._variance = np.maximum(self._signal - (solved**2).sum(0), 1e-12)

    @property
    def std(self) -> Floats:
        return np.asarray(self._model._spread * np.sqrt(self._variance))

    def believe(self, row: int) -> None:
        """Condition on the mean at ``row``: the mean stays, the uncertainty around it shrinks."""
        model = self._model
        prior = model._kernel(model._distances(self._rows[[row]], self._rows))[0]
        covariance = prior - self._solved[:, row] @ self._solved
        known = self._variance[row] + np.exp(model._theta[-1]) + _JITTER
        added = covariance / np.sqrt(known)
        self._solved = np.vstack([self._solved, added])
        self._variance = np.maximum(self._variance - added**2, 1e-12)


def _negative_likelihood(theta: Floats, distances: Floats, y: Floats) -> tuple[float, Floats]:
    """Negative log marginal likelihood and its gradient in ``theta``."""
    weights, signal, noise = np.exp(theta[:-2]), np.exp(theta[-2]), np.exp(theta[-1])
    radius = _ROOT5 * np.sqrt(np.tensordot(weights, distances, 1))
    decay = signal * np.exp(-radius)
    kernel = (1 + radius + radius**2 / 3) * decay
    covariance = kernel.copy()
    diagonal = np.diag_indices_from(covariance)
    covariance[diagonal] += noise + _JITTER
    factor = cho_factor(covariance, lower=True, check_finite=False)
    alpha = cho_solve(factor, y, check_finite=False)
    value = 0.5 * float(y @ alpha) + float(np.log(factor[0][diagonal]).sum())
    inverse = cho_solve(factor, np.eye(len(y)), check_finite=False)
    outer = inverse - np.outer(alpha, alpha)
    slope = -5.0 / 6.0 * (1 + radius) * decay * outer
    gradient = 0.5 * np.concatenate(
        [
            weights * np.einsum("gij,ij->g", distances, slope),
            [float((outer * kernel).sum()), noise * float(np.trace(outer))],
        ]
    )
    return value, gradient


def _evenly(y: Floats, count: int) -> NDArray[np.int64]:
    """Numbers of at most ``count`` rows, evenly over the order of ``y``."""
    order = np.argsort(y, kind="stable")
    if len(order) <= count:
        return np.sort(order)
    return np.sort(order[np.linspace(0, len(order) - 1, count).astype(int)])
