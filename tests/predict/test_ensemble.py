"""Members have a say by how well they order rows that they were not fitted on."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest

from nasplat.errors import UsageError
from nasplat.predict.costs import OneColumn
from nasplat.predict.ensemble import Ensemble, Seeing, SideBySide
from nasplat.predict.features import Features
from nasplat.predict.graph_rows import GraphRows
from nasplat.predict.ridge import RidgeRegression
from nasplat.testing.predictor import smooth
from nasplat.testing.strategy import some_space


def test_a_member_that_knows_nothing_has_no_say() -> None:
    X, y = smooth(80)
    model = Ensemble([partial(OneColumn, 5), RidgeRegression])
    model.fit(X, y)
    assert model.weights[0] < 0.01
    alone = RidgeRegression()
    alone.fit(X, y)
    assert np.abs(model.predict(X)[0] - alone.predict(X)[0]).max() < 0.1


def test_few_rows_weigh_all_members_alike() -> None:
    X, y = smooth(6)
    model = Ensemble([partial(OneColumn, 5), RidgeRegression])
    model.fit(X, y)
    assert model.weights.tolist() == [0.5, 0.5]


def test_deviation_and_noise_cover_what_is_missed() -> None:
    X, y = smooth(400, noise=0.5)
    model = Ensemble([partial(OneColumn, 0), RidgeRegression])
    model.fit(X[:200], y[:200])
    mean, std = model.predict(X[200:])
    inside = np.abs(y[200:] - mean) <= 1.645 * np.hypot(std, model.noise)
    assert 0.82 < inside.mean() < 0.97


def test_an_ensemble_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="got 0 and 5"):
        Ensemble([])


def test_members_see_their_own_description() -> None:
    known = list(some_space().batch(12, random.Random(0)))
    features, graphs = Features(known), GraphRows(known)
    both = SideBySide([features, graphs], known)
    X = both(known)
    assert np.array_equal(X[:, both.parts[0]], features(known))
    assert np.array_equal(X[:, both.parts[1]], graphs(known))
    y = np.arange(12.0)
    alone, member = RidgeRegression(), Seeing(both.parts[0], RidgeRegression)
    alone.fit(features(known[:9]), y[:9])
    member.fit(X[:9], y[:9])
    assert np.array_equal(member.predict(X)[0], alone.predict(features(known))[0])
    alone.update(features(known[9:]), y[9:])
    member.update(X[9:], y[9:])
    assert np.array_equal(member.predict(X)[1], alone.predict(features(known))[1])
    assert member.noise == alone.noise
