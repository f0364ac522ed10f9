"""Published image networks of convolutions and attention as genotypes of ``hybrid-vit``.

Each is a family scaled by the rule of its paper; its parameters equal those of the reference implementations
to the unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nasplat.blocks.image_detailed import published
from nasplat.blocks.image_details import Forms, Of, StageDetails
from nasplat.space.designs import Preset

MLP: Forms = {"mlp": {"ratio": Of(4)}}


def coatnet(
    dims: Sequence[int] = (96, 192, 384, 768),
    depths: Sequence[int] = (2, 3, 5, 2),
    stem: int = 64,
    head_dim: int = 32,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """CoAtNet: Z. Dai et al. NeurIPS 2021. Two stages of convolutions, then two of attention."""
    stages = []
    for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        down: Forms
        if stage < 2:
            entry = {"channels": Of(dim), "stride": 2, "widen": dim != (stem, *dims)[stage]}
            down = {"normed_inverted": entry}
            blocks: Forms = {"normed_inverted": {"channels": Of(dim)}}
        else:
            heads = {"heads": Of(dim // head_dim)}
            down = {"attending": {"channels": Of(dim), **heads}}
            mixer = {"attention": heads | {"relative_bias": "table"}}
            blocks = {"unit": {"mixer": mixer, "ffn": MLP}}
        stages.append(StageDetails(blocks=blocks, depth=Of(depth - 1), down=down))
    convolutions = {
        "channels": (Of(stem), Of(stem)),
        "strides": (2, 1),
        "norm": "batch",
        "activation": "gelu",
        "last_norm": "none",
        "last_activation": "none",
        "last_bias": False,
    }
    return published(
        stem={"convolutions": convolutions},
        stages=stages,
        head={"pooled": {"norm": "layer", "hidden": dims[-1]}},
        side=side,
        classes=classes,
    )


def edgenext(
    dims: Sequence[int] = (24, 48, 88, 168),
    depths: Sequence[int] = (2, 2, 6, 2),
    heads: int = 4,
    side: int = 256,
    classes: int = 1000,
) -> Preset:
    """EdgeNeXt: M. Maaz et al. ECCV workshops 2022. The last block of a stage attends across channels."""
    stages: list[StageDetails] = []
    where: dict[str, Any] = {}
    for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        groups = (1, 2, 3, 4)[stage]
        blocks: dict[str, Any] = {"convnext": {"kernel": Of(3 + 2 * stage), "ratio": Of(4)}}
        if stage:
            width = math.ceil(dim / groups)
            rest = dim - width * (groups - 1)
            blocks["split_transpose"] = {
                "shares": (*(float(width) for _ in range(groups - 1)), float(rest)),
                "heads": Of(heads),
                "ratio": Of(4),
                "position": {"absolute": {"form": "mapped"}} if stage == 1 else None,
            }
            where[f"stages.{stage}.blocks.{depth - 1}"] = "split_transpose"
        down = {"channels": Of(dim), "patch": 2, "before": "layer"}
        stages.append(
            StageDetails(blocks=blocks, depth=Of(depth), down={"patches": down} if stage else None)
        )
    return published(
        stem={"patches": {"channels": Of(dims[0]), "patch": Of(4), "norm": "layer"}},
        stages=stages,
        head={"pooled": {"norm": "layer"}},
        where=where,
        side=side,
        classes=classes,
    )


def visformer(
    dim: int = 192,
    stem: int = 16,
    depths: Sequence[int] = (7, 4, 4),
    heads: int = 3,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """Visformer: Z. Chen et al. ICCV 2021. Grouped convolutions, then attention, without biases."""
    stages = []
    for stage, depth in enumerate(depths):
        width = dim * 2**stage // 2
        ffn: Forms = {"grouped_mlp": {"channels": Of(width), "hidden": Of(2 * width)}}
        unit: dict[str, Any] = {"norm": "batch", "ffn": ffn}
        if stage:
            attention = {"heads": Of(heads), "bias": False, "out_bias": False}
            unit["mixer"] = {"attention": attention}
            unit["ffn"] = {"mlp": {"ratio": Of(4), "bias": False}}
        stages.append(
            StageDetails(
                blocks={"unit": unit},
                depth=Of(depth),
                down={"patches": {"channels": Of(width), "patch": 2, "norm": "batch"}}
                if stage
                else None,
                position={"absolute": {}},
            )
        )
    return published(
        stem={"stepped": {"channels": Of(dim // 2), "inner": Of(stem), "patch": Of(4)}},
        stages=stages,
        head={"pooled": {"norm": "batch"}},
        side=side,
        classes=classes,
    )


def maxvit(
    dims: Sequence[int] = (64, 128, 256, 512),
    depths: Sequence[int] = (2, 2, 5, 2),
    stem: int = 64,
    head_dim: int = 32,
    window: int = 7,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """MaxViT: Z. Tu et al. ECCV 2022. A convolution, attention in windows, attention in a grid, in turn."""
    stages: list[StageDetails] = []
    where: dict[str, Any] = {}
    for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        near = {"heads": Of(dim // head_dim), "window": Of(window)}
        far = {"heads": Of(dim // head_dim), "stride": None, "group": Of(window)}
        mixer = {"window": near, "grid": far | {"relative_bias": "table"}}
        conv = {"channels": Of(dim), "activation": "gelu_tanh"}
        entry = conv | {"stride": 2, "widen": dim != (stem, *dims)[stage]}
        ffn = {"mlp": {"ratio": Of(4), "activation": "gelu_tanh"}}
        stages.append(
            StageDetails(
                blocks={"unit": {"mixer": mixer, "ffn": ffn}, "normed_inverted": conv},
                depth=Of(3 * depth - 1),
                down={"normed_inverted": entry},
            )
        )
        for block in range(3 * depth - 1):
            place = f"stages.{stage}.blocks.{block}"
            where[place] = "normed_inverted" if block % 3 == 2 else "unit"
            if block % 3 < 2:
                where[f"{place}.unit.mixer"] = ("window", "grid")[block % 3]
    convolutions = {
        "channels": (Of(stem), Of(stem)),
        "strides": (2, 1),
        "norm": "batch",
        "activation": "gelu_tanh",
        "bias": True,
        "last_norm": "none",
        "last_activation": "none",
    }
    return published(
        stem={"convolutions": convolutions},
        stages=stages,
        head={"pooled": {"norm": "layer", "hidden": dims[-1]}},
        where=where,
        side=side,
        classes=classes,
    )


def convformer(
    dims: Sequence[int] = (64, 128, 320, 512),
    depths: Sequence[int] = (3, 3, 9, 3),
    attention: Sequence[bool] = (False, False, False, False),
    head_dim: int = 32,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """ConvFormer: W. Yu et al. TPAMI 2024. Separable convolutions, without biases; see :func:`caformer`."""
    stages = []
    for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        conv = {"kernel": Of(7), "ratio": Of(2), "activation": "star_relu"}
        attend = {"heads": Of(dim // head_dim), "bias": False, "out_bias": False}
        unit = {
            "mixer": {"attention": attend} if attention[stage] else {"conv": conv},
            "ffn": {"mlp": {"ratio": Of(4), "activation": "star_relu", "bias": False}},
            "norm": "scaled_layer",
            "skip_scale": stage >= 2,
        }
        down = {"channels": Of(dim), "before": "scaled_layer"}
        stages.append(
            StageDetails(
                blocks={"unit": unit},
                depth=Of(depth),
                down={"convolved": down} if stage else None,
            )
        )
    head = {"hidden": 4 * dims[-1], "activation": "squared_relu", "hidden_norm": "layer"}
    return published(
        stem={
            "convolved": {"channels": Of(dims[0]), "kernel": 7, "stride": 4, "norm": "scaled_layer"}
        },
        stages=stages,
        head={"pooled": {"norm": "layer", **head}},
        side=side,
        classes=classes,
    )


def caformer(
    dims: Sequence[int] = (64, 128, 320, 512),
    depths: Sequence[int] = (3, 3, 9, 3),
    head_dim: int = 32,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """CAFormer: W. Yu et al. TPAMI 2024. Separable convolutions, then attention in the last two stages."""
    return convformer(dims, depths, (False, False, True, True), head_dim, side, classes)


PRESETS = {
    "coatnet": coatnet,
    "edgenext": edgenext,
    "visformer": visformer,
    "maxvit": maxvit,
    "convformer": convformer,
    "caformer": caformer,
}
