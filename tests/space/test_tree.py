"""Several tasks on one trunk."""

from __future__ import annotations

import pytest

from nasplat.errors import SpaceError
from nasplat.graph.types import Vector
from nasplat.space.decisions import Choice
from nasplat.space.space import Space
from nasplat.space.tree import Tree
from nasplat.space.wiring import Steps
from nasplat.testing.graph import Dense
from nasplat.testing.space import Keep, SpaceConformance

HEADS = {"a": Dense(dim=2), "b": Dense(dim=3), "c": Dense(dim=1)}
TYPES = {"a": Vector(2), "b": Vector(3), "c": Vector(1)}


def tree(share: str = "nothing", tasks: int = 3) -> Space:
    blocks = tuple(Keep(size=Choice(1, 2)) for _ in range(2))
    names = list(HEADS)[:tasks]
    body = Tree(blocks, {name: HEADS[name] for name in names}, share=share)  # type: ignore[arg-type]  # any mode
    return Space(Steps(t=body), {"x": Vector(4)}, {name: TYPES[name] for name in names})


class TestTree(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return tree()


def wires(space: Space, **genotype: object) -> dict[str, tuple[str, ...]]:
    graph = space.build(genotype).graph
    return {node.name: node.inputs for node in graph.nodes}


TRUNK = {"t.trunk.0.size": 1, "t.trunk.1.size": 1}


def test_tasks_share_the_path_of_their_parent_up_to_the_fork() -> None:
    made = wires(
        tree(),
        **TRUNK,
        **{"t.b.fork": 1, "t.b.1.size": 2, "t.c.parent": "b", "t.c.fork": 2},
    )
    assert made == {
        "t.trunk.0": ("x",),
        "t.trunk.1": ("t.trunk.0",),
        "t.b.1": ("t.trunk.0",),
        "t.a.head": ("t.trunk.1",),
        "t.b.head": ("t.b.1",),
        "t.c.head": ("t.b.1",),
    }


def test_a_fork_at_nought_shares_nothing_and_at_the_end_everything() -> None:
    two = tree(tasks=2)
    apart = wires(two, **TRUNK, **{"t.b.fork": 0, "t.b.0.size": 1, "t.b.1.size": 1})
    assert apart["t.b.0"] == ("x",)
    assert two.default()["t.b.fork"] == 2
    assert wires(two, **two.default())["t.b.head"] == ("t.trunk.1",)


def test_sizes_follow_from_forks_and_parents() -> None:
    own = 2**2 + 2 + 1  # own blocks of a later task: both, the last, none
    assert tree(tasks=2).size() == 2**2 * own
    assert tree(tasks=3).size() == 2**2 * own * (2 * own)
    assert tree("decisions", tasks=2).size() == 2**2 * 3


def test_tasks_that_share_decisions_have_weights_of_their_own() -> None:
    space = tree("decisions", tasks=2)
    candidate = space.build({**TRUNK, "t.b.fork": 1})
    names = [node.name for node in candidate.graph.nodes]
    assert names == ["t.trunk.0", "t.trunk.1", "t.b.1", "t.a.head", "t.b.head"]
    assert all(node.share is None for node in candidate.graph.nodes)


def test_outputs_carry_the_names_of_the_tasks() -> None:
    space = tree()
    assert space.build(space.default()).graph.output_types == TYPES


def test_a_tree_needs_blocks_and_heads() -> None:
    with pytest.raises(SpaceError, match="0 and 1"):
        Tree((), {"a": Keep()})
    with pytest.raises(SpaceError, match="share"):
        Tree((Keep(),), {"a": Keep()}, share="weights")  # type: ignore[arg-type]  # the point
