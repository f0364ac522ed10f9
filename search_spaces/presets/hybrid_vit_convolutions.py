"""Published convolutional image networks as genotypes of ``hybrid-vit``.

Each is a family scaled by the rule of its paper; its parameters equal those of the reference implementations
to the unit.
"""

from __future__ import annotations

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
    stem_width: int | None = None,
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
    wide = width if stem_width is None else stem_width
    stem: dict[str, Any] = {"channels": (Of(wide),), "strides": (2,), "kernel": 7, "pool": True}
    if radix:
        widths = (Of(wide // 2), Of(wide // 2), Of(wide))
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
    stem_width: int = 64,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """ResNeSt: H. Zhang et al. CVPR workshops 2022. Splits of the channels compete for attention."""
    return resnet(depths, True, radix=radix, stem_width=stem_width, side=side, classes=classes)


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


def rdnet(
    stem: int = 64,
    growths: Sequence[int] = (64, 104, 128, 128, 128, 128, 224),
    downs: Sequence[int] = (1, 2, 6),
    blocks: int = 3,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """RDNet: D. Kim et al. ECCV 2024. Dense stages of ConvNeXt-like blocks; ``downs`` halve the sides."""
    stages, width = [], stem
    for stage, growth in enumerate(growths):
        down = None
        if stage:
            width = width // 2 // 8 * 8
            step = 2 if stage in downs else 1
            down = {"patches": {"channels": Of(width), "patch": step, "before": "layer"}}
        inner = tuple(Of((width + number * growth) * 4 // 8 * 8) for number in range(blocks))
        block = {"growth": Of(growth), "inner": inner, "gated": stage > 1}
        stages.append(StageDetails(blocks={"dense_mixer": block}, depth=Of(1), down=down))
        width += blocks * growth
    return published(
        stem={"patches": {"channels": Of(stem), "patch": Of(4), "norm": "layer"}},
        stages=stages,
        head={"pooled": {"norm": "layer"}},
        side=side,
        classes=classes,
    )


def cspresnet(
    depths: Sequence[int] = (3, 3, 5, 2),
    width: int = 64,
    side: int = 256,
    classes: int = 1000,
) -> Preset:
    """CSPResNet: C.-Y. Wang et al. CVPR workshops 2020. Half of the channels pass by each stage."""
    stages = []
    for stage, depth in enumerate(depths):
        channels = 2 * width << stage
        block = {
            "channels": Of(channels),
            "inner": Of(channels // 2),
            "expanded": Of(2 * channels),
            "depth": Of(depth),
        }
        down = {"channels": Of(channels // 2), "norm": "batch", "activation": "leaky_relu"}
        stages.append(
            StageDetails(
                blocks={"cross_stage": block},
                depth=Of(1),
                down={"convolved": down | {"bias": False}} if stage else None,
            )
        )
    stem = {"channels": (Of(width),), "strides": (2,), "kernel": 7, "pool": True}
    return published(
        stem={"convolutions": stem | {"activation": "leaky_relu"}},
        stages=stages,
        head={"pooled": {"norm": "none"}},
        side=side,
        classes=classes,
    )


PRESETS = {
    "convnext": convnext,
    "poolformer": poolformer,
    "resnet": resnet,
    "seresnet": seresnet,
    "resnest": resnest,
    "inception_next": inception_next,
    "densenet": densenet,
    "focalnet": focalnet,
    "rdnet": rdnet,
    "cspresnet": cspresnet,
}
