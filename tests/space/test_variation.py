"""Neighbours, mutation and recombination."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nasplat.errors import GenotypeError
from nasplat.graph.op import Expression
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Float, Int
from nasplat.space.repeat import Repeat
from nasplat.space.wiring import Steps
from nasplat.testing.space import Keep, bodies, small_space

FAST = settings(max_examples=100)


@FAST
@given(bodies(depth=3), st.integers(0, 2**32))
def test_every_variation_stays_in_the_space(body: Expression, seed: int) -> None:
    space, rng = small_space(body), random.Random(seed)
    one, other = space.sample(rng), space.sample(rng)
    mutant, child = space.mutate(one, rng), space.crossover(one, other, rng)
    for genotype in (mutant, child, *space.neighbours(one)):
        assert space.validate(genotype) == []
        space.graph(genotype)
    assert mutant != one or space.size() == 1


@FAST
@given(bodies())
def test_neighbours_are_the_genotypes_one_decision_away(body: Expression) -> None:
    space = small_space(body)
    assume(1 < space.size() <= 200)
    start = space.default()
    near = set(space.neighbours(start))
    for genotype in near:
        changed = {path for path in start if genotype.get(path, start[path]) != start[path]}
        assert len(changed) == 1


@FAST
@given(bodies())
def test_steps_from_neighbour_to_neighbour_reach_every_genotype_of_value_choices(
    body: Expression,
) -> None:
    space = small_space(body)
    assume(space.size() <= 150)
    reached = {space.default()}
    frontier = list(reached)
    while frontier:
        new = {near for genotype in frontier for near in space.neighbours(genotype)} - reached
        reached |= new
        frontier = list(new)
    assert len(reached) == space.size()


def test_a_new_copy_takes_the_values_of_the_copy_before_it() -> None:
    space = small_space(Repeat(Keep(size=Choice(0, 5)), Int(1, 3)))
    longer = {"repeat.times": 2, "repeat.0.size": 5, "repeat.1.size": 5}
    assert longer in [
        dict(near) for near in space.neighbours({"repeat.times": 1, "repeat.0.size": 5})
    ]


def test_what_an_option_opens_takes_its_default() -> None:
    space = small_space(Choose(a=Keep(), b=Keep(size=Choice(1, 2, 3, default=2))))
    assert [dict(near) for near in space.neighbours({"choose": "a"})] == [
        {"choose": "b", "choose.b.size": 2}
    ]


def test_a_float_steps_by_an_eighth_of_its_domain() -> None:
    space = small_space(Keep(), recipe={"momentum": Float(0.0, 8.0)})
    near = [genotype["recipe.momentum"] for genotype in space.neighbours({"recipe.momentum": 8.0})]
    assert near == [7.0]


def _blocks() -> Expression:
    def stage() -> Expression:
        mixer = Choose(conv=Keep(size=Choice(0, 1, 2, 3)), none=Keep(form="none"))
        return Repeat(Steps(mixer=mixer, ffn=Keep(size=Choice(0, 3))), 2)

    return Steps(first=stage(), second=stage())


def test_parts_move_between_places_of_equal_structure() -> None:
    space = small_space(_blocks())
    plain = {"mixer": "none", "ffn.size": 0}
    marked = {"mixer": "conv", "mixer.conv.size": 3, "ffn.size": 3}
    places = ["first.0", "first.1", "second.0", "second.1"]
    one = {f"{place}.{key}": value for place in places for key, value in plain.items()}
    # The other parent has the marked block in one place only.
    other = {**one, "first.0.mixer": "conv", "first.0.mixer.conv.size": 3, "first.0.ffn.size": 3}
    rng = random.Random(0)
    found = set()
    for _ in range(400):
        child = space.crossover(one, other, rng)
        for place in places:
            if all(child.get(f"{place}.{key}") == value for key, value in marked.items()):
                found.add(place)
    assert found == set(places)


def test_crossover_takes_nothing_that_neither_parent_has() -> None:
    space = small_space(_blocks())
    rng = random.Random(1)
    for _ in range(100):
        one, other = space.sample(rng), space.sample(rng)
        child = space.crossover(one, other, rng)
        for end in ("mixer", "ffn.size", "mixer.conv.size"):
            met = {child[path] for path in child if path.endswith(f".{end}")}
            had = {
                parent[path]
                for parent in (one, other)
                for path in parent
                if path.endswith(f".{end}")
            }
            assert met <= had


def test_crossover_of_different_parents_usually_differs_from_the_first() -> None:
    space = small_space(_blocks())
    rng = random.Random(2)
    pairs = [(space.sample(rng), space.sample(rng)) for _ in range(100)]
    changed = sum(space.crossover(one, other, rng) != one for one, other in pairs if one != other)
    assert changed > 80


def test_variation_refuses_a_genotype_that_the_space_does_not_hold() -> None:
    space = small_space(Keep(size=Choice(1, 2)))
    for vary in (
        lambda: space.mutate({}, random.Random(0)),
        lambda: list(space.neighbours({"keep.size": 9})),
        lambda: space.crossover({"keep.size": 1}, {"x": 1}, random.Random(0)),
        lambda: space.encode({}),
    ):
        with pytest.raises(GenotypeError):
            vary()
