"""The ends of curves are told from their beginnings, better than by the last value seen."""

from __future__ import annotations

import numpy as np
import pytest

from nasplat.errors import UsageError
from nasplat.predict.base import Floats
from nasplat.predict.curves import CurveEnds
from nasplat.predict.quality import kendall_tau


def curves(count: int, seed: int = 0) -> Floats:
    """Power laws that cross: fast ones end high, slow ones end low."""
    rng = np.random.default_rng(seed)
    time = np.arange(1, 31)
    end, power = rng.uniform(1, 2, (count, 1)), rng.uniform(0.2, 1.5, (count, 1))
    return end + (3 - end) * time**-power + 0.002 * rng.normal(size=(count, 30))


def test_it_beats_the_last_value_seen() -> None:
    model, asked = CurveEnds(curves(80)), curves(60, seed=1)
    ends, width = model.predict(asked[:, :6])
    truth = asked[:, -1]
    assert kendall_tau(ends, truth) > kendall_tau(asked[:, 5], truth) + 0.1
    assert 0.5 < (np.abs(ends - truth) <= width).mean() < 0.95


def test_a_whole_curve_is_its_own_end() -> None:
    asked = curves(20, seed=1)
    ends, _ = CurveEnds(curves(80)).predict(asked)
    assert kendall_tau(ends, asked[:, -1]) > 0.95


def test_one_value_is_enough_to_ask() -> None:
    ends, width = CurveEnds(curves(20)).predict(curves(5, seed=1)[:, :1])
    assert np.isfinite(ends).all() and (width >= 0).all()


def test_further_series_and_numbers_inform() -> None:
    whole, asked = curves(80), curves(60, seed=1)
    noise = np.random.default_rng(2).normal(size=(60, 30))
    told = CurveEnds(np.stack([whole, whole], axis=2), extra=whole[:, -1:])
    ends, _ = told.predict(np.stack([asked, asked + noise], axis=2)[:, :3], extra=asked[:, -1:])
    assert kendall_tau(ends, asked[:, -1]) > 0.7


def test_wrong_curves_are_refused() -> None:
    whole = curves(10)
    spoiled = whole.copy()
    spoiled[2, 4] = np.inf
    with pytest.raises(UsageError, match="1 that are not finite"):
        CurveEnds(spoiled)
    with pytest.raises(UsageError, match="at least 2"):
        CurveEnds(whole[:1])
    with pytest.raises(UsageError, match="30 values of 1 series, asked with 31"):
        CurveEnds(whole).predict(np.ones((2, 31)))
    with pytest.raises(UsageError, match="0 further numbers, asked with 1"):
        CurveEnds(whole).predict(whole[:, :3], extra=np.ones((10, 1)))
