"""Several predictors as one: each has a say by how well it orders rows that it was not fitted on.

The rows are cut into folds once; the predictions for left-out folds give the weights, and they calibrate
the deviation: what the members and their disagreement do not account for is noise. Members may look at
different descriptions of the candidates, put side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nasplat.errors import UsageError
from nasplat.predict.base import Floats, Predictor, Remembering
from nasplat.predict.quality import kendall_tau

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate

Describe = Callable[[Sequence["Candidate"]], Floats]

LEAST_ROWS = 10
"""Rows below which all members have equal weights."""
LESS = 0.03
"""A member whose held-out Kendall's tau is lower by this has a say lower by a factor of e."""


class Ensemble(Remembering):
    """A weighted mean of predictors.

    Args:
        makers: Each makes an unfitted member; at least one.
        folds: Parts that are left out one after the other, at least 2.
        seed: Seed of the parts.
    """

    def __init__(
        self, makers: Sequence[Callable[[], Predictor]], *, folds: int = 5, seed: int = 0
    ) -> None:
        super().__init__()
        if not makers or folds < 2:
            raise UsageError(
                f"an ensemble has at least 1 member and 2 folds, got {len(makers)} and {folds}"
            )
        self.makers = list(makers)
        self.folds = folds
        self.seed = seed
        self.weights: Floats = np.full(len(self.makers), 1 / len(self.makers))

    def fit(self, X: Floats, y: Floats) -> None:
        super().fit(X, y)
        self.weights = np.full(len(self.makers), 1 / len(self.makers))
        self._stretch, self._noise = 1.0, 0.0
        if len(self.y) >= max(LEAST_ROWS, self.folds) and np.ptp(self.y) > 0:
            self._weigh()
        self._members = [make() for make in self.makers]
        for member in self._members:
            member.fit(self.X, self.y)

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        rows = self.asked(X)
        answers = [member.predict(rows) for member in self._members]
        mean, std = self._mixed(
            np.array([answer[0] for answer in answers]), np.array([answer[1] for answer in answers])
        )
        return mean, self._stretch * std

    @property
    def noise(self) -> float:
        return self._noise

    def _weigh(self) -> None:
        shuffled = np.random.default_rng(self.seed).permutation(len(self.y))
        means = np.zeros((len(self.makers), len(self.y)))
        stds = np.zeros_like(means)
        for fold in range(self.folds):
            held = shuffled[fold :: self.folds]
            kept = np.setdiff1d(shuffled, held)
            for place, make in enumerate(self.makers):
                member = make()
                member.fit(self.X[kept], self.y[kept])
                means[place, held], stds[place, held] = member.predict(self.X[held])
        taus = np.array([kendall_tau(mean, self.y) for mean in means])
        say = np.exp((taus - taus.max()) / LESS)
        self.weights = say / say.sum()
        mean, std = self._mixed(means, stds)
        missed, told = float(((self.y - mean) ** 2).mean()), float((std**2).mean())
        self._stretch = float(np.sqrt(missed / told)) if told > missed else 1.0
        self._noise = float(np.sqrt(max(missed - told, 0.0)))

    def _mixed(self, means: Floats, stds: Floats) -> tuple[Floats, Floats]:
        """Mean and deviation of the mixture of the members."""
        mean = self.weights @ means
        return mean, np.sqrt(self.weights @ (stds**2 + (means - mean) ** 2))


class SideBySide:
    """Several descriptions of candidates as one.

    Args:
        described: Each a map from candidates to rows of numbers.
        sample: Shows how wide each is, at least 1 candidate.

    Attributes:
        parts: The columns of each.
    """

    def __init__(self, described: Sequence[Describe], sample: Sequence[Candidate]) -> None:
        self._described = list(described)
        ends = np.cumsum([0, *(one(sample[:1]).shape[1] for one in self._described)]).tolist()
        self.parts = [slice(*ends[place : place + 2]) for place in range(len(self._described))]

    def __call__(self, candidates: Sequence[Candidate]) -> Floats:
        """Rows of all descriptions, ``(n, d)``."""
        return np.hstack([one(candidates) for one in self._described])


class Seeing(Predictor):
    """A predictor that sees some of the columns.

    Args:
        part: The columns.
        make: Makes the predictor.
    """

    def __init__(self, part: slice, make: Callable[[], Predictor]) -> None:
        self._part = part
        self._model = make()

    @property
    def noise(self) -> float:
        return self._model.noise

    def fit(self, X: Floats, y: Floats) -> None:
        self._model.fit(np.asarray(X)[:, self._part], y)

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        return self._model.predict(np.asarray(X)[:, self._part])

    def update(self, X: Floats, y: Floats) -> None:
        self._model.update(np.asarray(X)[:, self._part], y)
