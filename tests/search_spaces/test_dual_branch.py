"""The space of several branches: legal by design for every kind of input that it takes."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import torch

from nasplat.errors import SpaceError
from nasplat.graph.types import Image, Logits, Series
from nasplat.space.load import examples, load_space
from nasplat.space.space import Space
from nasplat.testing.designs import DesignConformance, run
from nasplat.testing.space import SpaceConformance

EXAMPLES = examples("dual-branch")


@pytest.fixture(scope="module", params=EXAMPLES)
def space_for(request: pytest.FixtureRequest) -> Space:
    return load_space("dual-branch", EXAMPLES[request.param])


class TestDigits(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return load_space("dual-branch", EXAMPLES["image"])


class TestDesigns(DesignConformance):
    space = "dual-branch"
    count = 12


def type_check(space: Space, count: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        graph = space.graph(space.sample(rng))
        assert dict(graph.output_types) == space.outputs


def forward_on_meta(space: Space, count: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        candidate = space.build(space.sample(rng))
        with torch.device("meta"):
            module = candidate.module()
            module(*(torch.empty(2, *item.shape) for item in space.inputs.values()))


def run_for_real(space: Space, count: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        candidate = space.build(space.sample(rng))
        module = candidate.module()
        assert sum(weight.numel() for weight in module.parameters()) == candidate.cost.params
        run(candidate)


def test_random_genotypes_type_check(space_for: Space) -> None:
    type_check(space_for, 50, seed=11)


def test_random_candidates_run_forward_and_backward(space_for: Space) -> None:
    run_for_real(space_for, 4, seed=12)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_random_genotypes_type_check(space_for: Space) -> None:
    type_check(space_for, 100_000 // len(EXAMPLES), seed=13)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_thousand_candidates_run_forward_on_meta(space_for: Space) -> None:
    forward_on_meta(space_for, 2000 // len(EXAMPLES), seed=14)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_hundred_candidates_run_forward_and_backward(space_for: Space) -> None:
    run_for_real(space_for, 500 // len(EXAMPLES), seed=15)


def test_views_of_one_network_share_their_weights() -> None:
    space = load_space("dual-branch", EXAMPLES["views"])
    tied = space.within(("here", {"contrast": ("view",), "sharing": ("across_branches",)}))
    free = space.within(("here", {"contrast": ("view",), "sharing": ("none",)}))
    alike = {**free.default(), "sharing": "across_branches"}
    assert tied.build(alike).cost.params < free.build(free.default()).cost.params


def test_what_it_cannot_take_is_refused_with_what_it_takes() -> None:
    task = SimpleNamespace(inputs={"x": Series(1, 32)}, outputs={"y": Logits(10)})
    with pytest.raises(SpaceError, match=r"no branches for Series\(1, 32\)"):
        load_space("dual-branch", task)
    other = SimpleNamespace(inputs={"x": Image(1, 8, 8)}, outputs={"y": Image(2, 16, 16)})
    with pytest.raises(SpaceError, match="no branches"):
        load_space("dual-branch", other)
