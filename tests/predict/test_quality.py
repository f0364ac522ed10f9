"""Rank correlation is held out, and nothing where nothing can be told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nasplat.errors import UsageError
from nasplat.predict.quality import cross_validated, kendall_tau, measure, pairs_tau
from nasplat.predict.ridge import RidgeRegression
from nasplat.predict.trees import ExtraTrees
from nasplat.testing.predictor import smooth


def test_tau_counts_pairs_in_order_against_pairs_out_of_order() -> None:
    assert kendall_tau([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx((5 - 1) / 6)


@pytest.mark.parametrize("predicted", [[1.0, 1.0, 1.0], [1.0]])
def test_a_constant_tells_nothing(predicted: list[float]) -> None:
    assert kendall_tau(predicted, range(len(predicted))) == 0.0


def test_tau_over_all_pairs_is_tau() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 12).astype(float), rng.integers(0, 6, 12).astype(float)
    pairs = np.array(list(itertools.combinations(range(12), 2)))
    assert pairs_tau(x[pairs], y[pairs]) == pytest.approx(kendall_tau(x, y))
    assert pairs_tau(np.ones((66, 2)) + 1e-12 * x[pairs], y[pairs]) == 0.0


def test_a_report_says_how_rows_were_held_out() -> None:
    assert measure([1, 2], [1, 2], "by hand").to_json() == {
        "kendall_tau": pytest.approx(1.0),
        "spearman": pytest.approx(1.0),
        "rows": 2,
        "method": "by hand",
    }


def test_noise_has_no_quality_even_for_a_model_that_learns_it_by_heart() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), rng.normal(size=60)
    model = ExtraTrees(trees=30)
    model.fit(X, y)
    assert kendall_tau(model.predict(X)[0], y) > 0.9
    assert abs(cross_validated(lambda: ExtraTrees(trees=30), X, y).kendall_tau) < 0.3


def test_more_folds_than_rows_are_refused() -> None:
    X, y = smooth(3)
    with pytest.raises(UsageError, match="folds=5, rows=3"):
        cross_validated(RidgeRegression, X, y)
