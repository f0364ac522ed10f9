"""Published image networks with stages of attention, as genotypes of ``hybrid-vit``.

Each is a family scaled by the rule of its paper; its parameters equal those of the reference implementations
to the unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nasplat.blocks.image_detailed import published
from nasplat.blocks.image_details import Forms, Free, Of, StageDetails
from nasplat.space.designs import Preset

MLP: Forms = {"mlp": {"ratio": Of(4)}}


def each_block(depths: Sequence[int], setting: str, value: Any) -> dict[str, Any]:
    """A decision of every block; ``value`` takes the number of the block in its stage."""
    return {
        f"stages.{stage}.blocks.{block}.{setting}": value(block)
        for stage, depth in enumerate(depths)
        for block in range(depth)
    }


def odd(block: int) -> bool:
    """Whether a block is the second of a pair."""
    return block % 2 == 1


def swin(
    dim: int = 96,
    depths: Sequence[int] = (2, 2, 6, 2),
    heads: Sequence[int] = (3, 6, 12, 24),
    window: int = 7,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """Swin transformer: Z. Liu et al. ICCV 2021. Windows that are shifted in every other block."""
    stages = []
    for stage, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        mixer = {"heads": Of(count), "window": Of(window), "shifted": Free(False, True)}
        stages.append(
            StageDetails(
                blocks={"unit": {"mixer": {"window": mixer}, "ffn": MLP}},
                depth=Of(depth),
                down={"merging": {"channels": Of(dim << stage)}} if stage else None,
            )
        )
    return published(
        stem={"patches": {"channels": Of(dim), "patch": Of(4), "norm": "layer"}},
        stages=stages,
        head={"pooled": {"norm": "layer"}},
        where=each_block(depths, "unit.mixer.window.shifted", odd),
        side=side,
        classes=classes,
    )


def davit(
    dims: Sequence[int] = (96, 192, 384, 768),
    depths: Sequence[int] = (1, 1, 3, 1),
    head_dim: int = 32,
    window: int = 7,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """DaViT: M. Ding et al. ECCV 2022. Attention within windows, then of channels, in turn."""
    stages = []
    for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        heads = dim // head_dim
        mixer = {
            "window": {"heads": Of(heads), "window": Of(window), "relative_bias": "none"},
            "channel": {"heads": Of(heads), "temperature": False},
        }
        unit = {"mixer": mixer, "ffn": MLP, "position": True, "ffn_position": True}
        down = {"channels": Of(dim), "patch": 2, "before": "layer"}
        stages.append(
            StageDetails(
                blocks={"unit": unit},
                depth=Of(2 * depth),
                down={"patches": down} if stage else None,
            )
        )
    pairs = [2 * depth for depth in depths]
    return published(
        stem={"convolutions": {**STRIDE_4, "channels": (Of(dims[0]),), "norm": "layer"}},
        stages=stages,
        head={"pooled": {"norm": "layer"}},
        where=each_block(pairs, "unit.mixer", lambda block: ("window", "channel")[block % 2]),
        side=side,
        classes=classes,
    )


STRIDE_4: Mapping[str, Any] = {
    "strides": (4,),
    "kernel": 7,
    "activation": "none",
    "last_bias": True,
}
"""A convolution of 7x7 pixels at stride 4."""


def nest(
    dims: Sequence[int] = (96, 192, 384),
    depths: Sequence[int] = (2, 2, 8),
    head_dim: int = 32,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """NesT: Z. Zhang et al. AAAI 2022. Attention within blocks that four by four become one."""
    window = side // 4 // 2 ** (len(dims) - 1)
    stages = []
    for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        mixer = {"heads": Of(dim // head_dim), "window": Of(window), "relative_bias": "none"}
        down = {"channels": Of(dim), "norm": "layer", "pool": True}
        stages.append(
            StageDetails(
                blocks={"unit": {"mixer": {"window": mixer}, "ffn": MLP}},
                depth=Of(depth),
                down={"convolved": down} if stage else None,
                position={"absolute": {}},
            )
        )
    return published(
        stem={"patches": {"channels": Of(dims[0]), "patch": Of(4)}},
        stages=stages,
        head={"pooled": {"norm": "layer"}},
        side=side,
        classes=classes,
    )


def twins(
    dims: Sequence[int],
    depths: Sequence[int],
    heads: Sequence[int],
    ratios: Sequence[int],
    window: int | None,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """Twins: X. Chu et al. NeurIPS 2021. Attention to pooled maps, with ``window`` in every other block."""
    stages: list[StageDetails] = []
    where: dict[str, Any] = {}
    shapes = zip(dims, depths, heads, ratios, strict=True)
    for stage, (dim, depth, count, ratio) in enumerate(shapes):
        stride = 8 >> stage
        whole: Forms = {"pooled": {"heads": Of(count), "kv_stride": Of(stride), "query_stride": 1}}
        if stride == 1:
            whole = {"attention": {"heads": Of(count)}}
        mixer = dict(whole)
        if window is not None:
            near = {"heads": Of(count), "window": Of(window), "relative_bias": "none"}
            mixer = {"window": near, **whole}
        kinds = list(mixer)
        unit = {
            "mixer": mixer,
            "ffn": {"mlp": {"ratio": Of(ratio)}},
            "position": Free(False, True),
        }
        stages.append(
            StageDetails(
                blocks={"unit": unit},
                depth=Of(depth),
                down={"patches": {"channels": Of(dim), "patch": 2, "norm": "layer"}}
                if stage
                else None,
            )
        )
        for block in range(depth):
            place = f"stages.{stage}.blocks.{block}.unit"
            where[f"{place}.mixer"] = kinds[block % len(kinds)]
            where[f"{place}.position"] = block == 1
    return published(
        stem={"patches": {"channels": Of(dims[0]), "patch": Of(4), "norm": "layer"}},
        stages=stages,
        head={"pooled": {"norm": "layer"}},
        where=where,
        side=side,
        classes=classes,
    )


def twins_svt(
    dims: Sequence[int] = (64, 128, 256, 512),
    depths: Sequence[int] = (2, 2, 10, 4),
    heads: Sequence[int] = (2, 4, 8, 16),
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """Twins-SVT: attention within windows and to a pooled map in turn."""
    return twins(dims, depths, heads, (4, 4, 4, 4), 7, side, classes)


def twins_pcpvt(
    dims: Sequence[int] = (64, 128, 320, 512),
    depths: Sequence[int] = (3, 4, 6, 3),
    heads: Sequence[int] = (1, 2, 5, 8),
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """Twins-PCPVT: attention to a pooled map, with a convolution that tells the place."""
    return twins(dims, depths, heads, (8, 8, 4, 4), None, side, classes)


def pvt_v2(
    dims: Sequence[int] = (32, 64, 160, 256),
    depths: Sequence[int] = (2, 2, 2, 2),
    heads: Sequence[int] = (1, 2, 5, 8),
    ratios: Sequence[int] = (8, 8, 4, 4),
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """PVT v2: W. Wang et al. CVMJ 2022. Attention to a pooled map, and MLPs with a convolution."""
    stages = []
    shapes = zip(dims, depths, heads, ratios, strict=True)
    for stage, (dim, depth, count, ratio) in enumerate(shapes):
        mixer: Forms = {"pooled": {"heads": Of(count), "kv_stride": Of(8 >> stage)}}
        if stage == 3:
            mixer = {"attention": {"heads": Of(count)}}
        ffn = {"depthwise_mlp": {"ratio": Of(ratio)}}
        down = {"channels": Of(dim), "norm": "layer"}
        stages.append(
            StageDetails(
                blocks={"unit": {"mixer": mixer, "ffn": ffn}},
                depth=Of(depth),
                down={"convolved": down} if stage else None,
                norm="layer",
            )
        )
    return published(
        stem={"convolutions": {**STRIDE_4, "channels": (Of(dims[0]),), "norm": "layer"}},
        stages=stages,
        head={"pooled": {"norm": "none"}},
        side=side,
        classes=classes,
    )


def hiera(
    dim: int = 96,
    depths: Sequence[int] = (1, 2, 7, 2),
    heads: int = 1,
    side: int = 224,
    classes: int = 1000,
) -> Preset:
    """Hiera: C. Ryali et al. ICML 2023. Attention in units, then of all; pooled queries between stages."""
    stages = []
    for stage, depth in enumerate(depths):
        unit = 8 >> stage if stage < 2 else 0
        mixer = {"heads": Of(heads << stage), "unit": Of(unit)}
        step = {
            "channels": Of(dim << stage),
            "heads": Of(heads << stage),
            "unit_side": Of(8 >> max(stage - 1, 0) if stage < 3 else 0),
        }
        stages.append(
            StageDetails(
                blocks={"unit": {"mixer": {"units": mixer}, "ffn": MLP}},
                depth=Of(depth - (stage > 0)),
                down={"pooling": step} if stage else None,
                position=None if stage else {"absolute": {}},
            )
        )
    return published(
        stem={"convolved": {"channels": Of(dim), "kernel": 7, "stride": 4}},
        stages=stages,
        head={"pooled": {"norm": "layer"}},
        side=side,
        classes=classes,
    )


PRESETS = {
    "swin": swin,
    "davit": davit,
    "nest": nest,
    "twins_svt": twins_svt,
    "twins_pcpvt": twins_pcpvt,
    "pvt_v2": pvt_v2,
    "hiera": hiera,
}
