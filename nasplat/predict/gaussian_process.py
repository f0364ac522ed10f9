"""A Gaussian process that learns which groups of features matter, and which features [Rasmussen2006].

Matérn 5/2 kernel, and if wanted a linear one: a trend, and what departs from it. The squared distance of the
first and the product of the second are sums over features with the same weights. The weight of a feature
is that of its group times one of its own; all are fitted by marginal likelihood under log-normal priors.
Those of the groups are wide and those of single features narrow until there are many rows: ten
observations say something about groups, a hundred about features.

Columns that are guesses of the target themselves, such as what was learned in an earlier search, can have a
linear kernel of their own: the target is then a multiple of each, fitted like the rest and 0 where it says
nothing, plus what the Matérn kernel makes of all features.

References:
    [Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning. 2006.
        Chapter 2 (regression), 5.4.1 (marginal likelihood), 5.4.2 (leave-one-out).
    [Airola2011] A. Airola, T. Pahikkala, W. Waegeman, B. De Baets, T. Salakoski. An experimental comparison
        of cross-validation techniques for estimating the area under the ROC curve. Computational
        Statistics & Data Analysis 55, 2011.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from nasplat.predict.base import Floats, Remembering, checked
from nasplat.predict.marginal_likelihood import (
    JITTER,
    ROOT5,
    Alike,
    negative_likelihood,
    squared_distances,
)
from nasplat.predict.rows import around_circle, evenly, in_blocks

FIT_ROWS = 200
"""Rows that the length scales are fitted on, evenly spread over the targets; all rows are conditioned on."""
OWN_ROWS = 100
"""Rows from which the logarithm of a feature's weight departs from its group's with prior deviation 1.

With fewer the deviation is that part of 1: on few rows free weights of many features find order in noise.
"""
SLOPE = 0.3
"""Prior guess of the variance of the trend, or of the multiple of a linear feature, all of unit spread."""
PARTNERS = 60
"""Other blocks, in either direction, with which a block is left out."""
OWN_ERROR = 0.5
"""Part of the variance of a measured value that is its own: the rest is the examples', the same for all."""
_NONE = 1e-12


