"""Published convolutional image networks as genotypes of ``hybrid-vit``.

Each is a family scaled by the rule of its paper; its parameters equal those of the reference implementations
to the unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nasplat.blocks.image_detailed import published
from nasplat.blocks.image_details import Of, StageDetails
from nasplat.space.designs import Preset


def convnext(
    dims: Sequence[int] = (96, 192, 384, 768),
    depths: Sequence[int] = (3, 3, 9, 3),
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """ConvNeXt: Z. Liu et al. CVPR 2022."""
    stages = []
    for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        down = {"channels": Of(dim), "patch": 2, "before": "layer"}
        stages.append(
            StageDetails(
                blocks={"convnext": {"kernel": Of(7), "ratio": Of(4)}},
                depth=Of(depth),
                down={"patches": down} if stage else None,
            )
        )
    return published(
        stem={"patches": {"channels": Of(dims[0]), "patch": Of(4), "norm": "layer"}},
        stages=stages,
        head={"pooled": {"norm": "layer"}},
        side=side,
        classes=classes,
    )


def poolformer(
    dims: Sequence[int] = (64, 128, 320, 512),
    depths: Sequence[int] = (2, 2, 6, 2),
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """PoolFormer: W. Yu et al. CVPR 2022. Means of neighbours in the place of attention."""
    stages = []
    for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        mixer, ffn = {"pool": {"kernel": Of(3)}}, {"mlp": {"ratio": Of(4)}}
        stages.append(
            StageDetails(
                blocks={"unit": {"mixer": mixer, "ffn": ffn, "norm": "group", "scale": True}},
                depth=Of(depth),
                down={"convolved": {"channels": Of(dim)}} if stage else None,
            )
        )
    stem = {
        "channels": (Of(dims[0]),),
        "strides": (4,),
        "kernel": 7,
        "norm": "none",
        "activation": "none",
    }
    return published(
        stem={"convolutions": stem},
        stages=stages,
        head={"pooled": {"norm": "layer"}},
        side=side,
        classes=classes,
    )


def resnet(
    depths: Sequence[int] = (2, 2, 2, 2),
    bottleneck: bool = False,
    squeeze: int = 0,
    radix: int = 0,
    width: int = 64,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """ResNet: K. He et al. CVPR 2016; see :func:`seresnet` and :func:`resnest` for the other settings."""
    stages = []
    for stage, depth in enumerate(depths):
        inner = width << stage
        block: dict[str, Any] = {
            "channels": Of(4 * inner if bottleneck else inner),
            "inner": Of(inner),
            "bottleneck": bottleneck,
            "squeeze": squeeze,
            "radix": radix,
        }
        first = block | {"stride": 2 if stage else 1, "widen": bottleneck, "pooled_skip": radix > 0}
        stages.append(
            StageDetails(
                blocks={"residual": block},
                depth=Of(depth - 1),
                down={"residual": first},
            )
        )
    stem: dict[str, Any] = {"channels": (Of(width),), "strides": (2,), "kernel": 7, "pool": True}
    if radix:
        widths = (Of(width // 2), Of(width // 2), Of(width))
        stem |= {"channels": widths, "strides": (2, 1, 1), "kernel": 3}
    return published(
        stem={"convolutions": stem},
        stages=stages,
        head={"pooled": {"norm": "none"}},
        side=side,
        classes=classes,
    )


def seresnet(
    depths: Sequence[int] = (2, 2, 2, 2),
    bottleneck: bool = False,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """SE-ResNet: J. Hu et al. CVPR 2018. Squeeze and excitation in every block."""
    return resnet(depths, bottleneck, squeeze=16, side=side, classes=classes)


def resnest(
    depths: Sequence[int] = (1, 1, 1, 1),
    radix: int = 2,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """ResNeSt: H. Zhang et al. CVPR workshops 2022. Splits of the channels compete for attention."""
    return resnet(depths, True, radix=radix, side=side, classes=classes)


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


def inception_next(
    dims: Sequence[int] = (96, 192, 384, 768),
    depths: Sequence[int] = (3, 3, 9, 3),
    share: float = 0.125,
    band: int = 11,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """InceptionNeXt: W. Yu et al. CVPR 2024. Four kinds of convolutions on shares of the channels."""
    stages = []
    for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        part = int(dim * share)
        shares = (float(dim - 3 * part), float(part), float(part), float(part))
        block = {
            "mixer": {"inception": {"shares": shares, "band": Of(band)}},
            "ratio": Of(3 if stage == len(dims) - 1 else 4),
            "norm": "batch",
        }
        down = {"channels": Of(dim), "patch": 2, "before": "batch"}
        stages.append(
            StageDetails(
                blocks={"convnext": block},
                depth=Of(depth),
                down={"patches": down} if stage else None,
            )
        )
    head = {
        "norm": "none",
        "hidden": 3 * dims[-1],
        "activation": "gelu",
        "hidden_norm": "layer",
    }
    return published(
        stem={"patches": {"channels": Of(dims[0]), "patch": Of(4), "norm": "batch"}},
        stages=stages,
        head={"pooled": head},
        side=side,
        classes=classes,
    )


def densenet(
    growth: int = 32,
    depths: Sequence[int] = (6, 12, 24, 16),
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """DenseNet: G. Huang et al. CVPR 2017. Every block adds channels to all that came before it."""
    stages, width = [], 2 * growth
    for stage, depth in enumerate(depths):
        down = None
        if stage:
            width //= 2
            down = {"transition": {"channels": Of(width)}}
        block = {"growth": Of(growth), "inner": Of(4 * growth)}
        stages.append(StageDetails(blocks={"dense": block}, depth=Of(depth), down=down))
        width += depth * growth
    stem = {"channels": (Of(2 * growth),), "strides": (2,), "kernel": 7, "pool": True}
    return published(
        stem={"convolutions": stem | {"norm": "batch"}},
        stages=stages,
        head={"activated": {}},
        side=side,
        classes=classes,
    )


def focalnet(
    dim: int = 96,
    depths: Sequence[int] = (2, 2, 6, 2),
    levels: int = 2,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """FocalNet: J. Yang et al. NeurIPS 2022. Context of growing reach multiplies a query."""
    stages = []
    for stage, depth in enumerate(depths):
        mixer, ffn = {"focal": {"levels": Of(levels)}}, {"mlp": {"ratio": Of(4)}}
        down = {"channels": Of(dim << stage), "patch": 2, "norm": "layer"}
        stages.append(
            StageDetails(
                blocks={"unit": {"mixer": mixer, "ffn": ffn}},
                depth=Of(depth),
                down={"patches": down} if stage else None,
            )
        )
    return published(
        stem={"patches": {"channels": Of(dim), "patch": Of(4), "norm": "layer"}},
        stages=stages,
        head={"pooled": {"norm": "layer"}},
        side=side,
        classes=classes,
    )


PRESETS = {
    "convnext": convnext,
    "poolformer": poolformer,
    "resnet": resnet,
    "seresnet": seresnet,
    "resnest": resnest,
    "efficientnet": efficientnet,
    "mobilenetv3": mobilenetv3,
    "inception_next": inception_next,
    "densenet": densenet,
    "focalnet": focalnet,
}
