"""Rank → normal keeps order, can be taken back, and goes on beyond what was seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasplat.predict.targets import RankNormal

VALUES = st.lists(st.integers(-1000, 1000), min_size=1, max_size=30)


@given(VALUES)
def test_order_is_kept_and_the_way_back_leads_home(values: list[int]) -> None:
    scores = RankNormal(values)
    seen = scores.forward(values)
    assert (np.argsort(seen, kind="stable") == np.argsort(values, kind="stable")).all()
    assert np.allclose(scores.backward(seen), values)


def test_equal_values_have_equal_scores() -> None:
    first, second, third, _ = RankNormal([3.0, 3.0, 1.0, 9.0]).forward([3.0, 3.0, 1.0, 9.0])
    assert first == second > third


def test_many_values_that_are_as_good_as_the_best_do_not_end_all_hope() -> None:
    spread = np.linspace(0.0, 1.0, 20)
    alone, crowded = RankNormal(spread), RankNormal([*spread, *np.linspace(-1e-6, 0.0, 6)])
    ahead = alone.scores[0] - 1.0
    assert alone.backward(ahead) < -0.1
    assert crowded.backward(crowded.scores[0] - 1.0) < -0.1


def test_beyond_the_observed_range_the_map_goes_on() -> None:
    scores = RankNormal([0.0, 1.0, 2.0])
    beyond = scores.forward([-5.0, 0.0, 2.0, 7.0])
    assert (np.diff(beyond) > 0).all()
    assert np.allclose(scores.backward(beyond), [-5.0, 0.0, 2.0, 7.0])


def test_one_value_alone_maps_to_the_middle() -> None:
    scores = RankNormal([4.0])
    assert scores.forward(4.0) == 0.0
    assert scores.backward(0.0) == 4.0


def test_an_error_is_as_large_as_the_scores_around_it_are_apart() -> None:
    scores = RankNormal([0.1, 0.5, 0.96, 0.97, 0.98, 0.99])
    wide, narrow = scores.errors([0.3, 0.97], [0.01, 0.01])
    assert 0 < 10 * wide < narrow
    assert narrow == pytest.approx((scores.forward(0.98) - scores.forward(0.96)) / 2)
    assert scores.errors([0.97], [0.0])[0] == 0.0
