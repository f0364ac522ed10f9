"""The conformance suite of predictors: inherit it, supply the fixture ``make``, and yours is checked.

    class TestMine(PredictorConformance):
        @pytest.fixture
        def make(self) -> Callable[[], Predictor]:
            return Mine

The data are a smooth function of a few columns with a little noise, among columns that say nothing. A
predictor of rows of its own kind overrides the fixture ``data``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nasplat.errors import UsageError
from nasplat.predict.base import Floats, Predictor
from nasplat.predict.quality import cross_validated, kendall_tau

Make = Callable[[], Predictor]
Data = Callable[..., tuple[Floats, Floats]]
"""Gives so many rows and targets; ``noise`` is the deviation of what is added to the latter."""


def smooth(rows: int, seed: int = 0, noise: float = 0.05) -> tuple[Floats, Floats]:
    """Features ``(rows, 6)`` and targets that depend on three of them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 6))
    y = X[:, 0] + 0.5 * X[:, 1] + 0.3 * np.tanh(2 * X[:, 2])
    return X, y + noise * rng.normal(size=rows)


class PredictorConformance:
    """What every predictor keeps."""

    floor = 0.6
    """Held-out Kendall's tau that the model must reach on 80 smooth rows."""

    @pytest.fixture
    def make(self) -> Make:
        """Override: what makes an unfitted predictor."""
        raise NotImplementedError

    @pytest.fixture
    def data(self) -> Data:
        """Override where rows are not plain numbers: up to 120 rows that tell their targets."""
        return smooth

    def test_it_orders_rows_that_it_has_not_seen(self, make: Make, data: Data) -> None:
        X, y = data(80)
        assert cross_validated(make, X, y).kendall_tau > self.floor

    def test_it_answers_with_a_mean_and_a_deviation_for_each_row(
        self, make: Make, data: Data
    ) -> None:
        X, y = data(40)
        model = make()
        model.fit(X, y)
        mean, std = model.predict(X[:7])
        assert mean.shape == std.shape == (7,)
        assert np.isfinite(mean).all() and np.isfinite(std).all() and (std >= 0).all()

    def test_the_same_data_give_the_same_answers(self, make: Make, data: Data) -> None:
        X, y = data(40)
        one, other = make(), make()
        one.fit(X, y)
        other.fit(X, y)
        assert np.array_equal(one.predict(X)[0], other.predict(X)[0])

    def test_fitting_again_forgets(self, make: Make, data: Data) -> None:
        X, y = data(40)
        once, again = make(), make()
        once.fit(X, y)
        again.fit(X[::-1], y + 5)
        again.fit(X, y)
        assert np.allclose(once.predict(X)[0], again.predict(X)[0])

    def test_an_update_brings_what_it_was_told(self, make: Make, data: Data) -> None:
        X, y = data(120, noise=0.0)
        model = make()
        model.fit(X[:15], y[:15])
        before = kendall_tau(model.predict(X[60:])[0], y[60:])
        model.update(X[15:60], y[15:60])
        assert kendall_tau(model.predict(X[60:])[0], y[60:]) > before

    def test_an_update_of_nothing_is_a_fit(self, make: Make, data: Data) -> None:
        X, y = data(40)
        fitted, updated = make(), make()
        fitted.fit(X, y)
        updated.update(X, y)
        assert np.allclose(fitted.predict(X)[0], updated.predict(X)[0])

    def test_one_row_and_constant_targets_are_learned(self, make: Make, data: Data) -> None:
        X, _ = data(10)
        for rows in (1, 10):
            model = make()
            model.fit(X[:rows], np.full(rows, 3.0))
            assert np.allclose(model.predict(X)[0], 3.0, atol=1e-6)

    def test_scale_and_offset_of_targets_do_not_matter(self, make: Make, data: Data) -> None:
        X, y = data(60)
        plain, scaled = make(), make()
        plain.fit(X[:40], y[:40])
        scaled.fit(X[:40], 1000 * y[:40] - 70)
        expected = 1000 * plain.predict(X[40:])[0] - 70
        # Trees break ties between splits by rounding errors, so a few leaves may differ.
        assert np.abs(scaled.predict(X[40:])[0] - expected).mean() < 20

    def test_asking_before_fitting_is_refused(self, make: Make, data: Data) -> None:
        X, _ = data(1)
        with pytest.raises(UsageError, match="before it was fitted"):
            make().predict(X)

    def test_wrong_shapes_and_values_are_refused(self, make: Make, data: Data) -> None:
        X, y = data(10)
        model = make()
        for rows, targets in ((X, y[:9]), (X[0], y), (X[:0], y[:0])):
            with pytest.raises(UsageError, match="shape"):
                model.fit(rows, targets)
        spoiled = y.copy()
        spoiled[3] = np.nan
        with pytest.raises(UsageError, match="1 are not"):
            model.fit(X, spoiled)
        model.fit(X, y)
        with pytest.raises(UsageError, match=f"fitted on {X.shape[1]} features"):
            model.predict(X[:, :-1])
