"""The gradient of the marginal likelihood, by differences."""

from __future__ import annotations

import numpy as np
import pytest

from nasplat.predict.base import Floats
from nasplat.predict.marginal_likelihood import negative_likelihood
from nasplat.testing.predictor import smooth

GROUPS = np.array([0, 0, 1, 1, 2, 2])
RNG = np.random.default_rng(3)


@pytest.mark.parametrize("lines", [None, RNG.normal(size=(20, 2))], ids=["plain", "with lines"])
@pytest.mark.parametrize("noises", [None, RNG.uniform(0.1, 3.0, 20)], ids=["even", "uneven"])
def test_the_gradient_is_that_of_the_likelihood(
    lines: Floats | None, noises: Floats | None
) -> None:
    X, y = smooth(20)
    slopes = [] if lines is None else [-0.7, 0.4]
    weights = [0.3, -0.5, -2.0, 0.2, 0.0, -0.4, 0.9, -1.0, 0.1]  # of 3 groups and 6 features
    theta = np.array([*weights, *slopes, -0.8, 0.1, -3.0])
    _, gradient = negative_likelihood(theta, X, GROUPS, y, lines, noises)
    for place in range(len(theta)):
        step = np.zeros(len(theta))
        step[place] = 1e-5
        up, _ = negative_likelihood(theta + step, X, GROUPS, y, lines, noises)
        down, _ = negative_likelihood(theta - step, X, GROUPS, y, lines, noises)
        assert gradient[place] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-4)
