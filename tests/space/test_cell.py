"""Cells with fixed edges and with chosen inputs."""

from __future__ import annotations

from math import comb
from typing import Any

import pytest

from nasplat.errors import SpaceError
from nasplat.graph.types import Vector
from nasplat.space.cell import Cell
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Int
from nasplat.space.space import Space
from nasplat.space.wiring import Shared, Steps
from nasplat.testing.graph import Dense, Sum
from nasplat.testing.space import Keep, SpaceConformance, small_space


def edge() -> Choose:
    return Choose(none=Keep(form="none"), conv=Keep(size=Choice(1, 3)))


def darts() -> Space:
    cell = Cell(
        edge(), nodes=Int(2, 3), inputs=2, pick=2, entry=Choose(a=Keep(), b=Keep()), output=Sum()
    )
    return Space(Steps(cell=cell), {"a": Vector(4), "b": Vector(4)}, {"y": Vector(4)})


class TestDarts(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return darts()


def test_fixed_edges_decide_each_for_itself() -> None:
    space = small_space(Steps(cell=Cell(edge(), nodes=3)))
    edges = [
        "node1.from0",
        "node2.from0",
        "node2.from1",
        "node3.from0",
        "node3.from1",
        "node3.from2",
    ]
    named = [path for path in space.points if not path.endswith("size")]
    assert named == [f"cell.{name}" for name in edges]
    assert space.size() == 3**6
    graph = space.build(space.default()).graph
    assert [(node.name, node.inputs) for node in graph.nodes] == [
        ("cell.node1.from0.none", ("x",)),
        ("cell.node2.from0.none", ("x",)),
        ("cell.node2.from1.none", ("cell.node1.from0.none",)),
        ("cell.node2.sum", ("cell.node2.from0.none", "cell.node2.from1.none")),
        ("cell.node3.from0.none", ("x",)),
        ("cell.node3.from1.none", ("cell.node1.from0.none",)),
        ("cell.node3.from2.none", ("cell.node2.sum",)),
        (
            "cell.node3.sum",
            ("cell.node3.from0.none", "cell.node3.from1.none", "cell.node3.from2.none"),
        ),
    ]


def test_chosen_inputs_are_subsets_and_only_their_edges_are_active() -> None:
    space = small_space(Steps(cell=Cell(edge(), nodes=3, pick=2)))
    # Node 1 has one source and node 2 two: nothing to choose. Node 3 picks two of three.
    genotype = space.default()
    assert genotype["cell.node3.inputs"] == "0+1"
    assert "cell.node3.from2" not in genotype
    assert space.size() == 3 * 3**2 * comb(3, 2) * 3**2
    graph = space.build({**genotype, "cell.node3.inputs": "0+1"}).graph
    assert graph.nodes[-1].inputs == ("cell.node3.from0.none", "cell.node3.from1.none")


def test_a_range_of_inputs_takes_all_subsets_of_these_sizes() -> None:
    space = small_space(Steps(cell=Cell(Keep(), nodes=2, inputs=1, pick=(1, 2))))
    decision = space.points["cell.node2.inputs"].decision
    assert str(decision) == "Choice('0', '1', '0+1')"


def test_edges_from_inputs_can_differ_and_the_output_takes_all_nodes() -> None:
    space = darts()
    graph = space.build({**space.default(), "cell.nodes": 2}).graph
    first = next(node for node in graph.nodes if node.name == "cell.node2.from0.a")
    assert first.inputs == ("a",)
    assert graph.nodes[-1].inputs == ("cell.node2.sum", "cell.node3.sum")


def test_a_cell_that_meets_another_number_of_inputs_is_refused() -> None:
    with pytest.raises(SpaceError, match="takes 2 inputs, met 1"):
        small_space(Cell(Keep(), nodes=1, inputs=2), check=1)


@pytest.mark.parametrize(
    "options", [{"nodes": 0}, {"nodes": 1, "pick": 0}, {"nodes": 1, "pick": (2, 1)}, {"nodes": "2"}]
)
def test_strange_numbers_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SpaceError):
        Cell(Dense(), **options)


def test_parts_that_are_common_are_decided_once_for_all_edges() -> None:
    motif = Shared("motif", Cell(Keep(size=Choice(0, 1)), 2))
    other = Keep(size=Choice(2, 3))
    space = small_space(Cell(Choose(motif=motif, other=other), 2, common=(motif,)))
    genotype = space.default()
    once = [path for path in genotype if path.startswith("motif.")]
    assert len(once) == 3, "each of the three edges of the motif decides for itself, once"
    edges = [path for path in space.points if path.endswith("other.size")]
    assert len(edges) == 3, "what is not common is decided by every edge"
    assert space.size() == 2**3 * (1 + 2) ** 3
