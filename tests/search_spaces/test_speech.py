"""The space of series: legal by design for every kind of task, and every design of the survey inside it."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from nasplat.errors import SpaceError
from nasplat.graph.digest import digest
from nasplat.graph.types import Image, Logits, Series, TensorType, Tokens, Vector
from nasplat.space.load import examples, load_space
from nasplat.space.space import Space
from nasplat.testing.candidates import space_of, type_check
from nasplat.testing.designs import DesignConformance
from nasplat.testing.space import SpaceConformance

KINDS = tuple(examples("speech"))


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Space:
    return space_of("speech", request.param)


class TestDigits(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return space_of("speech", "digits")


class TestStyled(SpaceConformance):
    """Two inputs, one of them integers."""

    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return space_of("speech", "styled")


class TestDesigns(DesignConformance):
    space = "speech"
    count = 21


def test_parameters_of_a_candidate_are_those_of_its_module(kind: Space) -> None:
    rng = random.Random(5)
    for number in range(5):
        candidate = kind.build(kind.sample(rng))
        module = candidate.module(seed=number)
        assert sum(p.numel() for p in module.parameters()) == candidate.cost.params


@pytest.mark.slow
def test_it_scales_to_frames_and_to_sound() -> None:
    """1,024 frames of 80 mel bands, and a second of sound at 16 kHz."""
    scales: dict[str, tuple[TensorType, TensorType]] = {
        "frames": (Series(80, 1024), Tokens(256, 128)),
        "sound": (Series(1, 16_000), Logits(35)),
    }
    for given, wanted in scales.values():
        task = SimpleNamespace(inputs={"x": given}, outputs={"y": wanted})
        space = load_space("speech", task)
        type_check(space, 20, seed=6)
        assert space.build(space.default()).cost.params > 100_000


def test_the_weights_of_one_set_of_scores_are_made_once() -> None:
    space = space_of("speech", "digits").within({"network": ("masked",)})
    space = space.within({"**.arrangement": ("modules",), "**.depth": (1,), "**.loops": (1,)})
    graph = space.build(space.sample(random.Random(0))).graph
    kinds = [node.op.kind for node in graph.live]
    assert kinds.count("attention_scores") == 1 and kinds.count("attention_apply") == 3


def test_tied_turns_share_weights_but_for_what_is_private() -> None:
    space = space_of("speech", "digits").within(
        {"network": ("masked",), "**.arrangement": ("macaron",), "**.ffn": ("mlp",)},
        {"mask.loops": (1, 3), "mask.depth": (1,), "norm_placement": ("pre",), "norm": ("layer",)},
    )
    first = space.default()
    costs = {}
    for turns in ("shared", "private"):
        for loops in (1, 3):
            genotype = {**first, "turns": turns, "mask.loops": loops}
            costs[turns, loops] = space.build(genotype).cost.params
    assert costs["shared", 3] == costs["shared", 1]
    width = first["mask.width"]
    assert isinstance(width, int)
    norms = 4 * 2 * width
    assert costs["private", 3] - costs["private", 1] == 2 * norms


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (Image(3, 8, 8), Logits(3)),
        (Series(1, 8), Vector(3)),
        (Tokens(4, 8), Logits(3)),
    ],
)
def test_a_task_of_other_types_is_refused_with_the_types_it_takes(
    given: TensorType, wanted: TensorType
) -> None:
    task = SimpleNamespace(inputs={"x": given}, outputs={"y": wanted})
    with pytest.raises(SpaceError, match="speech maps one Series or Ids") as caught:
        load_space("speech", task)
    assert str(given) in str(caught.value) and str(wanted) in str(caught.value)


def test_equal_tasks_give_equal_spaces_and_digests() -> None:
    one = space_of("speech", "forecast")
    two = load_space("speech", examples("speech")["forecast"])
    assert one.version == two.version
    genotype = one.sample(random.Random(7))
    assert digest(one.graph(genotype)) == digest(two.graph(genotype))
