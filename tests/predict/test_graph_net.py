"""A graph network reads graphs from rows, and orders candidates that it has not seen."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nasplat.errors import UsageError
from nasplat.predict.graph_net import GraphNet
from nasplat.predict.graph_rows import SOURCES_UP_TO, GraphRows
from nasplat.predict.live import live
from nasplat.predict.quality import kendall_tau
from nasplat.space.candidate import Candidate
from nasplat.testing.strategy import some_space


@pytest.fixture(scope="module")
def candidates() -> list[Candidate]:
    return list(some_space().batch(80, random.Random(0)))


def test_a_row_holds_the_live_graph(candidates: list[Candidate]) -> None:
    rows = GraphRows(candidates)
    one = candidates[3]
    values = live(one.graph).values
    row = rows([one])[0]
    table = row[: -rows.costs].reshape(rows.values, 2 + SOURCES_UP_TO)
    assert (table[: len(values), 0] > 0).all() and not table[len(values) :].any()
    for place, value in enumerate(values):
        assert [int(source) - 1 for source in table[place, 2:] if source] == list(value.sources)


def test_costs_are_standardised_over_the_sample(candidates: list[Candidate]) -> None:
    rows = GraphRows(candidates)
    costs = rows(candidates)[:, -rows.costs :]
    assert np.allclose(costs.mean(0), 0, atol=0.1)


def test_it_orders_candidates_and_forgets(candidates: list[Candidate]) -> None:
    rows = GraphRows(candidates)
    X = rows(candidates)
    y = np.log([one.cost.macs for one in candidates])
    model = GraphNet(rows, X[:40], members=2, epochs=10, steps=20)
    model.fit(X[:50], y[:50])
    mean, std = model.predict(X[50:])
    assert kendall_tau(mean, y[50:]) > 0.5
    assert (std >= 0).all() and std.max() > 0
    model.fit(X[:50], -y[:50])
    model.fit(X[:50], y[:50])
    assert np.allclose(model.predict(X[50:])[0], mean)


def test_constant_results_are_learned_and_asking_first_is_refused(
    candidates: list[Candidate],
) -> None:
    rows = GraphRows(candidates)
    X = rows(candidates[:5])
    model = GraphNet(rows)
    with pytest.raises(UsageError, match="before it was fitted"):
        model.predict(X)
    model.fit(X, np.full(5, 3.0))
    assert np.array_equal(model.predict(X)[0], np.full(5, 3.0))
