"""Ensembles of trees from scikit-learn: no scaling, interactions for free, rough uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nasplat.predict.base import Floats, Remembering

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor


class ExtraTrees(Remembering):
    """Extremely randomised trees; the standard deviation is that between trees.

    Args:
        trees: Number of trees, at least 2.
        seed: Seed of the trees.
    """

    def __init__(self, *, trees: int = 200, seed: int = 0) -> None:
        super().__init__()
        self.trees = trees
        self.seed = seed

    def fit(self, X: Floats, y: Floats) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        super().fit(X, y)
        self._model: ExtraTreesRegressor = ExtraTreesRegressor(
            self.trees, random_state=self.seed, max_features=1 / 3, min_samples_leaf=1
        )
        self._model.fit(self.X, self.y)

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        rows = self.asked(X)
        each = np.array([tree.predict(rows) for tree in self._model.estimators_])
        return each.mean(0), each.std(0)


class BoostedTrees(Remembering):
    """Gradient-boosted trees, several times on resampled rows; the deviation is that between them.

    By how much more they miss on rows that they did not draw is the noise.

    Args:
        members: Boosted models, at least 2.
        seed: Seed of the resampling.
    """

    def __init__(self, *, members: int = 5, seed: int = 0) -> None:
        super().__init__()
        self.members = members
        self.seed = seed

    def fit(self, X: Floats, y: Floats) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor

        super().fit(X, y)
        rng = np.random.default_rng(self.seed)
        self._models: list[HistGradientBoostingRegressor] = []
        every = np.arange(len(self.y))
        missed = np.full((self.members, len(every)), np.nan)
        for member in range(self.members):
            drawn = rng.integers(len(every), size=len(every)) if member else every
            model = HistGradientBoostingRegressor(
                max_iter=100, learning_rate=0.1, min_samples_leaf=5, random_state=self.seed
            )
            self._models.append(model.fit(self.X[drawn], self.y[drawn]))
            others = np.setdiff1d(every, drawn)
            if len(others):
                missed[member, others] = model.predict(self.X[others]) - self.y[others]
        known = ~np.isnan(missed).all(0)
        self._noise = 0.0
        if known.any():
            _, std = self.predict(self.X[known])
            errors = np.nanmean(missed[:, known], axis=0)
            self._noise = float(np.sqrt(max((errors**2).mean() - (std**2).mean(), 0.0)))

    @property
    def noise(self) -> float:
        return self._noise

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        rows = self.asked(X)
        each = np.array([model.predict(rows) for model in self._models])
        return each.mean(0), each.std(0)
