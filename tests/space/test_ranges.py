"""Ranges of costs and whether bounds can be met, against brute force."""

from __future__ import annotations

from hypothesis import HealthCheck, assume, given, settings

from nasplat.graph.cost import COSTS
from nasplat.graph.op import Expression
from nasplat.graph.types import Image
from nasplat.ops.conv import Conv, DepthwiseConv
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Float, Int
from nasplat.space.quantised import Quantised
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.space.wiring import Steps
from nasplat.testing.space import bodies, small_space


def space() -> Space:
    mixer = Choose(deep=DepthwiseConv(kernel=Choice(3, 7)), plain=Conv(kernel=Choice(1, 3, 5)))
    bits = Choice(32, 8)
    body = Steps(
        stem=Conv(channels=Choice(4, 6, 8), stride=Choice(1, 2)),
        blocks=Quantised(Repeat(mixer, Int(1, 2)), weight=bits, activation=bits),
    )
    return Space(body, {"x": Image(1, 8, 8)}, recipe={"lr": Float(0.1, 1.0)})


def extremes(made: Space) -> dict[str, tuple[int, int]]:
    closed = [made.cost_of(dict(genotype)) for genotype in made.genotypes()]
    return {
        name: (
            min(getattr(cost, name) for cost in closed),
            max(getattr(cost, name) for cost in closed),
        )
        for name in COSTS
    }


def test_ranges_are_those_of_all_candidates() -> None:
    made = space()
    bare = Space(made.body, made.inputs)
    assert made.cost_ranges() == extremes(bare)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(bodies())
def test_ends_of_ranges_are_attained_and_never_beyond_the_truth(body: Expression) -> None:
    made = small_space(body)
    assume(1 < made.size() <= 200)
    attained = {
        name: {getattr(made.cost_of(dict(genotype)), name) for genotype in made.genotypes()}
        for name in COSTS
    }
    for name, (low, high) in made.cost_ranges().items():
        assert {low, high} <= attained[name]


def test_bounds_that_some_candidate_meets_have_a_witness() -> None:
    made = space()
    low, high = made.cost_ranges()["params"]
    middle = (low + high) / 2
    found = made.satisfiable({"params": (None, middle), "macs": (1000, None)})
    assert found and found.witness is not None
    cost = made.cost_of(dict(found.witness))
    assert cost.params <= middle and cost.macs >= 1000


def test_a_bound_outside_the_space_is_named_with_the_range() -> None:
    made = space()
    low, high = made.cost_ranges()["params"]
    verdict = made.satisfiable({"params": (None, 10), "macs": (10**12, None)})
    assert not verdict
    assert verdict.offences[0] == (
        f"params <= 10 cannot be met: over the space params is {low:g} .. {high:g}"
    )
    assert verdict.offences[1].startswith("macs >= 1e+12 cannot be met")


def test_bounds_that_exclude_each_other_are_named_together() -> None:
    made = space()
    params, macs = made.cost_ranges()["params"], made.cost_ranges()["macs"]
    verdict = made.satisfiable({"params": (None, params[0]), "macs": (macs[1], None)})
    assert not verdict
    assert "no candidate was found that meets all bounds together" in verdict.offences[0]
