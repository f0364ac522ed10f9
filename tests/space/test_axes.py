"""Rules of axes: patterns, what holds, and spaces that are narrowed to them."""

from __future__ import annotations

import random

import pytest

from nasplat.errors import SpaceError, UsageError
from nasplat.graph.types import Image, Logits, Vector
from nasplat.ops.conv import DepthwiseConv
from nasplat.ops.ffn import MLP
from nasplat.ops.head import ClassifierHead
from nasplat.ops.mixer import PoolMixer
from nasplat.space.axes import Numeric, Rule, matches
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Float, Int
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.space.wiring import Steps
from nasplat.testing.space import Keep

INPUTS = {"image": Image(4, 6, 6)}
OUTPUTS = {"class": Logits(3)}


def small_space() -> Space:
    block = Steps(
        mixer=Choose(conv=DepthwiseConv(kernel=Choice(3, 5, 7)), pool=PoolMixer(kernel=3)),
        ffn=MLP(ratio=Choice(1, 2, 3)),
    )
    blocks = Repeat(block, times=Int(1, 4))
    return Space(
        Steps(blocks=blocks, head=ClassifierHead(classes=3)),
        INPUTS,
        OUTPUTS,
        recipe={"lr": Float(0.001, 0.1, log=True)},
        axes={
            "token_mixer": {
                "conv": Rule({"blocks.*.mixer": ("conv",)}),
                "pool": Rule({"blocks.*.mixer": ("pool",)}),
                "hybrid": Rule(some={"**.mixer": ("conv",)}),
            },
            "depth": Numeric("blocks.times"),
        },
    )


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("stages.*.mixer", "stages.1.mixer", True),
        ("stages.*.mixer", "stages.1.blocks.mixer", False),
        ("stages.**.mixer", "stages.1.blocks.0.mixer", True),
        ("**.mixer", "mixer", True),
        ("**.mixer", "a.b.mixer", True),
        ("**.mixer", "a.remixer", False),
        ("a.b_*", "a.b_12", True),
        ("a.**", "a.b.c", True),
        ("a.**.*", "a.b.c", True),
    ],
)
def test_a_star_is_text_in_a_segment_and_two_are_any_number_of_segments(
    pattern: str, path: str, expected: bool
) -> None:
    assert matches(pattern, path) is expected


def test_a_rule_needs_an_active_decision_and_all_of_them_to_agree() -> None:
    rule = Rule({"*.mixer": ("conv",)})
    assert rule.holds({"0.mixer": "conv", "1.mixer": "conv"})
    assert not rule.holds({"0.mixer": "conv", "1.mixer": "pool"})
    assert rule.present({"0.mixer": "conv", "1.mixer": "pool"})
    assert not rule.holds({"0.kernel": 3})
    assert not Rule({"x": (1,)}).holds({"x": True})


def test_candidates_of_a_narrowed_space_are_candidates_of_the_whole_and_keep_to_it() -> None:
    space = small_space()
    part = space.within({"**.mixer": ("conv",), "**.kernel": (5, 7), "blocks.times": (2, 3, 4)})
    assert part.version == space.version and part.size() < space.size()
    rng = random.Random(0)
    one, other = part.sample(rng), part.sample(rng)
    family = [part.default(), part.mutate(one, rng), part.crossover(one, other, rng)]
    for genotype in [*family, *part.neighbours(one), *(part.sample(rng) for _ in range(50))]:
        assert part.contains(genotype) and space.contains(genotype)
        assert space.holds(genotype, "token_mixer", "conv")
        assert genotype["blocks.times"] >= 2
        part.build(genotype)
    assert not part.contains({**space.default(), "blocks.times": 1})


def test_the_size_of_a_narrowed_space_is_exact() -> None:
    part = small_space().within(
        {"**.mixer": ("conv",), "**.kernel": (3, 7), "**.ratio": (2,), "recipe.lr": (0.01,)}
    )
    assert part.size() == 2 + 2**2 + 2**3 + 2**4


def test_narrowing_twice_keeps_what_both_leave() -> None:
    part = small_space().within({"**.kernel": (3, 5)}).within({"**.kernel": (5, 7)})
    assert {
        point.decision.count for point in part.decisions() if point.path.endswith("kernel")
    } == {1}


def test_what_leaves_nothing_is_refused_with_path_and_reasons() -> None:
    with pytest.raises(SpaceError, match=r"blocks\.0\.mixer .*no value is left.*paper: .*'fft'"):
        small_space().within(("paper", {"**.mixer": ("fft",)}))
    with pytest.raises(SpaceError, match=r"\*\*\.mxer matches no decision; nearest: "):
        small_space().within({"**.mxer": ("conv",)})
    with pytest.raises(SpaceError, match=r"one: .*two: "):
        small_space().within(("one", {"**.kernel": (3,)}), ("two", {"**.kernel": (5,)}))


def test_a_default_outside_gives_way_to_the_first_value_asked_for() -> None:
    part = small_space().within({"**.kernel": (7, 5), "blocks.times": (4, 2)})
    assert part.default()["blocks.0.mixer.conv.kernel"] == 7
    assert part.default()["blocks.times"] == 4


def test_unknown_axes_and_options_are_named() -> None:
    space = small_space()
    with pytest.raises(UsageError, match="unknown axis 'tokn_mixer'; known: token_mixer"):
        space.holds(space.default(), "tokn_mixer", "conv")
    with pytest.raises(UsageError, match="unknown option of token_mixer 'cnv'; known: conv"):
        space.holds(space.default(), "token_mixer", "cnv")
    assert space.holds(space.default(), "depth", 1) and space.holds(space.default(), "depth")
    assert not space.holds(space.default(), "depth", 2)


def test_an_option_without_what_is_asked_for_gives_way_to_those_that_have_it() -> None:
    body = Choose(
        plain=Keep(size=Choice(1, 2)),
        rich=Keep(form=Choice("a", "b"), size=Choice(2, 3)),
        other=Steps(inner=Choose(one=Keep(size=Choice(1)), two=Keep(size=Choice(3)))),
    )
    space = Space(body, {"x": Vector(4)}, check=None)
    part = space.within({"**.size": (3,)})
    rng = random.Random(0)
    met = {tuple(part.sample(rng).items()) for _ in range(100)}
    assert {genotype[0][1] for genotype in met} == {"rich", "other"}
    assert all(value == 3 for genotype in met for path, value in genotype if "size" in path)
