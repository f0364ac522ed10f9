"""Published models as presets: as large as their reference implementations, and whole at any size."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nasplat.space.designs import load_preset, preset_space, presets
from nasplat.space.load import load_module, load_space

MODELS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
"""Reference counts: preset, settings, parameters, and multiply-accumulates as half of torch's count."""

TINY: dict[str, dict[str, Any]] = {
    "caformer": {"dims": (4, 8, 12, 16), "depths": (1, 1, 2, 1), "head_dim": 4, "side": 32},
    "coatnet": {"dims": (16, 16, 32, 32), "depths": (1, 2, 2, 1), "stem": 8, "side": 32},
    "convformer": {"dims": (4, 8, 12, 16), "depths": (1, 1, 2, 1), "head_dim": 4, "side": 32},
    "convnext": {"dims": (8, 12), "depths": (1, 2), "side": 16},
    "crossvit": {"dims": (6, 12), "depths": (1, 2), "heads": (2, 3), "rounds": 2, "side": 60},
    "cspresnet": {"depths": (1, 2), "width": 8, "side": 32},
    "davit": {"dims": (8, 16), "depths": (1, 2), "head_dim": 4, "window": 3, "side": 32},
    "deit": {"dim": 12, "depth": 2, "heads": 3, "patch": 4, "side": 16},
    "densenet": {"growth": 4, "depths": (1, 2), "side": 32},
    "edgenext": {"dims": (8, 9, 10, 13), "depths": (1, 2, 2, 1), "heads": 1, "side": 32},
    "efficientnet": {"width": 0.25, "depth": 0.5, "side": 32},
    "efficientvit": {
        "dims": (4, 8, 8, 12, 16),
        "depths": (1, 2, 1, 2, 1),
        "head_dim": 4,
        "head": (16, 12),
        "side": 64,
    },
    "fbnetv3": {"side": 32},
    "focalnet": {"dim": 8, "depths": (1, 2), "levels": 1, "side": 16},
    "gmlp": {"dim": 8, "depth": 2, "patch": 4, "ratio": 2, "side": 16},
    "hiera": {"dim": 8, "depths": (1, 2, 2, 1), "side": 64},
    "inception_next": {"dims": (16, 24), "depths": (1, 2), "band": 5, "side": 16},
    "maxvit": {
        "dims": (8, 8, 16),
        "depths": (1, 2, 1),
        "stem": 8,
        "head_dim": 4,
        "window": 2,
        "side": 32,
    },
    "mixer": {"dim": 8, "depth": 2, "patch": 4, "side": 16},
    "mobilenetv3": {"width": 0.25, "side": 32},
    "mobilevit": {
        "dims": (8, 8, 12, 16, 16),
        "inner": (8, 8, 12),
        "depths": (1, 2, 1),
        "head": 16,
        "side": 64,
    },
    "nest": {"dims": (8, 16), "depths": (1, 2), "head_dim": 4, "side": 32},
    "poolformer": {"dims": (8, 12), "depths": (1, 2), "side": 16},
    "pvt_v2": {"dims": (4, 8, 15, 16), "depths": (1, 2, 1, 1), "side": 32},
    "rdnet": {"stem": 8, "growths": (8, 16, 8), "downs": (1,), "side": 16},
    "resmlp": {"dim": 8, "depth": 2, "patch": 4, "side": 16},
    "resnest": {"depths": (1, 2), "side": 16},
    "resnet": {"depths": (1, 2), "width": 8, "side": 16},
    "rexnet": {"width": 0.5, "side": 32},
    "seresnet": {"depths": (1, 2), "side": 16},
    "swin": {"dim": 8, "depths": (2, 1), "heads": (2, 4), "window": 3, "side": 32},
    "tnt": {"dim": 12, "inner": 4, "depth": 2, "heads": 3, "inner_heads": 2, "side": 32},
    "twins_pcpvt": {"dims": (4, 8, 15, 16), "depths": (1, 2, 2, 1), "side": 32},
    "twins_svt": {"dims": (4, 8, 16, 16), "depths": (1, 2, 2, 1), "side": 32},
    "visformer": {"dim": 16, "stem": 4, "depths": (1, 2, 1), "heads": 2, "side": 32},
    "vit": {"dim": 8, "depth": 1, "heads": 2, "patch": 8, "side": 16},
    "xcit": {"dim": 16, "depth": 2, "heads": 2, "side": 32},
}
"""A small member of each family."""

FAMILIES = {model["preset"]: name for name, model in reversed(MODELS.items())}
"""The smallest reference model of each family."""


@pytest.mark.parametrize("name", MODELS)
def test_counts_equal_those_of_the_reference(name: str) -> None:
    model = MODELS[name]
    cost = load_preset(model["preset"], **model["settings"]).cost
    assert cost.params == model["parameters"]
    assert cost.macs == pytest.approx(model["macs"], rel=0.02)


def test_every_image_family_has_reference_counts_and_a_small_member() -> None:
    spaces = ("hybrid-vit", "dual-branch")
    images = {name for name, make in presets().items() if make().space in spaces}
    assert images == set(TINY)
    assert images == {model["preset"] for model in MODELS.values()}


@pytest.mark.parametrize("family", TINY)
def test_a_small_member_runs_forward_and_backward(family: str) -> None:
    candidate = load_preset(family, classes=3, **TINY[family])
    module = candidate.module(seed=0)
    assert sum(p.numel() for p in module.parameters()) == candidate.cost.params
    side = TINY[family]["side"]
    module(torch.randn(2, 3, side, side)).square().mean().backward()
    assert all(p.grad is not None for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize("family", TINY)
def test_a_preset_is_a_genotype_of_the_open_space(family: str) -> None:
    narrowed, preset = preset_space(family, classes=3, **TINY[family])
    sizes = load_module(preset.space)[1].Sizes(**preset.sizes)
    opened = load_space(preset.space, preset.types, recipe=False, sizes=sizes)
    genotype = narrowed.default()
    assert opened.build(genotype).digest == load_preset(family, classes=3, **TINY[family]).digest
    assert dict(genotype) == dict(opened.build(genotype).genotype)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_torch_counts_the_same(family: str) -> None:
    model = MODELS[FAMILIES[family]]
    candidate = load_preset(family, **model["settings"])
    module = candidate.module(seed=0).eval().to("meta")
    image = next(iter(preset_space(family, **model["settings"])[1].types.inputs.values()))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.empty(1, *image.shape, device="meta"))
    assert counter.get_total_flops() == 2 * candidate.cost.macs
