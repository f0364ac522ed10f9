"""The space of hybrid vision networks: legal by design, at every size of image."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from nasplat.graph.types import Image, Logits
from nasplat.space.load import load_space
from nasplat.space.space import Space
from nasplat.testing.space import SpaceConformance

SIZES = {8: (1, 8, 8), 32: (3, 32, 32)}


def make(channels: int, height: int, width: int) -> Space:
    task = SimpleNamespace(
        inputs={"image": Image(channels, height, width)}, outputs={"logits": Logits(10)}
    )
    return load_space("hybrid-vit", task)


@pytest.fixture(scope="module", params=SIZES, ids=lambda side: f"{side}x{side}")
def sized(request: pytest.FixtureRequest) -> Space:
    return make(*SIZES[request.param])


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


def type_check(space: Space, count: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        graph = space.graph(space.sample(rng))
        assert graph.output_types == {"logits": Logits(10)}


def run(space: Space, count: int, seed: int) -> None:
    """Forward and backward in training and forward in evaluation, with finite numbers everywhere."""
    rng = random.Random(seed)
    image = next(iter(space.inputs.values()))
    for number in range(count):
        candidate = space.build(space.sample(rng))
        module = candidate.module(seed=number)
        assert sum(p.numel() for p in module.parameters()) == candidate.cost.params
        x = image.example(2, torch.Generator().manual_seed(number))
        module.train()
        loss = nn.functional.cross_entropy(module(x), torch.tensor([0, 1]))
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        module.eval()
        with torch.no_grad():
            out = module(x)
        assert out.shape == (2, 10)
        assert torch.isfinite(loss) and torch.isfinite(out).all(), candidate.genotype
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        assert gradients and all(torch.isfinite(g).all() for g in gradients), candidate.genotype


def test_a_thousand_random_genotypes_type_check(sized: Space) -> None:
    type_check(sized, 500, seed=11)


def test_random_candidates_run_forward_and_backward(sized: Space) -> None:
    run(sized, 25, seed=12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_random_genotypes_type_check(sized: Space) -> None:
    type_check(sized, 50_000, seed=13)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_thousand_candidates_run_forward_and_backward(sized: Space) -> None:
    run(sized, 1000, seed=14)


def test_32x32_holds_at_least_ten_to_the_fifteen_candidates() -> None:
    assert make(3, 32, 32).size() >= 10**15


def test_8x8_holds_small_candidates_that_train_in_seconds() -> None:
    space = make(1, 8, 8)
    rng = random.Random(0)
    params = sorted(space.cost_of(dict(space.sample(rng))).params for _ in range(300))
    assert params[30] >= 10_000 and params[270] <= 200_000
    macs = [space.cost_of(dict(space.sample(rng))).macs for _ in range(300)]
    assert max(macs) < 10_000_000


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
