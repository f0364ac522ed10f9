"""The contract of a predictor: numbers in, a mean and a standard deviation out.

It knows neither graphs nor spaces; what a row of numbers means is said by :mod:`nasplat.predict.features`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from nasplat.errors import UsageError

Floats = NDArray[np.float64]


class Predictor(ABC):
    """Learns ``y`` from ``X`` and says how sure it is.

    A predictor is deterministic: the same data in the same order give the same predictions.
    """

    @property
    def noise(self) -> float:
        """Standard deviation of the noise that a single result has beside the predicted deviation.

        0 where the model does not tell the two apart.
        """
        return 0.0

    @abstractmethod
    def fit(self, X: Floats, y: Floats) -> None:
        """Learn from scratch.

        Args:
            X: Features ``(n, d)``, finite, each column of about unit spread; ``n >= 1``.
            y: Targets ``(n,)``, finite.

        Raises:
            UsageError: The shapes do not fit or a value is not finite.
        """

    @abstractmethod
    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        """Predict targets.

        Args:
            X: Features ``(m, d)``.

        Returns:
            Mean ``(m,)`` and standard deviation ``(m,)``, at least 0, of the target without its noise.

        Raises:
            UsageError: Nothing was fitted yet, or the number of features differs.
        """

    @abstractmethod
    def update(self, X: Floats, y: Floats) -> None:
        """Learn further rows; cheaper than fitting everything again where the model allows it."""


class Remembering(Predictor):
    """A predictor that keeps its training rows; updating fits again on all of them."""

    def __init__(self) -> None:
        self.X: Floats = np.zeros((0, 0))
        self.y: Floats = np.zeros(0)

    def fit(self, X: Floats, y: Floats) -> None:
        self.X, self.y = checked(X, y)

    def update(self, X: Floats, y: Floats) -> None:
        more_X, more_y = checked(X, y)
        if len(self.y) == 0:
            self.fit(more_X, more_y)
        else:
            self.fit(np.vstack([self.X, more_X]), np.concatenate([self.y, more_y]))

    def asked(self, X: Floats) -> Floats:
        """Check the features of a question."""
        if len(self.y) == 0:
            raise UsageError(f"{type(self).__name__} was asked before it was fitted")
        rows = np.asarray(X, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != self.X.shape[1]:
            raise UsageError(
                f"{type(self).__name__} was fitted on {self.X.shape[1]} features, "
                f"asked with shape {rows.shape}"
            )
        return rows


def checked(X: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Check training rows.

    Raises:
        UsageError: The shapes do not fit, there is no row, or a value is not finite.
    """
    rows, targets = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    if rows.ndim != 2 or targets.shape != (len(rows),) or len(rows) == 0:
        raise UsageError(
            "a predictor learns from X of shape (n, d) and y of shape (n,) with n >= 1, "
            f"got {rows.shape} and {targets.shape}"
        )
    if not (np.isfinite(rows).all() and np.isfinite(targets).all()):
        bad = int((~np.isfinite(rows)).sum() + (~np.isfinite(targets)).sum())
        raise UsageError(f"a predictor learns from finite numbers, {bad} are not")
    return rows, targets
