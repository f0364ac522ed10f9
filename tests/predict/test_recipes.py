"""Every recipe of predictors/ learns a real space from a few candidates."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nasplat import content
from nasplat.predict.quality import kendall_tau
from nasplat.testing.strategy import some_space


@pytest.mark.parametrize("name", content.names("predictors"))
def test_a_recipe_orders_candidates_that_it_has_not_seen(name: str) -> None:
    space = some_space()
    module = content.load_file(content.find("predictor", name, "predictors"))
    features, model = module.predictor(space)
    candidates = list(space.batch(150, random.Random(1)))
    X = features(candidates)
    y = np.log([candidate.cost.macs for candidate in candidates])
    model.fit(X[:60], y[:60])
    mean, std = model.predict(X[60:])
    assert kendall_tau(mean, y[60:]) > 0.8
    assert std.shape == mean.shape


@pytest.mark.parametrize("name", content.names("predictors"))
def test_a_recipe_states_what_it_measured(name: str) -> None:
    text = content.load_file(content.find("predictor", name, "predictors")).__doc__ or ""
    assert "Kendall's tau, held out" in text
    assert "nasplat bench predictors" in text
