"""Encoders of several scales: one pyramid of stages, or two that meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nasplat.blocks.pyramid import PerScale, Pyramid
from nasplat.blocks.scales import Parts
from nasplat.blocks.stages import MOST_POSITIONS, THROUGH, Slot, Units, units
from nasplat.graph.op import Expression
from nasplat.graph.types import TensorType
from nasplat.ops.attention import CrossAttention, SelfAttention
from nasplat.ops.attention_edges import AttentionScores
from nasplat.ops.conv import Conv
from nasplat.ops.dense import DepthGate, MultiScaleFusion, PoolTo, ScoresToMap, UpsampleTo
from nasplat.ops.merge import Add, Concat, Gated
from nasplat.ops.norm import LayerNorm
from nasplat.ops.patch import ConvStem, PatchStem
from nasplat.ops.position import AbsolutePosition, ConvPosition
from nasplat.ops.resample import ImageToTokens, PatchMerging, PoolProjection, StridedConv
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.frozen import Frozen
from nasplat.space.residual import Residual
from nasplat.space.wiring import Each, Parallel, Pick, Recall, Shared, Steps, Tied


def encoder(parts: Parts, inputs: tuple[TensorType, ...]) -> Expression:
    """One pyramid of stages, or two that meet: on one input or on two."""
    base, levels = parts.widths[0], parts.sizes.levels
    stride = Choice(*parts.sizes.strides, name="encoder.stride")
    number = Choice(*levels, default=parts.most, name="encoder.levels")
    stages = tuple(
        _stage(parts, parts.slot(f"encoder.stages.outer_{at}", at, at), parts.depths[at])
        for at in range(parts.most)
    )
    depth = Choice(*parts.sizes.depths, name="encoder.stages.bottom.depth")
    bottom = _stage(
        parts, parts.slot("encoder.stages.bottom", min(levels), parts.most), depth, gate=True
    )
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
        maps = _attention_maps(parts, base)
        larger = Steps(stem=PatchStem(channels=base, patch=stride * 2))
        contrasts: dict[str, Expression] = {
            "operator": Parallel(first=stem, second=own),
            "attention_maps": Parallel(first=stem, second=maps >> own),
            "patch_size": Parallel(first=stem, second=larger),
        }
        stems = Match(Choice(*contrasts, name="encoder.contrast"), contrasts)
        return Choose(single=Steps(stem=stem, pyramid=first), dual=Steps(stems=stems, meet=met))
    tied = Tied(
        "encoder", Steps(stem=_stem(parts, base, stride), position=_position(), pyramid=first.body)
    )
    views: dict[str, Expression] = {"modality": Steps(stems=Each(first=stem, second=own), meet=met)}
    if len(set(inputs)) == 1:
        each = {"multi_scale": PerScale((fuse,) * parts.most, 2, fuse), "late": late}
        sides = Each(first=tied, second=tied)
        fused = Match(Choice(*each, name="encoder.view_stage"), each)
        views = {"view": Steps(pyramids=sides, fuse=fused), **views}
    return Match(Choice(*views, name="encoder.contrast"), views)


def _attention_maps(parts: Parts, width: Any) -> Expression:
    """The image as maps of where a frozen transformer looks [DIAMANT]."""
    heads: dict[str, Any] = {"heads": 4, "head_dim": 8}
    embed = PatchStem(channels=width, patch=parts.sizes.strides[-1] * 2)
    embedded = Steps(patches=embed, reduced=PoolTo(most=MOST_POSITIONS))
    block = Residual(SelfAttention(**heads), norm=LayerNorm())
    looks = Steps(tokens=ImageToTokens(), scores=AttentionScores(**heads))
    return Frozen(
        Steps(
            embed=embedded,
            block=block,
            maps=Parallel(scores=looks, like=Pick(0), fuse=ScoresToMap()),
            size=Recall("input") >> UpsampleTo(channels=4),
        )
    )


def _stem(parts: Parts, width: Any, stride: Any) -> Expression:
    norm = parts.style.norm
    stem: Expression = ConvStem(channels=width, stride=stride, norm=norm)
    if parts.style.rank == 3:
        kinds: dict[str, Any] = {"volumetric": 3, "planar": (1, 3, 3)}
        convs = {
            name: Conv(kernel=kernel, norm=norm, activation="relu")
            for name, kernel in kinds.items()
        }
        stem = Steps(reduce=stem, conv=Match(parts.style.conv_axes, convs))
    return Choose(
        conv=stem,
        patch=PatchStem(channels=width, patch=stride),
    )


def _position() -> Expression:
    return Choose(none=THROUGH, absolute=AbsolutePosition(), conv=ConvPosition())


def _stage(parts: Parts, slot: Slot, depth: Any, gate: bool = False) -> Expression:
    """Units that look alike, one more of them where the encoder is the heavier half."""
    block = Shared(f"{slot.path}.mixer", Choose(**units(slot, parts.conv)))
    chain = Units(block, depth, parts.balance, "encoder_heavy")
    if not gate:
        return Steps(units=chain)
    ways: dict[str, Expression] = {
        "none": Steps(units=chain),
        "per_sample_gate": Steps(units=replace(chain, exits=DepthGate())),
    }
    return Match(Choice(*ways, name=f"{slot.path}.early_exit"), ways)


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
