"""The space of cells: legal by design, and every design of the survey inside it."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from nasplat.errors import SpaceError
from nasplat.graph.types import Image, Logits, Series, TensorType
from nasplat.space.load import examples, load_space
from nasplat.space.space import Space
from nasplat.testing.candidates import space_of, type_check
from nasplat.testing.designs import DesignConformance
from nasplat.testing.space import SpaceConformance

KINDS = tuple(examples("cell"))


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Space:
    return space_of("cell", request.param)


class TestDigits(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return space_of("cell", "digits")


class TestDesigns(DesignConformance):
    space = "cell"
    count = 7


def test_it_scales_to_large_images() -> None:
    task = SimpleNamespace(inputs={"x": Image(3, 224, 224)}, outputs={"y": Logits(1000)})
    space = load_space("cell", task)
    type_check(space, 5, seed=5)
    assert space.build(space.default()).cost.params > 500_000


def test_one_normal_cell_stands_at_all_depths_unless_each_has_its_own() -> None:
    space = space_of("cell", "digits")
    stacked = space.within({"wiring": ("two_input_dag",)}).sample(random.Random(6))
    owned = space.within({"wiring": ("per_depth_cells",)}).sample(random.Random(6))
    edges = {path.split(".node")[0] for path in stacked if path.endswith(".op")}
    assert edges == {"cells.normal", "cells.reduce"}
    assert len({path.split(".node")[0] for path in owned if path.endswith(".op")}) > 3


def test_one_hypernetwork_makes_all_weights_of_a_memory_bank() -> None:
    space = space_of("cell", "digits").within(
        {"wiring": ("memory_bank",), "weights": ("generated",)}
    )
    graph = space.build(space.sample(random.Random(7))).graph
    makers = [node for node in graph.live if node.op.kind == "hypernetwork"]
    codes = {node.op for node in graph.live if node.op.kind == "code"}
    assert len({node.share for node in makers}) <= 2 < len(makers)  # one for each width
    assert len(codes) >= 2


def test_motifs_are_decided_once_for_all_edges() -> None:
    space = space_of("cell", "digits").within({"wiring": ("nested_motifs",)})
    genotype = space.sample(random.Random(8))
    motifs = {path.split(".")[1] for path in genotype if path.startswith("nested.motif")}
    assert motifs == {f"motif{number}" for number in range(6)}
    assert any(path.startswith("nested.cell.") for path in genotype)


@pytest.mark.parametrize("given", [Series(1, 8), Image(1, 3, 8)])
def test_a_task_of_other_types_is_refused_with_the_types_it_takes(given: TensorType) -> None:
    task = SimpleNamespace(inputs={"x": given}, outputs={"y": Logits(3)})
    with pytest.raises(SpaceError, match="cell maps one Image of at least 4x4") as caught:
        load_space("cell", task)
    assert str(given) in str(caught.value)
