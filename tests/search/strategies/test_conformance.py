"""Every strategy that comes with nasplat keeps every promise of strategies."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from nasplat.predict.transfer import Earlier
from nasplat.search.strategies.base import Strategy
from nasplat.search.strategies.table import find_strategy
from nasplat.testing.strategy import Make, StrategyConformance, some_space, values_of


def maker(name: str, **options: Any) -> Make:
    def make(space: Any, **arguments: Any) -> Strategy:
        return find_strategy(name)(space, **options, **arguments)

    return make


class TestRandom(StrategyConformance):
    @pytest.fixture
    def make(self) -> Make:
        return maker("random")


class TestEvolution(StrategyConformance):
    @pytest.fixture
    def make(self) -> Make:
        return maker("evolution", population=8, contestants=3)


class TestNSGA2(StrategyConformance):
    @pytest.fixture
    def make(self) -> Make:
        return maker("nsga2", population=8)


class TestLocal(StrategyConformance):
    @pytest.fixture
    def make(self) -> Make:
        return maker("local", first=5)


class TestGuided(StrategyConformance):
    @pytest.fixture
    def make(self) -> Make:
        return maker("guided", first=6, drawn=32, varied=16, refined=8)


class TestGuidedByAnEarlierSearch(StrategyConformance):
    @pytest.fixture
    def make(self) -> Make:
        candidates = list(some_space().batch(30, random.Random(9)))

        def make(space: Any, *, objectives: int = 1, **arguments: Any) -> Strategy:
            values = np.array([values_of(one, objectives) for one in candidates]).T
            before = Earlier("before", candidates, dict(enumerate(values)))
            options = {"first": 6, "drawn": 32, "varied": 16, "refined": 8, "transfer": [before]}
            return maker("guided", **options)(space, objectives=objectives, **arguments)

        return make


class TestOptunaRandom(StrategyConformance):
    rounds = 7

    @pytest.fixture
    def make(self) -> Make:
        return maker("optuna-random")


class TestOptunaTPE(StrategyConformance):
    rounds = 7

    @pytest.fixture
    def make(self) -> Make:
        return maker("optuna-tpe", startup=6)


class TestOptunaNSGA2(StrategyConformance):
    rounds = 7

    @pytest.fixture
    def make(self) -> Make:
        return maker("optuna-nsga2", population=6)


class TestOptunaGP(StrategyConformance):
    rounds = 6

    @pytest.fixture
    def make(self) -> Make:
        return maker("optuna-gp", startup=6)
