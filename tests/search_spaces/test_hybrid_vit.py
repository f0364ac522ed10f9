"""The space of hybrid vision networks: legal by design, at every size of image."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from nasplat.graph.types import Image, Logits
from nasplat.space.load import load_space
from nasplat.space.space import Space
from nasplat.testing.candidates import type_check
from nasplat.testing.space import SpaceConformance

SIZES = {8: (1, 8, 8), 32: (3, 32, 32)}


def make(channels: int, height: int, width: int) -> Space:
    task = SimpleNamespace(
        inputs={"image": Image(channels, height, width)}, outputs={"logits": Logits(10)}
    )
    return load_space("hybrid-vit", task)


class TestDigits(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return make(*SIZES[8])


class TestSmallImages(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return make(*SIZES[32])


def test_32x32_holds_at_least_ten_to_the_fifteen_candidates() -> None:
    assert make(3, 32, 32).size() >= 10**15


def test_8x8_holds_small_candidates_that_train_in_seconds() -> None:
    space = make(1, 8, 8)
    rng = random.Random(0)
    costs = [space.cost_of(dict(space.sample(rng))) for _ in range(300)]
    params = sorted(cost.params for cost in costs)
    assert params[30] >= 8_000 and params[270] <= 200_000
    assert sorted(cost.macs for cost in costs)[270] < 10_000_000


@pytest.mark.parametrize(
    ("height", "width", "stages"),
    [
        (4, 4, 2),
        (5, 7, 2),
        (8, 8, 2),
        (28, 28, 3),
        (32, 32, 3),
        (48, 96, 3),
        (64, 64, 3),
        (224, 224, 4),
    ],
)
def test_one_rule_gives_a_legal_space_for_every_image(height: int, width: int, stages: int) -> None:
    space = make(3, height, width)
    assert f"stages.{stages - 1}.depth" in space.points
    assert f"stages.{stages}.depth" not in space.points
    type_check(space, 50, seed=15)


def test_every_kind_of_part_is_in_the_space() -> None:
    space = make(3, 32, 32)
    mixers = space.points["stages.0.blocks.0.mixer"].decision
    ffns = space.points["stages.0.blocks.0.ffn"].decision
    assert [mixers.value(index) for index in range(mixers.count or 0)] == [
        *("conv", "window", "attention", "linear", "channel", "spatial_channel", "hybrid"),
        *("pool", "mlp", "other"),
    ]
    assert [ffns.value(index) for index in range(ffns.count or 0)] == [
        *("mlp", "gated", "depthwise", "moe", "other")
    ]


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 32), (3, 224)])
def test_sizes_are_those_of_the_files_own_table(channels: int, side: int) -> None:
    from nasplat.content import find, load_file

    table = load_file(find("space", "hybrid-vit", "search_spaces")).__doc__ or ""
    row = next(line for line in table.splitlines() if f" {side}x{side} " in line)
    assert f" {make(channels, side, side).size():.1e} " in row


def test_without_a_recipe_only_the_architecture_is_open() -> None:
    from nasplat.content import find, load_file

    task = SimpleNamespace(inputs={"image": Image(1, 8, 8)}, outputs={"logits": Logits(10)})
    made = load_file(find("space", "hybrid-vit", "search_spaces")).space(task, recipe=False)
    assert not any(path.startswith("recipe") for path in made.points)
    assert make(1, 8, 8).size() == 9 * 2 * 4 * made.size()
