"""Reports at several fidelities are put on one scale, and their errors with them."""

from __future__ import annotations

import numpy as np

from nasplat.predict.fidelities import aligned


def test_a_few_trials_at_both_fidelities_tell_the_difference() -> None:
    trials = np.array([0, 1, 2, 0, 1, 2, 3])
    fidelities = np.array([0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 0.0])
    values = np.array([[5.0], [6.0], [7.0], [2.0], [3.0], [4.0], [9.0]])
    met, slopes = aligned(values, fidelities, trials)
    assert met[:, 0].tolist() == [2.0, 3.0, 4.0, 2.0, 3.0, 4.0, 6.0]
    assert (slopes == 1.0).all()


def test_a_slope_is_learned_from_some_of_many_trials() -> None:
    low = np.random.default_rng(0).normal(size=(2000, 1))
    values = np.vstack([low, 3 * low[::2] + 1])
    fidelities = np.repeat([1.0, 2.0], [2000, 1000])
    trials = np.concatenate([np.arange(2000), np.arange(0, 2000, 2)])
    met, slopes = aligned(values, fidelities, trials)
    assert np.allclose(met[:2000], 3 * low + 1)
    assert np.allclose(slopes[:2000], 3.0) and (slopes[2000:] == 1.0).all()


def test_over_three_fidelities_each_is_stretched_to_the_last() -> None:
    low = np.random.default_rng(0).normal(size=(20, 1))
    values = np.vstack([low, 2 * low, 6 * low])
    met, slopes = aligned(values, np.repeat([0.0, 1.0, 2.0], 20), np.tile(np.arange(20), 3))
    assert np.allclose(met, np.tile(6 * low, (3, 1)))
    assert np.allclose(slopes[:, 0], np.repeat([6.0, 3.0, 1.0], 20))
