"""Published networks of inverted bottlenecks as genotypes of ``hybrid-vit``.

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


def _rounded(width: float) -> int:
    """The nearest multiple of 8, not below 90 % of a width."""
    near = max(8, int(width + 4) // 8 * 8)
    return near if near >= 0.9 * width else near + 8


Row = tuple[int, int, int, float, int, float, str]
"""Inverted bottlenecks in a row: how many, kernel, stride, expansion, channels, squeeze, activation."""


def _inverted(
    rows: Sequence[Row], stem: int, head: dict[str, Any], activation: str, **settings: Any
) -> dict[str, Any]:
    """The parts of a network of inverted bottlenecks.

    Args:
        rows: They follow each other; the first block of a row takes its stride and its channels.
        stem: Channels of the stem.
        head: The head.
        activation: Of the stem.
        settings: Of every bottleneck.
    """
    stages, width = [], stem
    for count, kernel, stride, expand, channels, squeeze, form in rows:
        block = {
            "kernel": Of(kernel),
            "expand": Of(expand),
            "squeeze": Of(squeeze),
            "activation": form,
            **settings,
        }
        same = stride == 1 and channels == width
        first = block | {"channels": Of(channels), "stride": stride, "skip": same}
        stages.append(
            StageDetails(blocks={"inverted": block}, depth=Of(count - 1), down={"inverted": first})
        )
        width = channels
    convolution = {"channels": (Of(stem),), "strides": (2,), "activation": activation}
    return {"stem": {"convolutions": convolution}, "stages": stages, "head": {"convolved": head}}


def efficientnet(
    width: float = 1.0, depth: float = 1.0, side: int = 224, classes: int = 1000
) -> Preset:
    """EfficientNet: M. Tan, Q. Le. ICML 2019. All widths and depths are multiples of those of B0."""
    base: tuple[Row, ...] = (
        (1, 3, 1, 1, 16, 0.25, "silu"),
        (2, 3, 2, 6, 24, 0.25, "silu"),
        (2, 5, 2, 6, 40, 0.25, "silu"),
        (3, 3, 2, 6, 80, 0.25, "silu"),
        (3, 5, 1, 6, 112, 0.25, "silu"),
        (4, 5, 2, 6, 192, 0.25, "silu"),
        (1, 3, 1, 6, 320, 0.25, "silu"),
    )
    rows = [
        (math.ceil(depth * row[0]), *row[1:4], _rounded(width * row[4]), *row[5:]) for row in base
    ]
    head = {"channels": Of(_rounded(1280 * width)), "activation": "silu"}
    parts = _inverted(rows, _rounded(32 * width), head, "silu")
    return published(**parts, side=side, classes=classes)


def mobilenetv3(width: float = 1.0, side: int = 224, classes: int = 1000) -> Preset:
    """MobileNetV3 (large): A. Howard et al. ICCV 2019."""
    base: tuple[Row, ...] = (
        (1, 3, 1, 1, 16, 0, "relu"),
        (1, 3, 2, 4, 24, 0, "relu"),
        (1, 3, 1, 3, 24, 0, "relu"),
        (3, 5, 2, 3, 40, 0.25, "relu"),
        (1, 3, 2, 6, 80, 0, "hardswish"),
        (1, 3, 1, 2.5, 80, 0, "hardswish"),
        (2, 3, 1, 2.3, 80, 0, "hardswish"),
        (2, 3, 1, 6, 112, 0.25, "hardswish"),
        (3, 5, 2, 6, 160, 0.25, "hardswish"),
    )
    rows = [(*row[:4], _rounded(width * row[4]), *row[5:]) for row in base]
    head = {"channels": Of(_rounded(960 * width)), "activation": "hardswish", "hidden": 1280}
    parts = _inverted(
        rows,
        _rounded(16 * width),
        head,
        "hardswish",
        squeeze_of="hidden",
        divisor=8,
        squeeze_activation="relu",
        hard_gate=True,
    )
    return published(**parts, side=side, classes=classes)


def fbnetv3(side: int = 224, classes: int = 1000) -> Preset:
    """FBNetV3-B: X. Dai et al. CVPR 2021. Found by a search, so there is no rule to scale it."""
    act = "hardswish"
    rows: tuple[Row, ...] = (
        (2, 3, 1, 1, 16, 0, act),
        (1, 5, 2, 4, 24, 0, act),
        (3, 5, 1, 2, 24, 0, act),
        (1, 5, 2, 5, 40, 0.25, act),
        (4, 5, 1, 3, 40, 0.25, act),
        (1, 5, 2, 5, 72, 0, act),
        (4, 3, 1, 3, 72, 0, act),
        (1, 3, 1, 5, 120, 0.25, act),
        (5, 5, 1, 3, 120, 0.25, act),
        (1, 3, 2, 6, 184, 0.25, act),
        (5, 5, 1, 4, 184, 0.25, act),
        (1, 5, 1, 6, 224, 0.25, act),
    )
    head = {"channels": Of(1344), "activation": act, "hidden": 1984, "hidden_bias": False}
    gate = {"squeeze_activation": "relu", "hard_gate": True, "divisor": 8}
    return published(**_inverted(rows, 16, head, act, **gate), side=side, classes=classes)


def rexnet(width: float = 1.0, side: int = 224, classes: int = 1000) -> Preset:
    """ReXNet: D. Han et al. CVPR 2021. Channels that grow by the same number from block to block."""
    counts, steps = (1, 2, 2, 3, 3, 5), (1, 2, 2, 2, 1, 2)
    strides = [
        step if n == 0 else 1 for c, step in zip(counts, steps, strict=True) for n in range(c)
    ]
    start = 16 / width if width < 1 else 16.0
    stem = round(32 * max(width, 1.0))
    stages, met = [], stem
    for block, stride in enumerate(strides):
        channels = round((start + 180 * block / len(strides)) * width)
        settings = {
            "channels": Of(channels),
            "hidden": Of(6 * met) if block else 0,
            "stride": stride,
            "squeeze": 12 if block > 2 else 0,
            "kept": met if stride == 1 and met <= channels else 0,
        }
        stages.append(StageDetails(blocks={"ramped": settings}, depth=Of(1)))
        met = channels
    convolution = {"channels": (Of(stem),), "strides": (2,), "activation": "silu"}
    return published(
        stem={"convolutions": convolution},
        stages=stages,
        head={"convolved": {"channels": Of(int(1280 * width)), "activation": "silu"}},
        side=side,
        classes=classes,
    )


def mobilevit(
    dims: Sequence[int] = (16, 24, 48, 64, 80),
    inner: Sequence[int] = (64, 80, 96),
    depths: Sequence[int] = (2, 4, 3),
    expand: float = 2,
    head: int = 320,
    side: int = 256,
    classes: int = 1000,
) -> Preset:
    """MobileViT: S. Mehta, M. Rastegari. ICLR 2022. Transformers among the patches, between convolutions."""
    stages = []
    for stage, dim in enumerate(dims):
        block: dict[str, Any] = {"expand": Of(expand), "squeeze": 0, "activation": "silu"}
        first = block | {"channels": Of(dim), "stride": 2, "skip": False}
        blocks: Forms = {"inverted": block}
        depth = 2
        if stage == 0:
            first |= {"stride": 1, "skip": dim == 16}
            depth = 0
        elif stage > 1:
            width, layers = Of(inner[stage - 2]), Of(depths[stage - 2])
            blocks = {"unfolded": {"channels": Of(dim), "inner": width, "depth": layers}}
            depth = 1
        stages.append(StageDetails(blocks=blocks, depth=Of(depth), down={"inverted": first}))
    stem = {"channels": (Of(16),), "strides": (2,), "activation": "silu"}
    return published(
        stem={"convolutions": stem},
        stages=stages,
        head={"convolved": {"channels": Of(head), "activation": "silu"}},
        side=side,
        classes=classes,
    )


def efficientvit(
    dims: Sequence[int] = (8, 16, 32, 64, 128),
    depths: Sequence[int] = (1, 2, 2, 2, 2),
    head_dim: int = 16,
    head: tuple[int, int] = (1024, 1280),
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """EfficientViT: H. Cai et al. ICCV 2023. Inverted bottlenecks, then linear attention at two scales."""
    act = "hardswish"
    block: dict[str, Any] = {"expand": Of(1), "squeeze": 0, "activation": act}
    stages = [StageDetails(blocks={"inverted": block}, depth=Of(depths[0]))]
    for stage, (dim, depth) in enumerate(zip(dims[1:], depths[1:], strict=True), 1):
        if stage < 3:
            block = {"expand": Of(4), "squeeze": 0, "activation": act}
            first = block | {"channels": Of(dim), "stride": 2, "skip": False}
            down: Forms = {"inverted": first}
            stages.append(StageDetails(blocks={"inverted": block}, depth=Of(depth - 1), down=down))
            continue
        hidden = {"channels": Of(dim), "hidden": Of(4 * dims[stage - 1])}
        down = {"half_normed": hidden | {"stride": 2, "skip": False}}
        settings = {"channels": Of(dim), "hidden": Of(4 * dim), "head_dim": Of(head_dim)}
        stages.append(StageDetails(blocks={"gathered": settings}, depth=Of(depth), down=down))
    end = {"hidden": head[1], "hidden_bias": False, "hidden_norm": "layer", "activation": act}
    stem = {"channels": (Of(dims[0]),), "strides": (2,), "activation": act}
    return published(
        stem={"convolutions": stem},
        stages=stages,
        head={"convolved": {"channels": Of(head[0]), **end}},
        side=side,
        classes=classes,
    )


PRESETS = {
    "efficientnet": efficientnet,
    "mobilenetv3": mobilenetv3,
    "fbnetv3": fbnetv3,
    "rexnet": rexnet,
    "mobilevit": mobilevit,
    "efficientvit": efficientvit,
}