class GaussianProcess(Remembering):
    """Gaussian process regression with grouped length scales.

    Args:
        groups: Group of each feature, ``(d,)``, numbered from 0; all in one group when left out.
        noise: Prior guess of the noise variance of standardised targets.
        linear: Numbers of the features that have a linear kernel of their own.
        trend: Prior guess of the variance of the trend; 0 for none. With one a few dozen rows order others
            better; without one the model is less sure of what is far from all rows, as a search wants it.
    """

    def __init__(
        self,
        groups: Sequence[int] | None = None,
        *,
        noise: float = 0.03,
        linear: Sequence[int] = (),
        trend: float = SLOPE,
    ) -> None:
        super().__init__()
        self.groups = None if groups is None else np.asarray(groups, dtype=int)
        self.linear = list(linear)
        self._noise_guess = noise
        self._trend_guess = max(trend, _NONE)
        self._theta: Floats = np.zeros(0)

    def fit(self, X: Floats, y: Floats, errors: Floats | None = None) -> None:
        """Learn from scratch.

        Args:
            X: As for every predictor, and so is ``y``.
            errors: Standard error of each target as far as it is known, ``(n,)``. They say which rows are
                noisier than others; how noisy all of them are is fitted.
        """
        super().fit(X, y)
        self._centre = float(self.y.mean())
        self._spread = float(self.y.std()) or 1.0
        self._scale = self._distance_scales()
        self._origin = self.X.mean(axis=0)
        known = (
            np.zeros(len(self.y)) if errors is None else OWN_ERROR * (errors / self._spread) ** 2
        )
        self._expected_noise = self._noise_guess + float(known.mean())
        self._noises = (self._noise_guess + known) / self._expected_noise
        rows = evenly(self.y, FIT_ROWS)
        self._theta = self._maximise(self.X[rows], self._standard(self.y[rows]), self._noises[rows])
        self._condition()

    def update(self, X: Floats, y: Floats) -> None:
        """Condition on further rows; length scales, noise and target scale stay as they were fitted."""
        if len(self.y) == 0:
            self.fit(X, y)
            return
        more_X, more_y = checked(X, y)
        self.X = np.vstack([self.X, self.asked(more_X)])
        self.y = np.concatenate([self.y, more_y])
        self._noises = np.concatenate([self._noises, np.ones(len(more_y))])
        self._condition()

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        posterior = self.posterior(X)
        return posterior.mean, posterior.std

    def posterior(self, X: Floats) -> Posterior:
        """The posterior at rows ``X`` ``(m, d)``, which can be conditioned on guesses."""
        rows = self.asked(X)
        cross = self._kernel(self.X, rows)
        mean = self._centre + self._spread * (cross.T @ self._alpha)
        solved = solve_triangular(self._factor, cross, lower=True, check_finite=False)
        return Posterior(self, rows, mean, solved)

    def leave_pairs_out(
        self, blocks: Sequence[int] | NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], Floats]:
        """Predictions of two rows each from all but their blocks, in closed form.

        Rows left out one by one are told worse than they are: the mean of the others is high where the one
        left out is low, so that a model which knows nothing orders them backwards [Airola2011].

        Args:
            blocks: Block of each row; of each block, the last row is predicted. Each row is one by default.

        Returns:
            Numbers of the rows of each pair, ``(p, 2)``, and their predictions, ``(p, 2)``. All pairs up to
            ``2 * PARTNERS`` blocks; of more, each block meets as many others.
        """
        named = np.arange(len(self.y)) if blocks is None else np.asarray(blocks)
        members = in_blocks(named)
        pairs = around_circle(len(members), PARTNERS)
        rows = members[pairs].reshape(len(pairs), 2 * members.shape[1])
        known = rows >= 0
        inverse = cho_solve((self._factor, True), np.eye(len(self.y)), check_finite=False)
        parts = inverse[rows[:, :, None], rows[:, None, :]] * known[:, :, None] * known[:, None, :]
        parts[:, range(rows.shape[1]), range(rows.shape[1])] += ~known
        error = np.linalg.solve(parts, (self._alpha[rows] * known)[:, :, None])[:, :, 0]
        judged = rows[:, [0, members.shape[1]]]
        return judged, self.y[judged] - self._spread * error[:, [0, members.shape[1]]]

    @property
    def noise(self) -> float:
        """Fitted standard deviation of the noise, in units of ``y``."""
        return float(self._spread * np.exp(0.5 * self._theta[-1]))

    @property
    def relevance(self) -> Floats:
        """Weight of each group in the distance, ``(groups,)``; 0 means that it does not matter."""
        return np.asarray(np.exp(self._theta[: len(self._scale)]))

    @property
    def weights(self) -> Floats:
        """Weight of each feature in the squared distance, ``(d,)``."""
        groups = len(self._scale)
        own = self._theta[groups : groups + self.X.shape[1]]
        return np.asarray(
            np.exp(self._theta[:groups][self._group] + own) / self._scale[self._group]
        )

    @property
    def slopes(self) -> Floats:
        """Prior variance of the multiple of each linear feature, ``(len(linear),)``."""
        return np.asarray(np.exp(self._theta[len(self._scale) + self.X.shape[1] : -3]))

    def _standard(self, y: Floats) -> Floats:
        return (y - self._centre) / self._spread

    @property
    def _group(self) -> NDArray[np.int64]:
        """Group of each feature."""
        return np.zeros(self.X.shape[1], dtype=int) if self.groups is None else self.groups

    def _distance_scales(self) -> Floats:
        """Mean squared distance within each group, so that a weight of 1 means the same for all."""
        group = self._group
        scales = np.bincount(group, 2 * self.X.var(axis=0), minlength=1 + max(group, default=0))
        return np.where(scales > 0, scales, 1.0)

    def _kernel(self, A: Floats, B: Floats) -> Floats:
        """Covariance between rows, ``(len(A), len(B))``."""
        left, right = self._weighted(A), self._weighted(B)
        product = left @ right.T
        radius = ROOT5 * np.sqrt(squared_distances(left, right, product))
        trend, signal = np.exp(self._theta[-3:-1])
        kernel = signal * (1 + radius + radius**2 / 3) * np.exp(-radius) + 2 * trend * product
        if self.linear:
            kernel += (self._lines(A) * self.slopes) @ self._lines(B).T
        return np.asarray(kernel)

    def _weighted(self, rows: Floats) -> Floats:
        """Rows from the mean of those that were fitted, times the roots of the weights, ``(n, d)``."""
        return np.asarray((rows - self._origin) * np.sqrt(self.weights))

    def _lines(self, rows: Floats) -> Floats:
        """The linear features, from their mean over the rows that were fitted, ``(n, len(linear))``."""
        return np.asarray((rows - self._origin)[:, self.linear])

    def _prior_variance(self, rows: Floats) -> Floats:
        """Variance before anything is known, ``(n,)``."""
        trend, signal = np.exp(self._theta[-3:-1])
        variance = signal + 2 * trend * (self._weighted(rows) ** 2).sum(1)
        return np.asarray(variance + self._lines(rows) ** 2 @ self.slopes)

    def _condition(self) -> None:
        covariance = self._kernel(self.X, self.X)
        noises = np.exp(self._theta[-1]) * self._noises
        covariance[np.diag_indices_from(covariance)] += noises + JITTER
        self._factor = cholesky(covariance, lower=True, check_finite=False)
        target = self._standard(self.y)
        self._alpha = cho_solve((self._factor, True), target, check_finite=False)

    def _maximise(self, X: Floats, y: Floats, noises: Floats) -> Floats:
        """Logarithms of highest posterior: weights of groups, of features, slopes, trend, signal, noise.

        Columns that say the same of these rows have one weight by symmetry, and those that are constant
        keep the guess: only the different ones are fitted, of which there are much fewer in large spaces.
        """
        groups, columns = len(self._scale), X.shape[1]
        lines = len(self.linear)
        scaled = (X - X.mean(axis=0)) / np.sqrt(self._scale[self._group])
        alike = Alike(scaled, self._group)
        ends = groups + len(alike.first)
        own = min(1.0, len(y) / OWN_ROWS)
        guess = np.array(
            [-np.log(groups)] * groups
            + [0.0] * len(alike.first)
            + [np.log(SLOPE)] * lines
            + [np.log(self._trend_guess), 0.0, np.log(self._expected_noise)]
        )
        width = np.array(
            [1.5] * groups + [own] * len(alike.first) + [1.5] * (lines + 1) + [0.7, 1.5]
        )
        # In units of the prior of all its columns, a shared weight moves as they would one by one.
        unit = np.ones(len(guess))
        unit[groups:ends] = 1 / np.sqrt(alike.times)
        rows, group = scaled[:, alike.first] / unit[groups:ends], self._group[alike.first]
        along = self._lines(X)

        def loss(theta: Floats) -> tuple[float, Floats]:
            value, gradient = negative_likelihood(theta * unit, rows, group, y, along, noises)
            away = (theta - guess) / width
            return value + 0.5 * float(away @ away), gradient * unit + away / width

        below, above = guess - 6 * width / unit, guess + 4 * width / unit
        bounds = list(zip(below, above, strict=True))
        found = minimize(
            loss, guess, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40}
        )
        theta = np.asarray(found.x, dtype=float) * unit
        weights = alike.spread(theta[groups:ends], columns)
        return np.concatenate([theta[:groups], weights, theta[ends:]])


class Posterior:
    """Predictions at some rows that sharpen when one of the rows is taken for known.

    Attributes:
        mean: Posterior mean, ``(m,)``.
        std: Posterior standard deviation without noise, ``(m,)``.
    """

    def __init__(self, model: GaussianProcess, rows: Floats, mean: Floats, solved: Floats) -> None:
        self._model, self._rows, self._solved = model, rows, solved
        self.mean = mean
        self._variance = np.maximum(model._prior_variance(rows) - (solved**2).sum(0), 1e-12)

    @property
    def std(self) -> Floats:
        return np.asarray(self._model._spread * np.sqrt(self._variance))

    def believe(self, row: int) -> None:
        """Condition on the mean at ``row``: the mean stays, the uncertainty around it shrinks."""
        model = self._model
        prior = model._kernel(self._rows[[row]], self._rows)[0]
        covariance = prior - self._solved[:, row] @ self._solved
        known = self._variance[row] + np.exp(model._theta[-1]) + JITTER
        added = covariance / np.sqrt(known)
        self._solved = np.vstack([self._solved, added])
        self._variance = np.maximum(self._variance - added**2, 1e-12)
