"""The space of text networks: legal by design for every kind of text task, and blind to the future."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import torch

from nasplat.errors import SpaceError
from nasplat.graph.types import Ids, Image, Logits, Tokens
from nasplat.space.load import Types, examples, load_space
from nasplat.space.space import Space
from nasplat.testing.space import SpaceConformance

SPACE = "decoder-lm"
KINDS = ("language", "classes", "vector", "matching", "context")


def make(kind: str) -> Space:
    return load_space(SPACE, examples(SPACE)[kind])


@pytest.fixture(scope="module", params=KINDS)
def space(request: pytest.FixtureRequest) -> Space:
    return make(request.param)


class TestLanguage(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return make("language")


def assert_blind(space: Space, count: int, seed: int) -> None:
    """What comes out at a place does not change with what comes later."""
    rng = random.Random(seed)
    (length,) = next(iter(space.inputs.values())).shape
    for number in range(count):
        genotype = space.sample(rng)
        module = space.build(genotype).module(seed=number).eval()
        ids = next(iter(space.inputs.values())).example(2, torch.Generator().manual_seed(number))
        place = rng.randrange(1, length)
        later = ids.clone()
        later[:, place:] = (later[:, place:] + 1 + number) % 256
        with torch.no_grad():
            before, after = module(ids)[:, :place], module(later)[:, :place]
        torch.testing.assert_close(before, after, atol=2e-4, rtol=2e-4, msg=str(genotype))


def test_no_language_model_sees_later_tokens() -> None:
    assert_blind(make("language"), 40, seed=6)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_none_of_a_thousand_language_models_sees_later_tokens() -> None:
    assert_blind(make("language"), 1000, seed=7)


def test_candidates_that_are_isolated_do_not_see_each_other() -> None:
    space = make("matching").within({"mask": ("candidate_isolating",)})
    rng = random.Random(8)
    for number in range(12):
        module = space.build(space.sample(rng)).module(seed=number).eval()
        context, candidates = (kind.example(2) for kind in space.inputs.values())
        other = candidates.clone()
        other[:, 8:16] = (other[:, 8:16] + 1) % 256
        with torch.no_grad():
            one, two = module(context, candidates), module(context, other)
        torch.testing.assert_close(one[:, [0, 2, 3]], two[:, [0, 2, 3]], atol=1e-4, rtol=1e-4)
        assert not torch.equal(one[:, 1], two[:, 1])


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ({"image": Image(1, 8, 8)}, {"logits": Logits(10)}),
        ({"ids": Ids(4, 16)}, {"logits": Tokens(4, 16)}),
        ({"ids": Ids(16, 16)}, {"logits": Tokens(16, 17)}),
        ({"one": Ids(16, 16), "two": Ids(15, 16)}, {"logits": Logits(4)}),
    ],
)
def test_other_types_are_refused_with_those_it_takes(inputs: dict, outputs: dict) -> None:  # type: ignore[type-arg]  # types by name
    with pytest.raises(SpaceError, match=r"decoder-lm maps Ids.*the task maps"):
        load_space(SPACE, Types(inputs, outputs))


@pytest.mark.parametrize(("objective", "mask"), [("masked", "none"), ("next", "causal")])
def test_the_objective_of_a_task_decides_whether_models_look_both_ways(
    objective: str, mask: str
) -> None:
    types = examples(SPACE)["language"]
    task = SimpleNamespace(
        inputs=types.inputs, outputs=types.outputs, preprocessing={"objective": objective}
    )
    decision = load_space(SPACE, task, recipe=False).points["mask"].decision
    assert (decision.count, decision.value(0)) == (1, mask)


def test_sizes_are_those_of_the_files_own_table() -> None:
    from nasplat.content import find, load_file

    text = load_file(find("space", SPACE, "search_spaces")).__doc__ or ""
    for kind in ("language", "classes"):
        row = next(line for line in text.splitlines() if line.strip().startswith(kind))
        assert f" {make(kind).size():.1e} " in row
