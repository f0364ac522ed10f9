"""Encoder-decoder networks that answer at every position of an image or a volume."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nasplat.blocks.pyramid import Finer, Ladder, Nested, PerScale, Pyramid, ToFinest
from nasplat.blocks.stages import THROUGH, Slot, Style, Units, convolutions, units
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, TensorType, Volume, show_types
from nasplat.ops.attention import CrossAttention
from nasplat.ops.conv import SqueezeGate
from nasplat.ops.conv_multi import MultiDilationConv
from nasplat.ops.dense import ContextGate, MultiScaleFusion, PixelHead, PoolTo, UpsampleTo
from nasplat.ops.merge import Add, Concat, Gated
from nasplat.ops.patch import ConvStem, PatchStem
from nasplat.ops.position import AbsolutePosition, ConvPosition
from nasplat.ops.resample import PatchMerging, PoolProjection, StridedConv
from nasplat.ops.warp import SpatialTransformer
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.frozen import Frozen
from nasplat.space.load import Typed, Types
from nasplat.space.skips import Paired
from nasplat.space.space import Space
from nasplat.space.wiring import Decided, Each, Parallel, Pick, Recall, Shared, Steps, Tap, Tied

EXAMPLES: Mapping[str, Types] = {
    "image": Types({"image": Image(1, 32, 32)}, {"pixels": Image(4, 32, 32)}),
    "volume": Types({"volume": Volume(1, 16, 16, 16)}, {"voxels": Volume(3, 16, 16, 16)}),
    "reference": Types(
        {"image": Image(3, 32, 32), "reference": Image(3, 32, 32)}, {"pixels": Image(3, 32, 32)}
    ),
}
SMALLEST = 8
"""Least side of an image or volume."""


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
        """The rule: at least 4 positions a side at the coarsest scale, channels as the root of the side."""
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
    """What the parts of one space share.

    Attributes:
        sizes: Domains.
        style: Decisions of all units.
        side: Least positions along an axis of the input.
        conv: The convolution of the encoder.
        widths: Channels of every scale.
        depths: Units at every scale but the coarsest.
        balance: Whether encoder and decoder have equally many units.
    """

    sizes: Sizes
    style: Style
    side: int
    conv: Expression
    widths: tuple[Any, ...]
    depths: tuple[Any, ...]
    balance: Any

    @classmethod
    def of(cls, item: Image | Volume, sizes: Sizes) -> Parts:
        """The parts for maps of the size of the input."""
        style = Style(
            rank=len(item.sizes) - 1,
            norm=Choice("batch", "instance", "layer", name="norm"),
            residual=Choice("plain", "none", name="residual"),
            heads=sizes.heads,
            head_dim=sizes.head_dim,
        )
        base = Choice(*sizes.widths, default=sizes.widths[1], name="widths.base")
        scales = range(1, max(sizes.levels) + 1)
        stretches = [Choice(3, 4, 5, 6, default=4, name=f"widths.stretch.{at}") for at in scales]
        widths = [
            (base * (1 << at)) * stretch // 4 for at, stretch in zip(scales, stretches, strict=True)
        ]
        names = [f"encoder.stages.{at - 1}.depth" for at in scales]
        return cls(
            sizes,
            style,
            min(item.sizes[1:]),
            convolutions(style, "encoder"),
            (base, *widths),
            tuple(Choice(*sizes.depths, name=name) for name in names),
            Choice("symmetric", "encoder_heavy", "decoder_heavy", name="balance"),
        )

    @property
    def most(self) -> int:
        """Most scales above the coarsest."""
        return max(self.sizes.levels)

    def slot(self, path: str, fine: int, coarse: int) -> Slot:
        """A place for units on maps from one scale to another."""
        strides = self.sizes.strides
        side = math.ceil(self.side / (strides[0] << fine))
        least = math.ceil(self.side / (strides[-1] << coarse))
        return Slot(path, self.style, side**self.style.rank, least)


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
    parts = Parts.of(first, sizes or Sizes.of(first))
    whole: Expression = Steps(
        encoder=_encoder(parts, inputs), decoder=_decoder(parts), head=_head(outputs[0].sizes[0])
    )
    if parts.style.rank == 2 and len(inputs) == 1:
        grid = Choice(*SpatialTransformer.GRIDS, name="warp")
        there, back = SpatialTransformer(grid=grid), SpatialTransformer(grid=grid, inverse=True)
        whole = Paired(there, whole, back, present=Choice(False, True, name="warped"))
    shared = (*parts.widths, *parts.depths, parts.style.norm, parts.style.residual, parts.balance)
    body = Tap("input", head=Pick(0), output=False) >> Decided(whole, shared)
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


def _encoder(parts: Parts, inputs: tuple[TensorType, ...]) -> Expression:
    """One pyramid of stages, or two that meet: on one input or on two."""
    base, levels = parts.widths[0], parts.sizes.levels
    stride = Choice(*parts.sizes.strides, name="encoder.stride")
    number = Choice(*levels, default=parts.most, name="encoder.levels")
    stages = tuple(
        _stage(parts, parts.slot(f"encoder.stages.{at}", at, at), parts.depths[at])
        for at in range(parts.most)
    )
    depth = Choice(*parts.sizes.depths, name="encoder.bottom.depth")
    bottom = _stage(parts, parts.slot("encoder.bottom", min(levels), parts.most), depth)
    first = Shared("encoder", _pyramid(parts, stages, bottom, number))
    depth = Choice(*parts.sizes.depths, name="encoder.second.depth")
    other = _stage(parts, parts.slot("encoder.second", 0, parts.most + 1), depth)
    alike = Shared("encoder.second", other)
    frozen = Choice(False, True, name="encoder.second.frozen")
    second = Frozen(_pyramid(parts, (alike,) * parts.most, alike, number), frozen)
    stem = Shared("encoder", Steps(stem=_stem(parts, base, stride), position=_position()))
    fuse = _fuse(parts)
    late = PerScale((Pick(0),) * parts.most, 2, fuse)
    meet: dict[str, Expression] = {
        "multi_scale": Steps(
            pyramids=Each(first=first, second=second), fuse=PerScale((fuse,) * parts.most, 2, fuse)
        ),
        "late": Steps(pyramids=Each(first=first, second=second), fuse=late),
        "early": Steps(fuse=fuse, pyramid=first),
    }
    met = Match(Choice(*meet, name="encoder.fusion_stage"), meet)
    own = Steps(stem=_stem(parts, base, stride), position=_position())
    if len(inputs) == 1:
        larger = Steps(stem=PatchStem(channels=base, patch=stride * 2))
        contrasts: dict[str, Expression] = {
            "operator": Parallel(first=stem, second=own),
            "patch_size": Parallel(first=stem, second=larger),
        }
        stems = Match(Choice(*contrasts, name="encoder.contrast"), contrasts)
        return Choose(single=Steps(stem=stem, pyramid=first), dual=Steps(stems=stems, meet=met))
    tied = Tied(
        "encoder", Steps(stem=_stem(parts, base, stride), position=_position(), pyramid=first.body)
    )
    views: dict[str, Expression] = {"modality": Steps(stems=Each(first=stem, second=own), meet=met)}
    if len(set(inputs)) == 1:
        each = {
            "multi_scale": PerScale((fuse,) * parts.most, 2, fuse),
            "late": late,
        }
        sides = Each(first=tied, second=tied)
        fused = Match(Choice(*each, name="encoder.view_fusion"), each)
        views = {"view": Steps(pyramids=sides, fuse=fused), **views}
    return Match(Choice(*views, name="encoder.contrast"), views)


def _stem(parts: Parts, width: Any, stride: Any) -> Expression:
    return Choose(
        conv=ConvStem(channels=width, stride=stride, norm=parts.style.norm),
        patch=PatchStem(channels=width, patch=stride),
    )


def _position() -> Expression:
    return Choose(none=THROUGH, absolute=AbsolutePosition(), conv=ConvPosition())


def _stage(parts: Parts, slot: Slot, depth: Any) -> Expression:
    """Units that look alike, one more of them where the encoder is the heavier half."""
    block = Shared(f"{slot.path}.mixer", Choose(**units(slot, parts.conv)))
    return Steps(units=Units(block, depth, parts.balance, "encoder_heavy"))


def _pyramid(
    parts: Parts, stages: tuple[Expression, ...], bottom: Expression, levels: Any
) -> Pyramid:
    norm = parts.style.norm
    kind = Choice("strided_conv", "patch_merge", "pool", name="encoder.downsample")
    downs = [
        Match(
            kind,
            {
                "strided_conv": StridedConv(channels=width, norm=norm),
                "patch_merge": PatchMerging(channels=width),
                "pool": PoolProjection(channels=width, norm=norm),
            },
        )
        for width in parts.widths[1:]
    ]
    return Pyramid(stages=stages, downs=tuple(downs), bottom=bottom, levels=levels)


def _fuse(parts: Parts) -> Expression:
    """Two maps of one scale, the second on a grid that may be coarser, become one."""
    heads = Choice(*parts.style.heads, name="encoder.fusion_heads")
    head = {"heads": heads, "head_dim": parts.style.head_dim}
    ways: dict[str, Expression] = {
        "concat": Concat(),
        "sum": Add(),
        "gated": Gated(),
        "cross_attention": Each(Pick(0), PoolTo()) >> CrossAttention(**head),
        "attention_over_union": MultiScaleFusion(**head) >> Concat(),
    }
    fusion = Match(Choice(*ways, name="encoder.fusion"), ways)
    return Steps(align=Parallel(Pick(0), Pick(1, 0) >> UpsampleTo()), join=fusion)


def _upsample(name: str) -> Expression:
    kind = Choice("interpolate", "pixel_shuffle", "transposed_conv", name=name)
    modes = {
        "interpolate": "linear",
        "pixel_shuffle": "pixel_shuffle",
        "transposed_conv": "transposed",
    }
    return Match(kind, {value: UpsampleTo(mode=mode) for value, mode in modes.items()})


def _decoder(parts: Parts) -> Expression:
    """From all scales to the finest: over a ladder, by fusing all, or in one light step."""
    style, most = parts.style, parts.most
    conv = convolutions(style, "decoder")
    slot = parts.slot("decoder", 0, most - 1)
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
        "cross_scale": Finer(align, Concat(), most + 1, reach=1),
        "interscale": MultiScaleFusion(weighting=Choice("attention", "conv")),
        "nested": Nested(align, Concat() >> conv, most + 1),
    }

    def ladder(
        form: str, decode: tuple[Expression, ...], names: tuple[str, ...], **options: Any
    ) -> Ladder:
        return Ladder(
            up=(up,) * most,
            merge=(merge,) * most,
            decode=decode,
            skips={name: skips[name] for name in names},
            reach=Choice(*names, name=f"decoder.{form}.skips"),
            only={"none": (), "sparse": (0,)},
            **options,
        )

    decode = tuple(
        Steps(units=Units(block, depth, parts.balance, "decoder_heavy")) for depth in parts.depths
    )
    dilated = MultiDilationConv(rates=(2, 4, 6), separable=Choice(False, True))
    context = Choose(dilated_pyramid=PerScale((), bottom=dilated), none=THROUGH)
    every = ("same_scale", "none", "dense", "cross_scale", "interscale", "nested")
    fuse = ToFinest(align, Concat() >> conv, most + 1)
    nothing, light = (THROUGH,) * most, (conv,) * most
    return Choose(
        ladder=Steps(
            rungs=ladder("ladder", decode, every, every=True),
            outputs=Choose(finest=THROUGH, fused=fuse),
        ),
        fusion=Steps(rungs=ladder("fusion", nothing, every, every=True), fuse=fuse),
        light=Steps(context=context, rungs=ladder("light", light, ("sparse", "none"), jump=True)),
    )


def _head(classes: int) -> Expression:
    return Choose(
        pixel=Pick(0) >> Recall("input") >> PixelHead(classes=classes, kernel=Choice(1, 3)),
    )


AXES: Mapping[str, Any] = {}
