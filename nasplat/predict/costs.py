"""The least that a predictor has to beat: one column of the features, the larger the better or the worse."""

from __future__ import annotations

import numpy as np

from nasplat.predict.base import Floats, Remembering


class OneColumn(Remembering):
    """A straight line on one feature, such as the logarithm of the number of parameters.

    Args:
        column: Number of the feature.
    """

    def __init__(self, column: int) -> None:
        super().__init__()
        self.column = column

    def fit(self, X: Floats, y: Floats) -> None:
        super().fit(X, y)
        x = self.X[:, self.column] - self.X[:, self.column].mean()
        power = float(x @ x)
        self._slope = float(x @ self.y) / power if power > 0 else 0.0
        self._centre = float(self.X[:, self.column].mean())
        self._offset = float(self.y.mean())
        self._noise = float(np.sqrt(np.mean((self.y - self._offset - self._slope * x) ** 2)))

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        rows = self.asked(X)
        mean = self._offset + self._slope * (rows[:, self.column] - self._centre)
        return mean, np.full(len(rows), self._noise / np.sqrt(len(self.y)))

    @property
    def noise(self) -> float:
        return self._noise
