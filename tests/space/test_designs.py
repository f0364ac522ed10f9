"""Designs as constraints: rules of options, unions, alternatives, what stays open, and contradictions."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nasplat.errors import SpaceError, UsageError
from nasplat.graph.types import Image, Logits
from nasplat.ops.conv import DepthwiseConv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.mixer import PoolMixer
from nasplat.ops.norm import LayerNorm
from nasplat.space.axes import Numeric, Rule
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Int
from nasplat.space.designs import (
    Choices,
    Design,
    _read,
    broken,
    designs,
    find_design,
    narrowed,
    presets,
    restricted,
    rules_of,
)
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.space.wiring import Steps


def toy() -> Space:
    mixer = Choose(conv=DepthwiseConv(kernel=Choice(3, 5)), pool=PoolMixer(), none=LayerNorm())
    return Space(
        Steps(blocks=Repeat(Steps(mixer=mixer), Int(1, 3)), head=ClassifierHead(classes=3)),
        {"image": Image(4, 6, 6)},
        {"class": Logits(3)},
        name="toy",
        axes={
            "token_mixer": {
                "conv": Rule({"blocks.*.mixer": ("conv",)}),
                "pool": Rule({"blocks.*.mixer": ("pool",)}),
                "none": (Rule({"blocks.*.mixer": ("none",)}), Rule({"absent": (1,)})),
            },
            "stage_depths": Numeric("blocks.times"),
            "conv_kernel_size": Numeric("**.kernel"),
        },
    )


def design(**options: object) -> Design:
    axes = {name: Choices(value) for name, value in options.items() if isinstance(value, tuple)}
    return Design("paper", "toy", "A Paper", axes)


def test_samples_of_a_design_keep_to_it_and_others_do_not() -> None:
    space = toy()
    one = design(token_mixer=("conv",), conv_kernel_size=(5,), stage_depths=("free",))
    part = narrowed(space, one)
    assert part.size() == 3
    rng = random.Random(0)
    assert all(not broken(space, one, part.sample(rng)) for _ in range(20))
    other = {"blocks.times": 1, "blocks.0.mixer": "pool"}
    assert broken(space, one, other) == ["token_mixer = conv", "conv_kernel_size = 5"]


def test_of_several_options_each_must_occur_and_of_alternatives_one() -> None:
    space = toy()
    both = Design("both", "toy", "Both", {"token_mixer": Choices(("pool", "none"))})
    mixed = {"blocks.times": 2, "blocks.0.mixer": "pool", "blocks.1.mixer": "none"}
    alike = {"blocks.times": 2, "blocks.0.mixer": "pool", "blocks.1.mixer": "pool"}
    assert not broken(space, both, mixed)
    assert broken(space, both, alike) == ["token_mixer = pool + none"]
    either = Design("either", "toy", "Either", {"token_mixer": Choices(("pool", "none"), True)})
    assert not broken(space, either, alike)
    assert narrowed(space, both).size() == 2 + 4 + 8


def test_a_design_that_contradicts_the_space_or_itself_is_refused_with_its_axes() -> None:
    space = toy()
    with pytest.raises(SpaceError, match=r"blocks\.times.*no value is left.*stage_depths = 9"):
        narrowed(space, design(stage_depths=(9,)))
    clash = Design(
        "clash",
        "toy",
        "Clash",
        {"token_mixer": Choices(("conv",))},
        where={"blocks.*.mixer": ("pool",)},
    )
    with pytest.raises(SpaceError, match=r"token_mixer = conv: .*; clash: "):
        narrowed(space, clash)


def test_an_axis_that_the_space_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(UsageError, match=r"'norm_type'; known: .*token_mixer"):
        rules_of(design(norm_type=("rms",)), toy().axes)
    with pytest.raises(UsageError, match="unknown option of token_mixer 'fourier'"):
        rules_of(design(token_mixer=("fourier",)), toy().axes)


def test_rules_of_ones_own_restrict_a_space_too() -> None:
    part = restricted(toy(), ["blocks.times=2", "**.mixer=conv,pool"])
    assert part.size() == (2 + 1) ** 2
    assert restricted(toy(), []).size() == toy().size()
    with pytest.raises(UsageError, match="unknown space 'toy'"):
        restricted(toy(), ["davit"])


def test_a_file_of_designs_says_what_is_wrong_with_an_entry(tmp_path: Path) -> None:
    file = tmp_path / "toy.toml"
    file.write_text('[a]\ntitle = "A"\naxes = { x = "y", z = { any = ["p", "q"] }, w = [1, 2] }\n')
    (met,) = _read("toy", file)
    assert met.axes["z"] == Choices(("p", "q"), alternatives=True)
    assert met.axes["w"] == Choices((1, 2)) and str(met.axes["w"]) == "1 + 2"
    broken_file = tmp_path / "broken.toml"
    broken_file.write_text('[a]\ntitle = "A"\naxs = 3\n')
    with pytest.raises(SpaceError, match=r"broken.toml: \[a\] must be a table with title and axes"):
        _read("toy", broken_file)
    broken_file.write_text("[a\n")
    with pytest.raises(SpaceError, match="is no TOML"):
        _read("toy", broken_file)


def test_every_shipped_design_has_a_name_of_its_own() -> None:
    slugs = [met.slug for met in designs()]
    assert len(slugs) == len(set(slugs))
    with pytest.raises(UsageError, match="unknown design 'davti'"):
        find_design("davti")


def test_a_preset_that_is_not_known_is_refused() -> None:
    from nasplat.space.designs import load_preset

    with pytest.raises(UsageError, match="unknown preset 'resnext-9000'"):
        load_preset("resnext-9000")
    for name in presets():
        with pytest.raises(UsageError, match=f"unknown setting of {name}"):
            load_preset(name, nonsense=1)
        break
