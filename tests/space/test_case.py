"""Values that depend on a decision, decisions made in any case, and parts on the first of several inputs."""

from __future__ import annotations

import random

import pytest

from nasplat.errors import SpaceError
from nasplat.ops.merge import Add
from nasplat.space.choose import Choose
from nasplat.space.decisions import Case, Choice, Float, domain
from nasplat.space.quantised import Quantised
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.wiring import Decided, First, Parallel, Pick, Steps
from nasplat.testing.space import Keep, small_space

RULE = ("fixed", "free")


def test_what_a_case_opens_is_active_only_there() -> None:
    rule = Choice(*RULE, name="rule")
    space = small_space(Keep(size=Case(rule, {"fixed": 7, "free": Choice(1, 2, name="size")})))
    assert space.size() == 3
    assert dict(space.default()) == {"rule": "fixed"}
    sizes = {
        (genotype["rule"], space.build(genotype).graph.nodes[0].op.settings()["size"])
        for genotype in space.genotypes()
    }
    assert sizes == {("fixed", 7), ("free", 1), ("free", 2)}


def test_cases_add_up_and_nest() -> None:
    rule, inner = Choice(*RULE, name="rule"), Choice("low", "high", name="inner")
    value = Case(rule, {"fixed": 1, "free": Case(inner, {"low": 2, "high": 3})})
    assert domain(value) == [1, 2, 3]
    space = small_space(Keep(size=value * 2 + 1))
    met = {space.build(item).graph.nodes[0].op.settings()["size"] for item in space.genotypes()}
    assert met == {3, 5, 7} and space.size() == 3


def test_a_case_needs_an_option_for_every_value() -> None:
    with pytest.raises(SpaceError, match="no option for 'free'"):
        Case(Choice(*RULE), {"fixed": 1})
    with pytest.raises(SpaceError, match="countable"):
        Case(Float(0.0, 1.0), {})
    with pytest.raises(SpaceError, match="cannot be listed"):
        domain(Float(0.0, 1.0))


def test_times_bits_and_placements_may_be_cases() -> None:
    rule = Choice(*RULE, name="rule")
    times = Case(rule, {"fixed": 1, "free": Choice(2, 3, name="times")})
    bits = Case(rule, {"fixed": 32, "free": 8})
    placement = Case(rule, {"fixed": "none", "free": Choice("pre", "post", name="place")})
    body = Residual(Keep(), norm=Keep(form="norm"), placement=placement)
    space = small_space(Quantised(Repeat(body, times, share="decisions"), weight=bits))
    nodes = {
        (genotype["rule"], genotype.get("times")): space.build(genotype).graph.nodes
        for genotype in space.genotypes()
    }
    assert {key: len(value) for key, value in nodes.items()} == {
        ("fixed", None): 2,
        ("free", 2): 6,
        ("free", 3): 9,
    }
    assert nodes["fixed", None][0].bits.weight == 32 and nodes["free", 2][0].bits.weight == 8


def test_copies_of_their_own_may_be_as_many_as_a_case_says() -> None:
    rule = Choice(*RULE, name="rule")
    times = Case(rule, {"fixed": 1, "free": 2})
    space = small_space(Repeat(Keep(size=Choice(1, 2)), times))
    assert space.size() == 2 + 4


def test_decided_decisions_are_made_where_nothing_asks_for_them() -> None:
    size = Choice(1, 2, name="size")
    plain = Choose(plain=Keep(), sized=Keep(size=size))
    assert small_space(plain).size() == 1 + 2
    space = small_space(Decided(plain, (size,)))
    assert space.size() == 2 * 2
    rng = random.Random(0)
    assert all("size" in space.sample(rng) for _ in range(20))


def test_first_leaves_the_other_inputs_alone() -> None:
    body = Steps(two=Parallel(Pick(0), Pick(0)), first=First(Keep()), add=Add())
    graph = small_space(body).build({}).graph
    assert graph.nodes[-1].inputs == ("first", "x")
