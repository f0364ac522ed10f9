"""Ridge regression with its strength chosen by leave-one-out error: the baseline of every predictor."""

from __future__ import annotations

import numpy as np

from nasplat.predict.base import Floats, Remembering

STRENGTHS = np.logspace(-3, 3, 25)
"""Candidate penalties, relative to the mean eigenvalue of the features."""


class RidgeRegression(Remembering):
    """Linear regression with a quadratic penalty.

    The penalty is the one of :data:`STRENGTHS` with the smallest closed-form leave-one-out error. The
    standard deviation is that of the Bayesian linear model with the fitted noise.
    """

    def fit(self, X: Floats, y: Floats) -> None:
        super().fit(X, y)
        self._centre = self.X.mean(0)
        self._offset = float(self.y.mean())
        left, singular, right = np.linalg.svd(self.X - self._centre, full_matrices=False)
        target = self.y - self._offset
        power = singular**2
        rotated = left.T @ target
        best = (np.inf, 1.0, np.zeros_like(rotated))
        for strength in STRENGTHS * max(float(power.mean()) if len(power) else 0.0, 1e-12):
            shrink = power / (power + strength)
            fitted = left @ (shrink * rotated)
            leverage = (left**2) @ shrink + 1.0 / len(target)
            errors = (target - fitted) / np.maximum(1 - leverage, 1e-6)
            error = float((errors**2).mean())
            if error < best[0]:
                best = (error, float(strength), shrink)
        self._noise = best[0]
        self._right = right
        self._weights = right.T @ (singular / (power + best[1]) * rotated)
        self._shrunk = 1.0 / (power + best[1])
        self._strength = best[1]

    @property
    def noise(self) -> float:
        return float(np.sqrt(self._noise))

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        rows = self.asked(X) - self._centre
        along = rows @ self._right.T
        outside = np.maximum((rows**2).sum(1) - (along**2).sum(1), 0.0) / self._strength
        variance = self._noise * (1.0 / len(self.y) + (along**2) @ self._shrunk + outside)
        return self._offset + rows @ self._weights, np.sqrt(variance)
