"""Vectors and Optuna parameters."""

from __future__ import annotations

import random

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasplat.graph.op import Expression
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Float, Int
from nasplat.space.wiring import Steps
from nasplat.testing.space import Keep, bodies, small_space


def test_columns_hold_activity_rank_and_values() -> None:
    body = Steps(m=Choose(a=Keep(size=Choice(1, 2, 8)), b=Keep()), n=Keep(size=Int(0, 4)))
    space = small_space(body, recipe={"lr": Float(1e-4, 1e-2, log=True)})
    names = [
        *("m active", "m = a", "m = b"),
        *("m.a.size active", "m.a.size", "n.size active", "n.size"),
        *("recipe.lr active", "recipe.lr"),
    ]
    assert space.encoding.names == names
    one = space.encode({"m": "a", "m.a.size": 2, "n.size": 1, "recipe.lr": 1e-3})
    assert one == pytest.approx([1, 1, 0, 1, 0.5, 1, 0.25, 1, 0.5])
    other = space.encode({"m": "b", "n.size": 4, "recipe.lr": 1e-2})
    assert other == pytest.approx([1, 0, 1, 0, 0, 1, 1, 1, 1])


@settings(max_examples=60)
@given(bodies(depth=3), st.integers(0, 2**32))
def test_equal_vectors_are_equal_genotypes(body: Expression, seed: int) -> None:
    space, rng = small_space(body), random.Random(seed)
    one, other = space.sample(rng), space.sample(rng)
    assert np.array_equal(space.encode(one), space.encode(other)) == (one == other)


@settings(max_examples=30)
@given(bodies(depth=3), st.integers(0, 2**16))
def test_plain_optuna_asks_only_for_active_paths(body: Expression, seed: int) -> None:
    space = small_space(body)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(3):
        trial = study.ask()
        candidate = space.suggest(trial)
        assert trial.params == dict(candidate.genotype)
        assert {
            path: kind for path, kind in space.distributions().items() if path in trial.params
        } == trial.distributions
        study.tell(trial, 0.0)
