"""Every predictor that comes with nasplat keeps every promise of predictors."""

from __future__ import annotations

from functools import partial

import pytest

from nasplat.predict.costs import OneColumn
from nasplat.predict.ensemble import Ensemble
from nasplat.predict.gaussian_process import GaussianProcess
from nasplat.predict.ridge import RidgeRegression
from nasplat.predict.trees import BoostedTrees, ExtraTrees
from nasplat.testing.predictor import Make, PredictorConformance, smooth


class TestGaussianProcess(PredictorConformance):
    floor = 0.8

    @pytest.fixture
    def make(self) -> Make:
        return partial(GaussianProcess, [0, 0, 1, 1, 2, 2])


class TestRidgeRegression(PredictorConformance):
    floor = 0.8

    @pytest.fixture
    def make(self) -> Make:
        return RidgeRegression


class TestExtraTrees(PredictorConformance):
    @pytest.fixture
    def make(self) -> Make:
        return partial(ExtraTrees, trees=50)


class TestBoostedTrees(PredictorConformance):
    floor = 0.5

    @pytest.fixture
    def make(self) -> Make:
        return partial(BoostedTrees, members=2)


class TestOneColumn(PredictorConformance):
    floor = 0.5

    @pytest.fixture
    def make(self) -> Make:
        return partial(OneColumn, 0)

    def test_an_update_brings_what_it_was_told(self, make: Make) -> None:
        """The order on one column is that of the column, however many rows there are."""
        X, y = smooth(40)
        model = make()
        model.fit(X[:15], y[:15])
        model.update(X[15:], y[15:])
        assert len(model.y) == 40  # type: ignore[attr-defined]  # it remembers its rows


class TestEnsemble(PredictorConformance):
    floor = 0.75

    @pytest.fixture
    def make(self) -> Make:
        members = [partial(GaussianProcess, [0, 0, 1, 1, 2, 2]), RidgeRegression]
        return partial(Ensemble, members, folds=3)
