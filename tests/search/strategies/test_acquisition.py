"""Expected improvement agrees with sampling and with closed forms."""

from __future__ import annotations

import moocore
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from nasplat.search.strategies.acquisition import OpenBoxes

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(64)


def gain(boxes: OpenBoxes, mean: NDArray[np.float64], std: NDArray[np.float64]) -> list[float]:
    """Of independent normal predictions."""
    values = mean[:, :, None] + std[:, :, None] * NODES
    return [float(one) for one in boxes.expected_improvement(values, WEIGHTS / WEIGHTS.sum())]


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_expected_hypervolume_improvement_is_the_mean_over_samples(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    front = rng.normal(size=(6, objectives))
    reference = np.full(objectives, 1.5)
    mean = rng.normal(size=(3, objectives)) - 0.5
    std = np.array([[0.5], [0.01], [1.0]]) * np.ones(objectives)
    before = moocore.hypervolume(front, ref=reference)
    met = gain(OpenBoxes(front, reference), mean, std)
    for row in range(3):
        drawn = mean[row] + std[row] * rng.normal(size=(2000, objectives))
        gains = np.array(
            [moocore.hypervolume(np.vstack([front, y]), ref=reference) - before for y in drawn]
        )
        assert met[row] == pytest.approx(gains.mean(), abs=4 * gains.std() / np.sqrt(2000) + 3e-3)


def test_one_objective_gives_expected_improvement() -> None:
    mean, std, best = np.array([[0.3]]), np.array([[0.8]]), -0.2
    scaled = (best - 0.3) / 0.8
    expected = 0.8 * (scaled * norm.cdf(scaled) + norm.pdf(scaled))
    boxes = OpenBoxes(np.array([[best], [0.9]]), np.array([2.0]))
    assert gain(boxes, mean, std)[0] == pytest.approx(expected, rel=0.02)


def test_a_certain_prediction_improves_by_what_it_dominates() -> None:
    boxes = OpenBoxes(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([2.0, 2.0]))
    mean = np.array([[0.5, 0.5], [1.5, 1.5], [-1.0, -1.0], [3.0, -5.0]])
    met = gain(boxes, mean, np.zeros((4, 2)))
    assert met == pytest.approx([0.25, 0.0, 9.0 - 3.0, 0.0], abs=1e-6)


def test_an_empty_front_leaves_everything_open() -> None:
    boxes = OpenBoxes(np.zeros((0, 2)), np.array([1.0, 1.0]))
    assert gain(boxes, np.zeros((1, 2)), np.zeros((1, 2))) == pytest.approx([1.0])


def test_large_fronts_of_many_objectives_are_thinned_and_still_rank() -> None:
    rng = np.random.default_rng(0)
    points = np.abs(rng.normal(size=(200, 4)))
    front = points / np.linalg.norm(points, axis=1, keepdims=True)
    boxes = OpenBoxes(front, np.full(4, 2.0))
    mean = np.array([[0.0] * 4, [0.9] * 4])
    better, worse = gain(boxes, mean, np.full((2, 4), 0.05))
    assert better > worse
