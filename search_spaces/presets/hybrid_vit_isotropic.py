"""Published image networks of one resolution as genotypes of ``hybrid-vit``.

Each is a family scaled by the rule of its paper; its parameters equal those of the reference implementations
to the unit.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_detailed import published
from nasplat.blocks.image_details import Forms, Of, StageDetails
from nasplat.space.designs import Preset

MLP: Forms = {"mlp": {"ratio": Of(4)}}


def patches(dim: int, patch: int) -> Forms:
    """Patches without a norm."""
    return {"patches": {"channels": Of(dim), "patch": Of(patch)}}


def deit(
    dim: int = 192,
    depth: int = 12,
    heads: int = 3,
    patch: int = 16,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """DeiT: H. Touvron et al. ICML 2021; the same networks as ViT: A. Dosovitskiy et al. ICLR 2021."""
    blocks: Forms = {"unit": {"mixer": {"attention": {"heads": Of(heads)}}, "ffn": MLP}}
    return published(
        stem=patches(dim, patch),
        position={"class_token": {}},
        stages=[StageDetails(blocks=blocks, depth=Of(depth))],
        head={"pooled": {"norm": "layer", "pool": "class_token"}},
        side=side,
        classes=classes,
    )


def xcit(
    dim: int = 128,
    depth: int = 12,
    heads: int = 4,
    patch: int = 16,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """XCiT: A. El-Nouby et al. NeurIPS 2021. Attention of channels, and convolutions for the near."""
    steps = patch.bit_length() - 1
    stem: dict[str, Any] = {
        "channels": tuple(Of(dim >> step) for step in reversed(range(steps))),
        "strides": (2,) * steps,
        "norm": "batch",
        "activation": "gelu",
        "last_activation": "none",
    }
    mixer = {"channel": {"heads": Of(heads)}}
    unit = {"mixer": mixer, "ffn": MLP, "scale": True, "local": True}
    return published(
        stem={"convolutions": stem},
        position={"absolute": {"form": "mapped"}},
        stages=[StageDetails(blocks={"unit": unit}, depth=Of(depth))],
        head={"class_attention": {"heads": Of(heads), "layers": Of(2)}},
        side=side,
        classes=classes,
    )


def tnt(
    dim: int = 384,
    inner: int = 24,
    depth: int = 12,
    heads: int = 6,
    inner_heads: int = 4,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """TNT: K. Han et al. NeurIPS 2021. A small transformer among the pixels of each patch of 16x16."""
    block = {"outer": Of(dim), "inner_heads": Of(inner_heads), "outer_heads": Of(heads)}
    return published(
        stem={"nested": {"inner": Of(inner), "outer": Of(dim)}},
        stages=[StageDetails(blocks={"nested": block}, depth=Of(depth))],
        head={"second": {}},
        side=side,
        classes=classes,
    )


def mixer(
    dim: int = 512,
    depth: int = 8,
    patch: int = 16,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """MLP-Mixer: I. Tolstikhin et al. NeurIPS 2021. MLPs over the positions, then over the channels."""
    blocks: Forms = {"unit": {"mixer": {"tokens": {"hidden": Of(dim // 2)}}, "ffn": MLP}}
    return published(
        stem=patches(dim, patch),
        stages=[StageDetails(blocks=blocks, depth=Of(depth))],
        head={"pooled": {"norm": "layer"}},
        side=side,
        classes=classes,
    )


def resmlp(
    dim: int = 384,
    depth: int = 12,
    patch: int = 16,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """ResMLP: H. Touvron et al. TPAMI 2022. Linear maps of the positions, and no norms."""
    unit = {"mixer": {"tokens": {"depth": 1}}, "ffn": MLP, "norm": "affine", "scale": True}
    return published(
        stem=patches(dim, patch),
        stages=[StageDetails(blocks={"unit": unit}, depth=Of(depth))],
        head={"activated": {"norm": "affine", "activation": "none"}},
        side=side,
        classes=classes,
    )


def gmlp(
    dim: int = 128,
    depth: int = 30,
    patch: int = 16,
    ratio: int = 6,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """gMLP: H. Liu et al. NeurIPS 2021. Gates that are mixed over the positions, and nothing besides."""
    gate = {"channels": Of(dim), "hidden": Of(ratio * dim)}
    blocks: Forms = {"unit": {"mixer": {"gated_positions": gate}}}
    return published(
        stem=patches(dim, patch),
        stages=[StageDetails(blocks=blocks, depth=Of(depth))],
        head={"pooled": {"norm": "layer"}},
        side=side,
        classes=classes,
    )


PRESETS = {
    "deit": deit,
    "vit": deit,
    "xcit": xcit,
    "tnt": tnt,
    "mixer": mixer,
    "resmlp": resmlp,
    "gmlp": gmlp,
}
