"""Encoder-decoder networks that answer at every position of an image or a volume."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nasplat.blocks.pyramid import Finer, Ladder, Nested, PerScale, Pyramid, ToFinest
from nasplat.blocks.stages import Slot, Style, convolutions, units
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression, Sequence
from nasplat.graph.types import Image, Volume, show_types
from nasplat.ops.attention import CrossAttention
from nasplat.ops.conv import SqueezeGate
from nasplat.ops.dense import ContextGate, MultiScaleFusion, PixelHead, PoolTo, UpsampleTo
from nasplat.ops.merge import Add, Concat, Gated
from nasplat.ops.patch import ConvStem, PatchStem
from nasplat.ops.position import AbsolutePosition, ConvPosition
from nasplat.ops.resample import Identity, PatchMerging, Pool, PoolProjection, StridedConv
from nasplat.space.axes import Numeric, Rule
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice, Int
from nasplat.space.load import Typed, Types
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.space.wiring import Each, Parallel, Pick, Recall, Shared, Steps, Tap

EXAMPLES: Mapping[str, Types] = {
    "image": Types({"image": Image(1, 32, 32)}, {"pixels": Image(4, 32, 32)}),
    "volume": Types({"volume": Volume(1, 16, 16, 16)}, {"voxels": Volume(3, 16, 16, 16)}),
    "reference": Types(
        {"image": Image(3, 32, 32), "reference": Image(3, 32, 32)}, {"pixels": Image(3, 32, 32)}
    ),
}
SMALLEST = 8
"""Least side of an image or volume."""
THROUGH = Sequence(())
"""What comes in goes on."""


@dataclass(frozen=True)
class Sizes:
    """The domains that follow from the size of a map; by default from one rule.

    Attributes:
        strides: Of the stem.
        levels: Numbers of scales above the coarsest.
        widths: Channels of the finest scale; each scale below has twice as many, unless it is stretched.
        depths: Units in a stage.
        heads: Of attention.
        head_dim: Width of a head; None: channels over heads.
    """

    strides: tuple[int, ...]
    levels: tuple[int, ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...] = (2, 4)
    head_dim: int | None = None

    @classmethod
    def of(cls, item: Image | Volume) -> Sizes:
        """The rule: the coarsest scale has at least 4 positions a side, channels grow as the root of the side."""
        side = min(item.sizes[1:])
        strides = (1,) if side < 24 else (1, 2) if side < 128 else (2, 4)
        deepest = max(1, min(4, int(math.log2(side / strides[-1] / 4))))
        width = 8 * min(4, max(1, round(math.sqrt(side / 16))))
        return cls(
            strides,
            tuple(range(max(1, deepest - 1), deepest + 1)),
            (width, width * 3 // 2, width * 2),
            tuple(range(1, 2 + deepest // 2)),
        )


@dataclass(frozen=True)
class Parts:
    """Everything that the parts of one space share."""

    sizes: Sizes
    style: Style
    side: int

    @property
    def most(self) -> int:
        """Most scales above the coarsest."""
        return max(self.sizes.levels)

    def positions(self, scale: int) -> int:
        """Most positions at a scale."""
        return int(math.ceil(self.side / (self.sizes.strides[0] << scale)) ** self.style.rank)


def space(task: Typed, *, recipe: bool = True, sizes: Sizes | None = None) -> Space:
    """The space for the maps of a task.

    Args:
        task: One ``Image`` or ``Volume`` in, or two of one size; one of the same kind and size out.
        recipe: Whether learning rate and label smoothing are decisions, or left to the trainer.
        sizes: Domains that differ from the rule's.

    Raises:
        SpaceError: The task has other inputs or outputs.
    """
    inputs, outputs = tuple(task.inputs.values()), tuple(task.outputs.values())
    first = inputs[0] if inputs else None
    same = {(type(item), item.sizes[1:]) for item in (*inputs, *outputs)}
    if (
        not isinstance(first, Image | Volume)
        or len(inputs) > 2
        or len(outputs) != 1
        or len(same) > 1
        or min(first.sizes[1:]) < SMALLEST
    ):
        raise SpaceError(
            f"unet maps one Image or Volume of at least {SMALLEST} a side, or two of one size, to one of "
            f"that size; the task maps {show_types(inputs)} to {show_types(outputs)}"
        )
    sizes = sizes or Sizes.of(first)
    style = Style(
        rank=len(first.sizes) - 1,
        norm=Choice("batch", "layer", name="norm"),
        residual=Choice("plain", "none", name="residual"),
        heads=sizes.heads,
        head_dim=sizes.head_dim,
    )
    parts = Parts(sizes, style, min(first.sizes[1:]))
    body = Steps(
        input=Tap("input", head=Pick(0), output=False),
        encoder=_encoder(parts, len(inputs)),
        decoder=_decoder(parts),
        head=_head(outputs[0].sizes[0]),
    )
    decided = {
        "lr": Choice(0.002, 0.004, 0.008, default=0.004),
        "label_smoothing": Choice(0.0, 0.05, 0.1, default=0.0),
    }
    return Space(
        body,
        task.inputs,
        task.outputs,
        recipe=decided if recipe else None,
        name="unet",
        axes=AXES,
    )


def _encoder(parts: Parts, inputs: int) -> Expression:
    conv = convolutions(parts.style, "encoder")
    base = Choice(*parts.sizes.widths, default=parts.sizes.widths[1], name="widths.base")
    widths = [base]
    for scale in range(1, parts.most + 1):
        stretch = Choice(3, 4, 5, 6, default=4, name=f"widths.stretch.{scale}")
        widths.append((base * (1 << scale)) * stretch // 4)
    stride = Choice(*parts.sizes.strides, name="encoder.stride")
    levels = Choice(*parts.sizes.levels, default=parts.most, name="encoder.levels")
    main = Shared("encoder", _pyramid(parts, "encoder", conv, widths, levels))
    stem = Shared("encoder", Steps(stem=_stem(base, stride, parts), position=_position()))
    single = stem >> main
    if inputs == 1:
        return Choose(single=single)
    return Each(first=single, second=single)


def _stem(width: Any, stride: Any, parts: Parts) -> Expression:
    return Choose(
        conv=ConvStem(channels=width, stride=stride, norm=parts.style.norm),
        patch=PatchStem(channels=width, patch=stride),
    )


def _position() -> Expression:
    return Choose(none=THROUGH, absolute=AbsolutePosition(), conv=ConvPosition())


def _stage(parts: Parts, path: str, scale: int, conv: Expression, name: str) -> Expression:
    slot = Slot(f"{path}.{name}", parts.style, parts.positions(scale))
    depth = Choice(*parts.sizes.depths, name=f"{path}.{name}.depth")
    return Steps(mixer=Repeat(Choose(**units(slot, conv)), times=depth, share="decisions"))


def _pyramid(parts: Parts, path: str, conv: Expression, widths: list[Any], levels: Any) -> Pyramid:
    norm = parts.style.norm
    kind = Choice("strided_conv", "patch_merge", "pool", name=f"{path}.downsample")
    downs = [
        Match(
            kind,
            {
                "strided_conv": StridedConv(channels=width, norm=norm),
                "patch_merge": PatchMerging(channels=width),
                "pool": PoolProjection(channels=width, norm=norm),
            },
        )
        for width in widths[1:]
    ]
    stages = [_stage(parts, path, scale, conv, f"stages.{scale}") for scale in range(parts.most)]
    bottom = _stage(parts, path, min(parts.sizes.levels), conv, "bottom")
    return Pyramid(stages=tuple(stages), downs=tuple(downs), bottom=bottom, levels=levels)


def _upsample(name: str) -> Expression:
    kind = Choice("interpolate", "pixel_shuffle", "transposed_conv", name=name)
    modes = {
        "interpolate": "linear",
        "pixel_shuffle": "pixel_shuffle",
        "transposed_conv": "transposed",
    }
    return Match(kind, {value: UpsampleTo(mode=mode) for value, mode in modes.items()})


def _decoder(parts: Parts) -> Expression:
    style, most = parts.style, parts.most
    conv = convolutions(style, "decoder")
    slot = Slot("decoder", style, parts.positions(0))
    block = Shared("decoder.mixer", Choose(**units(slot, conv)))
    up, align = _upsample("decoder.upsample"), UpsampleTo()
    gate = Shared(
        "decoder.gate",
        Choose(none=THROUGH, squeeze_excite=SqueezeGate(), context_modulation=ContextGate()),
    )
    heads = Choice(*style.heads, name="decoder.merge_heads")
    attend = Each(Pick(0), PoolTo()) >> CrossAttention(heads=heads, head_dim=style.head_dim)
    merges = {
        "concat": Concat(),
        "add": Add(),
        "cross_attention": Parallel(found=attend, skip=Pick(1), fuse=Concat()),
        "attention_merge": Gated(),
        "channel_gate": Parallel(Pick(0), Pick(1) >> SqueezeGate(), fuse=Concat()),
        "cross_gate": Gated(form="product", mutual=True) >> Concat(),
    }
    merge = Shared("decoder.merge", Choose(**merges)) >> gate
    skips: dict[str, Expression] = {
        "same_scale": THROUGH,
        "none": THROUGH,
        "sparse": THROUGH,
        "dense": Finer(align, Concat(), most + 1),
        "interscale": MultiScaleFusion(weighting=Choice("attention", "conv")),
        "nested": Nested(align, Concat() >> conv, most + 1),
    }

    def ladder(decode: Expression, names: tuple[str, ...], **options: Any) -> Ladder:
        return Ladder(
            up=(up,) * most,
            merge=(merge,) * most,
            decode=(decode,) * most,
            skips={name: skips[name] for name in names},
            reach=Choice(*names),
            only={"none": (), "sparse": (0,)},
            **options,
        )

    balance = Choice("symmetric", "encoder_heavy", "decoder_heavy", name="decoder.balance")
    depth = Choice(*parts.sizes.depths, name="decoder.depth")
    blocks = Repeat(block, times=depth, share="decisions")
    decode = Match(
        balance,
        {
            "symmetric": blocks,
            "encoder_heavy": THROUGH,
            "decoder_heavy": Steps(blocks=blocks, extra=block),
        },
    )
    every = ("same_scale", "none", "dense", "interscale", "nested")
    fuse = ToFinest(align, Concat() >> conv, most + 1)
    return Choose(
        ladder=ladder(decode, every, every=True) >> Choose(finest=THROUGH, fused=fuse),
        fusion=ladder(THROUGH, every, every=True) >> fuse,
        light=ladder(conv, ("sparse", "none"), jump=True),
    )


def _head(classes: int) -> Expression:
    return Choose(
        pixel=Pick(0) >> Recall("input") >> PixelHead(classes=classes, kernel=Choice(1, 3)),
    )


AXES: Mapping[str, Any] = {}
