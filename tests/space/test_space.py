"""A space as a whole: the conformance suite, building, validation, outputs, recipes, versions."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasplat.errors import GenotypeError, SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits, Vector
from nasplat.ops.conv import Conv, DepthwiseConv
from nasplat.ops.head import ClassifierHead
from nasplat.space.choose import Choose, Optional
from nasplat.space.decisions import Choice, Float, Int
from nasplat.space.quantised import Quantised
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.space.wiring import Pick, Steps, Tap
from nasplat.testing.graph import Dense
from nasplat.testing.space import Keep, SpaceConformance, bodies, small_space

FAST = settings(max_examples=100)


def image_body() -> Expression:
    mixer = Choose(deep=DepthwiseConv(kernel=Choice(3, 5)), plain=Conv(kernel=Choice(1, 3)))
    return Steps(
        stem=Conv(channels=Choice(4, 8), stride=2),
        blocks=Quantised(Repeat(Steps(mixer=mixer), Int(1, 3)), weight=Choice(32, 8)),
        head=ClassifierHead(classes=3),
    )


def image_space(**options: Any) -> Space:
    options.setdefault("recipe", {"lr": Float(1e-4, 1e-2, log=True), "epochs": 3})
    return Space(image_body(), {"image": Image(1, 8, 8)}, {"logits": Logits(3)}, **options)


class TestImageSpace(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return image_space()


class TestClosedSpace(SpaceConformance):
    """A body without decisions is a space of one candidate."""

    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return small_space(Keep() >> Keep(), check=1)


class Noting(Mapping[str, Any]):
    """Values that note which of them are read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values_by_path = values
        self.read: set[str] = set()

    def __getitem__(self, path: str) -> Any:
        self.read.add(path)
        return self.values_by_path[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_path)

    def __len__(self) -> int:
        return len(self.values_by_path)


@FAST
@given(bodies(depth=3), st.integers(0, 2**32))
def test_building_reads_exactly_the_active_paths(body: Expression, seed: int) -> None:
    space = small_space(body)
    noting = Noting(space.sample(random.Random(seed)))
    space.graph(noting)
    assert noting.read == set(noting)


@FAST
@given(bodies(depth=3))
def test_equal_definitions_have_equal_versions_and_other_domains_have_others(
    body: Expression,
) -> None:
    space = small_space(body)
    assert small_space(body).version == space.version
    assert small_space(body >> Keep(size=7)).version != space.version


def test_the_version_is_the_same_in_every_process() -> None:
    code = (
        "import importlib.util as u; s = u.spec_from_file_location('t', 'tests/space/test_space.py');"
        "m = u.module_from_spec(s); s.loader.exec_module(m); print(m.image_space().version)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == image_space().version


def test_sharing_a_decision_is_part_of_the_definition() -> None:
    size = Choice(1, 2)
    one = small_space(Keep(size=size) >> Keep(size=size))
    two = small_space(Keep(size=size) >> Keep(size=Choice(1, 2)))
    assert one.version != two.version


def test_paths_are_those_of_the_definition() -> None:
    assert list(image_space().points) == [
        "stem.channels",
        "blocks.weight_bits",
        "blocks.times",
        "blocks.0.mixer",
        "blocks.0.mixer.deep.kernel",
        "blocks.0.mixer.plain.kernel",
        "blocks.1.mixer",
        "blocks.1.mixer.deep.kernel",
        "blocks.1.mixer.plain.kernel",
        "blocks.2.mixer",
        "blocks.2.mixer.deep.kernel",
        "blocks.2.mixer.plain.kernel",
        "recipe.lr",
    ]


def test_all_offences_are_told_apart_with_value_and_domain() -> None:
    space = image_space()
    genotype = {
        **space.default(),
        "blocks.times": 9,
        "stem.channels": "4",
        "blocks.2.mixer": "deep",
    }
    del genotype["recipe.lr"]
    genotype["blocks.0.mixer.depe.kernel"] = 3
    assert space.validate(genotype) == [
        "stem.channels is '4', expected a value of Choice(4, 8)",
        "blocks.times is 9, expected a value of Int(1, 3)",
        "recipe.lr is missing, expected a value of Float(0.0001, 0.01, log=True)",
        "blocks.0.mixer.depe.kernel is no decision of the space; nearest: "
        "blocks.0.mixer.deep.kernel, blocks.1.mixer.deep.kernel, blocks.2.mixer.deep.kernel",
    ]
    inactive = {**space.default(), "blocks.2.mixer": "deep"}
    assert space.validate(inactive) == ["blocks.2.mixer is not active beside the other values"]
    assert not space.contains(inactive)
    with pytest.raises(GenotypeError, match=r"blocks\.2\.mixer"):
        space.build(inactive)


def test_a_candidate_stays_valid_as_long_as_a_wider_space_contains_it() -> None:
    old = small_space(Keep(size=Choice(1, 2)))
    new = small_space(Keep(size=Choice(1, 2, 4)))
    assert old.version != new.version
    assert all(new.contains(genotype) for genotype in old.genotypes())


def test_the_recipe_is_closed_with_the_genotype() -> None:
    space = image_space()
    candidate = space.build({**space.default(), "recipe.lr": 0.01})
    assert candidate.recipe == {"lr": 0.01, "epochs": 3}


def test_the_genotype_of_a_candidate_holds_the_domains_own_values() -> None:
    space = small_space(Keep(size=Choice(1.0, 2.0)))
    candidate = space.build({"keep.size": 2})
    assert type(candidate.genotype["keep.size"]) is float


def test_outputs_take_the_names_of_the_task_and_must_have_their_types() -> None:
    space = image_space()
    assert space.build(space.default()).graph.output_types == {"logits": Logits(3)}
    with pytest.raises(SpaceError, match=r"output 'logits' must be Logits\(4\); met Logits\(3\)"):
        Space(image_body(), {"image": Image(1, 8, 8)}, {"logits": Logits(4)})
    with pytest.raises(SpaceError, match="gives 1 values"):
        Space(image_body(), {"image": Image(1, 8, 8)}, {"logits": Logits(3), "other": Logits(3)})


def test_outputs_without_names_are_numbered_and_taps_keep_theirs() -> None:
    body = Tap("early") >> Keep() >> Pick(0)
    assert list(small_space(body).build({}).graph.outputs) == ["output", "early"]
    two = Space(Pick(1, 0), {"a": Vector(2), "b": Vector(3)})
    assert two.build({}).graph.output_types == {"output0": Vector(3), "output1": Vector(2)}


def test_candidates_run() -> None:
    import torch

    space = image_space()
    candidate = space.build(space.sample(random.Random(3)))
    module = candidate.module(seed=0)
    assert module(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    assert parameters == candidate.cost.params


def test_what_is_no_expression_is_refused_with_its_place() -> None:
    with pytest.raises(SpaceError, match=r"at blocks\.oops: expected an op or a combinator, got 3"):
        small_space(Steps(blocks=Choose(fine=Keep(), oops=3)))  # type: ignore[arg-type]  # the point
    with pytest.raises(SpaceError, match="decisions and plain values, got <function"):
        small_space(Keep(form=lambda x: x))


def test_plans_do_not_depend_on_types_that_a_space_does_not_check() -> None:
    body = Optional(Dense(dim=Choice(4, 5)))
    assert small_space(body).size() == 3
    with pytest.raises(SpaceError, match="output"):
        Space(body, {"x": Vector(4)}, {"y": Vector(4)})
