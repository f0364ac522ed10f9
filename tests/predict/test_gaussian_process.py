"""The Gaussian process agrees with scikit-learn's, and its closed forms with doing it the long way."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from nasplat.predict.gaussian_process import GaussianProcess, _negative_likelihood
from nasplat.testing.predictor import smooth

GROUPS = [0, 0, 1, 1, 2, 2]


@pytest.fixture
def fitted() -> GaussianProcess:
    X, y = smooth(40)
    model = GaussianProcess(GROUPS)
    model.fit(X, y)
    return model


def test_mean_and_deviation_are_those_of_scikit_learn(fitted: GaussianProcess) -> None:
    X, y = fitted.X, fitted.y
    centre, spread = y.mean(), y.std()
    signal, noise = np.exp(fitted._theta[-2:])
    kernel = ConstantKernel(signal) * Matern(length_scale=1 / np.sqrt(fitted.weights), nu=2.5)
    oracle = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None)
    oracle.fit(X, (y - centre) / spread)
    asked = smooth(25, seed=1)[0]
    mean, std = oracle.predict(asked, return_std=True)
    met_mean, met_std = fitted.predict(asked)
    assert np.allclose(met_mean, centre + spread * mean, atol=1e-6)
    assert np.allclose(met_std, spread * std, atol=1e-6)


def test_the_gradient_is_that_of_the_likelihood() -> None:
    X, y = smooth(20)
    group = np.array(GROUPS)
    theta = np.array([0.3, -0.5, -2.0, 0.2, 0.0, -0.4, 0.9, -1.0, 0.1, 0.1, -3.0])
    _, gradient = _negative_likelihood(theta, X, group, y)
    for place in range(len(theta)):
        step = np.zeros(len(theta))
        step[place] = 1e-5
        up, _ = _negative_likelihood(theta + step, X, group, y)
        down, _ = _negative_likelihood(theta - step, X, group, y)
        assert gradient[place] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-4)


def test_groups_that_say_nothing_lose_their_weight() -> None:
    X, y = smooth(120)
    model = GaussianProcess([0, 0, 0, 1, 1, 1])
    model.fit(X, y)
    assert model.relevance[1] < 0.1 * model.relevance[0]


def test_features_that_say_nothing_lose_weight_within_their_group() -> None:
    X, y = smooth(120)
    model = GaussianProcess()
    model.fit(X, y)
    assert model.weights[3:].max() < 0.3 * model.weights[:3].min()


def test_leaving_out_in_closed_form_is_leaving_out(fitted: GaussianProcess) -> None:
    blocks = np.arange(40) // 2
    met = fitted.leave_out(blocks)
    for block in (0, 7, 19):
        rest = GaussianProcess(GROUPS)
        rest.fit(fitted.X, fitted.y)
        rest.X, rest.y = fitted.X[blocks != block], fitted.y[blocks != block]
        rest._condition()
        assert np.allclose(met[blocks == block], rest.predict(fitted.X[blocks == block])[0])


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
