"""What is carried around a body, and where the norm stands."""

from __future__ import annotations

import pytest

from nasplat.errors import SpaceError
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice
from nasplat.space.residual import Residual
from nasplat.space.space import Space
from nasplat.space.wiring import Steps
from nasplat.testing.graph import Sum
from nasplat.testing.space import Keep, small_space


def space(**options: object) -> Space:
    return small_space(Steps(r=Residual(Keep(), norm=Keep(form="norm"), merge=Sum(), **options)))  # type: ignore[arg-type]  # any option


def wires(made: Space, **genotype: object) -> list[tuple[str, tuple[str, ...]]]:
    return [(node.name, node.inputs) for node in made.build(genotype).graph.nodes]


def test_pre_post_and_sandwich_place_the_norm() -> None:
    made = space(placement=Choice("pre", "post", "sandwich"))
    assert list(made.points) == ["r.placement"]
    assert wires(made, **{"r.placement": "pre"}) == [
        ("r.norm", ("x",)),
        ("r", ("r.norm",)),
        ("r.add", ("x", "r")),
    ]
    assert wires(made, **{"r.placement": "post"}) == [
        ("r", ("x",)),
        ("r.add", ("x", "r")),
        ("r.norm_2", ("r.add",)),
    ]
    assert wires(made, **{"r.placement": "sandwich"}) == [
        ("r.norm", ("x",)),
        ("r", ("r.norm",)),
        ("r.norm_out", ("r",)),
        ("r.add", ("x", "r.norm_out")),
    ]


def test_scale_and_skip_stand_on_their_sides() -> None:
    made = space(scale=Keep(form="scale"), skip=Keep(form="skip"))
    assert wires(made) == [
        ("r.norm", ("x",)),
        ("r", ("r.norm",)),
        ("r.scale", ("r",)),
        ("r.skip", ("x",)),
        ("r.add", ("r.skip", "r.scale")),
    ]


def test_the_two_norms_of_a_sandwich_are_one_decision() -> None:
    norm = Choose(l=Keep(), r=Keep(form="r"))
    made = small_space(Steps(r=Residual(Keep(), norm=norm, placement="sandwich")))
    assert list(made.points) == ["r.norm"]
    assert made.size() == 2


def test_without_a_norm_there_is_no_placement_to_decide() -> None:
    made = small_space(Residual(Keep(), placement=Choice("pre", "post")))
    assert made.size() == 1


def test_a_strange_placement_is_refused() -> None:
    with pytest.raises(SpaceError, match="'before'"):
        Residual(Keep(), placement=Choice("pre", "before"))
