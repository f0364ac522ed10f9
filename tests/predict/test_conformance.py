"""Every predictor that comes with nasplat keeps every promise of predictors."""

from __future__ import annotations

from functools import partial

import pytest

from nasplat.predict.gaussian_process import GaussianProcess
from nasplat.predict.ridge import RidgeRegression
from nasplat.predict.trees import BoostedTrees, ExtraTrees
from nasplat.testing.predictor import Make, PredictorConformance


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
