"""Recipes: ranges, names, keys and schedules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nasplat.errors import UsageError
from nasplat.tasks.augment import Augment
from nasplat.tasks.recipe import (
    CHOICES,
    RANGES,
    SMALLEST_BATCH,
    STEPS,
    Recipe,
    batch_size_for,
)


def test_a_recipe_goes_to_json_and_back() -> None:
    recipe = Recipe(lr=0.1, optimizer="sgd", ema=0.99)
    assert Recipe.from_mapping(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_fields_of_a_candidate_override_defaults() -> None:
    recipe = Recipe.from_mapping({"recipe.lr": 0.01, "batch_size": 32})
    assert (recipe.lr, recipe.batch_size) == (0.01, 32)
    assert recipe.schedule == Recipe().schedule


def test_unknown_fields_are_named_with_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match="no field 'dropout', 'rate'; its fields are optimizer, lr"
    ):
        Recipe.from_mapping({"recipe.rate": 1, "dropout": 0.1})


def test_all_values_out_of_range_are_named_at_once() -> None:
    with pytest.raises(UsageError) as met:
        Recipe(lr=100.0, optimizer="adam", batch_size=0, ema=float("nan"))
    for part in (
        "lr must be in [1e-06, 10], got 100.0",
        "optimizer must be one of adamw, sgd",
        "batch_size must be in [1, 65536], got 0",
        "ema must be in [0, 0.99999], got nan",
    ):
        assert part in str(met.value)


@pytest.mark.parametrize(
    ("field", "value"), [("lr", "0.1"), ("batch_size", 1.5), ("mixup", True), ("clip_norm", None)]
)
def test_values_of_the_wrong_type_are_refused(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{field} must be a "):
        Recipe.from_mapping({field: value})


def test_ends_of_ranges_belong_to_them() -> None:
    for field, ends in RANGES.items():
        for value in ends:
            Recipe.from_mapping({field: int(value) if field == "batch_size" else value})
    for field, known in CHOICES.items():
        for word in known:
            Recipe.from_mapping({field: word})


def test_the_key_follows_the_values_and_never_moves() -> None:
    assert Recipe(lr=1).key == Recipe(lr=1.0).key
    assert Recipe(lr=1).key != Recipe(lr=2).key
    fixed = Recipe(
        optimizer="sgd",
        lr=0.1,
        weight_decay=0.0,
        momentum=0.9,
        schedule="linear",
        warmup=0.0,
        batch_size=32,
        label_smoothing=0.0,
        mixup=0.0,
        augment="none",
        ema=0.0,
        clip_norm=0.0,
    )
    assert fixed.key == "r1:a992ad0bf1833d80"


@pytest.mark.parametrize("schedule", CHOICES["schedule"])
def test_rates_stay_between_zero_and_the_largest(schedule: str) -> None:
    recipe = Recipe(lr=0.5, schedule=schedule, warmup=0.1)
    rates = [recipe.rate(step, 100) for step in range(100)]
    assert all(0 < rate <= 0.5 for rate in rates)
    peak = rates.index(max(rates))
    assert peak == (30 if schedule == "onecycle" else 10)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert (rates[-1] == 0.5) == (schedule == "constant")


def test_a_schedule_of_one_step_has_a_rate() -> None:
    assert all(Recipe(schedule=s).rate(0, 1) == Recipe().lr for s in CHOICES["schedule"])


def test_augmentation_follows_level_and_kind_of_images() -> None:
    assert Recipe(augment="none").augmentation(natural=True) is None
    assert Recipe(augment="none", mixup=0.2).augmentation(natural=True) == Augment(mixup=0.2)
    light = Recipe(augment="light").augmentation(natural=True)
    strong = Recipe(augment="strong").augmentation(natural=False)
    assert light is not None and light.flip and not light.erase
    assert strong is not None and not strong.flip and strong.erase and strong.shift > light.shift


@pytest.mark.parametrize(
    ("examples", "size"), [(1_000_000, 64), (1280, 64), (1279, 32), (460, 16), (160, 8), (3, 8)]
)
def test_few_examples_come_in_small_batches(examples: int, size: int) -> None:
    assert batch_size_for(examples) == size
    assert size == SMALLEST_BATCH or examples >= STEPS * size
