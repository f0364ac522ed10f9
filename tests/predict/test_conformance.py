"""Every predictor that comes with nasplat keeps every promise of predictors."""

from __future__ import annotations

import random
from functools import cache, partial

import numpy as np
import pytest

from nasplat.predict.base import Floats
from nasplat.predict.costs import OneColumn
from nasplat.predict.ensemble import Ensemble
from nasplat.predict.gaussian_process import GaussianProcess
from nasplat.predict.graph_net import GraphNet
from nasplat.predict.graph_rows import GraphRows
from nasplat.predict.ridge import RidgeRegression
from nasplat.predict.trees import BoostedTrees, ExtraTrees
from nasplat.space.candidate import Candidate
from nasplat.testing.predictor import Data, Make, PredictorConformance
from nasplat.testing.strategy import some_space


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


class TestGraphNet(PredictorConformance):
    @pytest.fixture
    def make(self) -> Make:
        sample = some_candidates()
        layout = GraphRows(sample)
        return partial(GraphNet, layout, layout(sample[:30]), members=2, epochs=10, steps=25)

    @pytest.fixture
    def data(self) -> Data:
        return graph_rows


@cache
def some_candidates() -> list[Candidate]:
    return list(some_space().batch(120, random.Random(0)))


def graph_rows(rows: int, noise: float = 0.05) -> tuple[Floats, Floats]:
    """Rows of graphs, and the logarithms of what they compute."""
    sample = some_candidates()
    y = np.log([candidate.cost.macs for candidate in sample[:rows]])
    return GraphRows(sample)(sample[:rows]), y + noise * np.random.default_rng(0).normal(size=rows)


class TestOneColumn(PredictorConformance):
    floor = 0.5

    @pytest.fixture
    def make(self) -> Make:
        return partial(OneColumn, 0)

    def test_an_update_brings_what_it_was_told(self, make: Make, data: Data) -> None:
        """The order on one column is that of the column, however many rows there are."""
        X, y = data(40)
        model = make()
        model.fit(X[:15], y[:15])
        model.update(X[15:], y[15:])
        assert len(model.y) == 40  # type: ignore[attr-defined]  # it remembers its rows


class TestEnsemble(PredictorConformance):
    floor = 0.75

    @pytest.fixture
    def make(self) -> Make:
        members: list[Make] = [partial(GaussianProcess, [0, 0, 1, 1, 2, 2]), RidgeRegression]
        return partial(Ensemble, members, folds=3)
