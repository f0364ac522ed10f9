"""The Gaussian process agrees with scikit-learn's, and its closed forms with doing it the long way."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern

from nasplat.predict.gaussian_process import OWN_ROWS, GaussianProcess
from nasplat.predict.marginal_likelihood import negative_likelihood
from nasplat.predict.quality import kendall_tau, pairs_tau
from nasplat.testing.predictor import smooth

GROUPS = [0, 0, 1, 1, 2, 2]


def guessed(rows: int, seed: int = 0, *, guess: str = "good") -> tuple[np.ndarray, np.ndarray]:
    """Wavy rows, and a last column that foretells the target, the other way round, or nothing."""
    X, _ = smooth(rows, seed)
    y = np.sin(3 * X[:, 0]) + np.sin(3 * X[:, 1])
    noise = np.random.default_rng(seed + 100).normal(size=rows)
    told = {"good": y + 0.3 * noise, "turned": -y + 0.3 * noise, "useless": noise}[guess]
    return np.column_stack([X, told]), y


@pytest.fixture
def fitted() -> GaussianProcess:
    X, y = smooth(40)
    model = GaussianProcess(GROUPS)
    model.fit(X, y)
    return model


def test_mean_and_deviation_are_those_of_scikit_learn(fitted: GaussianProcess) -> None:
    X, y = fitted.X, fitted.y
    centre, spread = y.mean(), y.std()
    trend, signal, noise = np.exp(fitted._theta[-3:])
    # scikit-learn's linear kernel has no weights: rows come to it weighted
    weight = np.sqrt(fitted.weights)
    kernel = ConstantKernel(signal) * Matern(nu=2.5) + ConstantKernel(2 * trend) * DotProduct(1e-9)
    oracle = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None)
    oracle.fit((X - X.mean(0)) * weight, (y - centre) / spread)
    asked = smooth(25, seed=1)[0]
    mean, std = oracle.predict((asked - X.mean(0)) * weight, return_std=True)
    met_mean, met_std = fitted.predict(asked)
    assert np.allclose(met_mean, centre + spread * mean, atol=1e-6)
    assert np.allclose(met_std, spread * std, atol=1e-6)


def test_groups_that_say_nothing_lose_their_weight() -> None:
    X, y = smooth(120)
    model = GaussianProcess([0, 0, 0, 1, 1, 1])
    model.fit(X, y)
    assert model.relevance[1] < 0.1 * model.relevance[0]


def test_features_that_say_nothing_lose_weight_within_their_group() -> None:
    X, y = smooth(120)
    model = GaussianProcess(trend=0.0)
    model.fit(X, y)
    assert model.weights[3:].max() < 0.3 * model.weights[:3].min()


@pytest.mark.parametrize("size", [1, 2])
def test_leaving_pairs_out_in_closed_form_is_leaving_out(
    fitted: GaussianProcess, size: int
) -> None:
    blocks = np.arange(41) // size
    fitted.update(*smooth(1, seed=3))  # with two rows to a block, the last block has one
    pairs, predicted = fitted.leave_pairs_out(blocks)
    count = blocks[-1] + 1
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == count * (count - 1) / 2
    for pair, met in list(zip(pairs, predicted, strict=True))[:: len(pairs) // 7]:
        rest = GaussianProcess(GROUPS)
        rest.fit(fitted.X, fitted.y)
        rest._theta, rest._centre, rest._spread = fitted._theta, fitted._centre, fitted._spread
        rest._scale, rest._origin = fitted._scale, fitted._origin
        kept = ~np.isin(blocks, blocks[pair])
        rest.X, rest.y, rest._noises = fitted.X[kept], fitted.y[kept], fitted._noises[kept]
        rest._condition()
        assert np.allclose(met, rest.predict(fitted.X[pair])[0])


def test_of_many_rows_each_is_left_out_with_some_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasplat.predict.gaussian_process.PARTNERS", 3)
    model = GaussianProcess(GROUPS)
    model.fit(*smooth(20))
    pairs, _ = model.leave_pairs_out()
    assert (np.bincount(pairs.ravel()) == 6).all()
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == len(pairs) == 60


def test_a_model_that_knows_nothing_does_not_order_pairs_backwards() -> None:
    """One by one it would: the mean of the others is high where the one left out is low."""
    model = GaussianProcess(trend=0.0)
    model.fit(np.zeros((12, 2)), np.arange(12.0))
    pairs, predicted = model.leave_pairs_out()
    assert pairs_tau(predicted, model.y[pairs]) == 0.0
    inverse = np.linalg.inv(model._factor @ model._factor.T)
    one_by_one = model.y - model._spread * model._alpha / np.diag(inverse)
    assert kendall_tau(one_by_one, model.y) == pytest.approx(-1.0)


def test_what_is_measured_with_an_error_counts_less() -> None:
    X, y = smooth(60)
    errors = np.zeros(60)
    errors[7] = 2.0
    lucky = y.copy()
    lucky[7] += 4.0
    sure, doubting = GaussianProcess(GROUPS), GaussianProcess(GROUPS)
    sure.fit(X, lucky)
    doubting.fit(X, lucky, errors)
    away = [abs(model.predict(X[[7]])[0][0] - y[7]) for model in (sure, doubting)]
    assert away[1] < 0.25 * away[0]


def test_how_large_errors_are_is_fitted() -> None:
    """Errors say which rows are noisier; where all of them exaggerate, the model finds out."""
    X, y = smooth(80)
    model = GaussianProcess(GROUPS)
    model.fit(X, y, np.full(80, 0.5 * y.std()))
    assert model.noise < 0.2 * y.std()


def test_believing_a_guess_is_an_update_with_it(fitted: GaussianProcess) -> None:
    asked = smooth(12, seed=2)[0]
    posterior = fitted.posterior(asked)
    before = posterior.std.copy()
    posterior.believe(4)
    fitted.update(asked[[4]], posterior.mean[[4]])
    mean, std = fitted.predict(asked)
    assert np.allclose(posterior.mean, mean)
    assert np.allclose(posterior.std, std)
    assert (posterior.std <= before).all() and posterior.std[4] < before[4]


def test_linear_features_add_the_kernel_that_scikit_learn_has_for_them() -> None:
    X, y = guessed(40)
    model = GaussianProcess([*GROUPS, 3], linear=[6])
    model.fit(X, y)
    centre, spread = y.mean(), y.std()
    trend, signal, noise = np.exp(model._theta[-3:])
    # scikit-learn's kernels see all columns: a second list of rows carries the line alone
    weight, slope = np.sqrt(model.weights), np.sqrt(model.slopes)
    rows, line = (X - X.mean(0)) * weight, (X[:, [6]] - X[:, 6].mean()) * slope
    all_columns = ConstantKernel(signal) * Matern(nu=2.5) + ConstantKernel(2 * trend) * DotProduct(
        1e-9
    )
    covariance = all_columns(rows) + DotProduct(1e-9)(line) + (noise + 1e-8) * np.eye(40)
    asked = guessed(25, seed=1)[0]
    ahead, along = (asked - X.mean(0)) * weight, (asked[:, [6]] - X[:, 6].mean()) * slope
    cross = all_columns(ahead, rows) + DotProduct(1e-9)(along, line)
    mean = centre + spread * cross @ np.linalg.solve(covariance, (y - centre) / spread)
    before = all_columns.diag(ahead) + along[:, 0] ** 2
    variance = before - np.einsum("ij,ji->i", cross, np.linalg.solve(covariance, cross.T))
    met_mean, met_std = model.predict(asked)
    assert np.allclose(met_mean, mean, atol=1e-6)
    assert np.allclose(met_std, spread * np.sqrt(variance), atol=1e-5)


def tau(guess: str, rows: int, linear: list[int]) -> float:
    """Held-out rank correlation, with or without the linear kernel on the guess."""
    found = []
    for seed in range(4):
        X, y = guessed(rows, seed, guess=guess)
        model = GaussianProcess([*GROUPS, 3], linear=linear, trend=0.0)
        model.fit(X, y)
        X, y = guessed(200, seed + 50, guess=guess)
        found.append(kendall_tau(model.predict(X)[0], y))
    return float(np.mean(found))


@pytest.mark.parametrize("guess", ["good", "turned"])
def test_a_linear_feature_that_foretells_the_target_helps_where_rows_are_few(guess: str) -> None:
    assert tau(guess, 10, [6]) > tau(guess, 10, []) + 0.05


def test_a_linear_feature_that_says_nothing_costs_little() -> None:
    assert tau("useless", 40, [6]) > tau("useless", 40, []) - 0.03


def test_believing_keeps_the_mean_with_linear_features_too() -> None:
    X, y = guessed(30)
    model = GaussianProcess([*GROUPS, 3], linear=[6])
    model.fit(X, y)
    asked = guessed(12, seed=2)[0]
    posterior = model.posterior(asked)
    posterior.believe(4)
    model.update(asked[[4]], posterior.mean[[4]])
    mean, std = model.predict(asked)
    assert np.allclose(posterior.mean, mean)
    assert np.allclose(posterior.std, std)


def test_a_trend_helps_where_rows_are_few_and_none_is_none() -> None:
    found: dict[float, list[float]] = {0.0: [], 0.3: []}
    for seed in range(4):
        X, y = smooth(12, seed)
        line = y + 2 * X @ np.array([1.0, -0.5, 0.0, 0.3, 0.0, 0.2])
        asked, truth = smooth(200, seed + 50)
        ahead = truth + 2 * asked @ np.array([1.0, -0.5, 0.0, 0.3, 0.0, 0.2])
        for trend, taus in found.items():
            model = GaussianProcess(GROUPS, trend=trend)
            model.fit(X, line)
            taus.append(kendall_tau(model.predict(asked)[0], ahead))
            assert (np.exp(model._theta[-3]) < 1e-9) == (trend == 0.0)
    assert np.mean(found[0.3]) > np.mean(found[0.0]) + 0.02


def test_columns_that_say_the_same_share_a_weight_that_is_the_best_for_all_of_them() -> None:
    rng = np.random.default_rng(3)
    rows, count = rng.normal(size=(40, 2)), 40
    X = np.column_stack([rows[:, 0], rows[:, 1], -rows[:, 0], np.ones(count), rows[:, 0]])
    y = np.sin(2 * rows[:, 0]) + 0.1 * rng.normal(size=count)
    groups = np.zeros(5, dtype=int)
    model = GaussianProcess(groups)
    model.fit(X, y)
    own = model._theta[1:6]
    assert own[0] == own[2] == own[4] > 0 > own[1]
    assert own[3] == 0.0
    scaled = (X - X.mean(0)) / np.sqrt(model._scale[groups])
    _, gradient = negative_likelihood(model._theta, scaled, groups, (y - y.mean()) / y.std())
    width = count / OWN_ROWS
    assert gradient[1:6] + own / width**2 == pytest.approx(np.zeros(5), abs=0.02)
