"""Every strategy that comes with nasplat keeps every promise of strategies."""

from __future__ import annotations

from typing import Any

import pytest

from nasplat.search.strategies.base import Strategy
from nasplat.search.strategies.table import find_strategy
from nasplat.testing.strategy import Make, StrategyConformance


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
