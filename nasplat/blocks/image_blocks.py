"""Blocks in a row: a mixer and a feed-forward part each, and what runs along depth beside them."""

from __future__ import annotations

from typing import Any, Protocol

from nasplat.blocks.image_ffns import feed_forwards
from nasplat.blocks.image_mixers import mixers
from nasplat.blocks.image_settings import NOTHING, Stage
from nasplat.graph.op import Expression
from nasplat.ops.attention import CrossAttention, SelfAttention
from nasplat.ops.conv import Conv
from nasplat.ops.dense import PoolTo
from nasplat.ops.learned_tokens import LearnedTokens
from nasplat.ops.merge import Add, Concat, Split
from nasplat.ops.norm import LayerNorm, LayerScale
from nasplat.ops.resample import ImageToTokens
from nasplat.ops.selective import LayerMemory
from nasplat.ops.token_reduction import TokenMerge
from nasplat.space.decisions import Case, domain
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.wiring import Decided, Each, First, Parallel, Pick, Shared, Steps

SUMMARY = Steps(pool=PoolTo(most=4), tokens=ImageToTokens())
"""A map as a few tokens."""


def stage_of_blocks(
    stage: Stage, down: Expression | None = None, *, alike: bool = False
) -> Expression:
    """A step down, if any, and blocks in a row.

    Plain sums need nothing beside the blocks. A dense stage hands all outputs on, side by side, and narrows
    them at its end or that of every row; a partial stage runs on half the channels; a group adds what enters
    the stage to what a convolution makes of its end; cross-layer attention reads a summary of every earlier
    block; a layer memory is read and written by each; latents read the map, attend to each other and are
    written back.

    Args:
        stage: What the stage decides.
        down: What leads from the stage before to this one.
        alike: Whether a few blocks that decide for themselves are repeated with the same decisions, else
            every block decides for itself.
    """
    by = stage.network.by_residual
    both = Parallel(Pick(0), Pick(0))
    heads: dict[str, Any] = {"heads": 2, "head_dim": stage.domains.head_dims[0]}
    joined = Parallel(
        x=Pick(0),
        own=Steps(first=Pick(0), tokens=ImageToTokens()),
        earlier=Steps(second=Pick(1), scale=LayerScale()),
        fuse=CrossAttention(**heads),
    )
    read = Parallel(Pick(0), Steps(swap=Pick(1, 0), read=CrossAttention(**heads)))
    mix = Each(NOTHING, Residual(SelfAttention(**heads), norm=LayerNorm()))
    write = Parallel(CrossAttention(**heads), Pick(1))
    before = by(
        NOTHING,
        dense_concat=both,
        cross_layer_attention=Parallel(attend=joined, memory=Pick(1)),
        layer_memory=LayerMemory(),
    )
    merged = Steps(
        pool=PoolTo(most=64), tokens=ImageToTokens(), merge=TokenMerge(keep=stage.network.merged)
    )
    summary = Parallel(
        Pick(1), Steps(first=Pick(0), merge=merged), fuse=Concat(project=False, axis="sequence")
    )
    after = by(
        NOTHING,
        dense_concat=Each(grow=Conv(channels=stage.width // 4, kernel=1), rest=Pick(0))
        >> Concat(project=False),
        cross_layer_attention=Parallel(Pick(0), summary),
        latents=Steps(read=read, mix=mix, write=write),
    )
    row = Decided(
        Steps(
            before=before,
            mixer=First(mixers(stage)),
            ffn=First(feed_forwards(stage)),
            after=after,
        ),
        stage.block_always,
    )
    times = stage.period if alike else stage.depth
    rows: Expression = Repeat(row, times=times, common=stage.common)
    narrow = by(NOTHING, dense_concat=Conv(channels=stage.width, kernel=1, norm="batch"))
    if alike:
        row_and_end = Steps(row=Shared(f"stages.{stage.label}.blocks", rows), narrow=First(narrow))
        rows = Repeat(row_and_end, times=_rows(stage), share="decisions")
    enter = by(
        NOTHING,
        partial_stage=Split(parts=2),
        cross_layer_attention=Parallel(Pick(0), summary=merged),
        latents=Parallel(
            Pick(0), Steps(tokens=ImageToTokens(), latents=LearnedTokens(count=8, place="alone"))
        ),
        layer_memory=Parallel(Pick(0), summary=SUMMARY),
        residual_group=both,
    )
    leave = by(
        NOTHING,
        dense_concat=NOTHING if alike else narrow,
        partial_stage=Concat(channels=stage.width),
        cross_layer_attention=Pick(0),
        latents=Pick(0),
        layer_memory=Pick(0),
        residual_group=First(Conv(kernel=3)) >> Add(),
    )
    steps = {} if down is None else {"down": down}
    body = Steps(**steps, enter=enter, blocks=rows, leave=leave)
    return stage.quantised(Decided(body, stage.always))


def _rows(stage: Stage) -> Case:
    """How often a row of blocks is repeated: as is decided, or as the width says."""
    widths, depths = domain(stage.given_width), stage.domains.depths
    scaled = {width: depths[min(at, len(depths) - 1)] for at, width in enumerate(widths)}
    return Case(stage.depth_rule, {"free": stage.depth, "scaled": Case(stage.given_width, scaled)})


class Reduces(Protocol):
    """What shortens the tokens of a row of blocks."""

    def at(self, site: str) -> Expression:
        """What happens at a place: ``per_stage`` or ``inside_encoder``."""


def row_of_blocks(stage: Stage, reduction: Reduces | None = None) -> Expression:
    """A few blocks over tokens that decide for themselves, repeated with the same decisions.

    Args:
        stage: What the stage decides.
        reduction: What shortens the tokens, at the head of every row or inside every block.
    """
    inside = NOTHING if reduction is None else reduction.at("inside_encoder")
    first = NOTHING if reduction is None else reduction.at("per_stage")
    body = Steps(
        mixer=mixers(stage, plane=False), reduce=inside, ffn=feed_forwards(stage, plane=False)
    )
    row = Repeat(
        Decided(body, stage.block_always), times=stage.period, common=(*stage.common, inside)
    )
    rows = Repeat(Steps(reduce=first, blocks=row), times=stage.depth, share="decisions")
    return stage.quantised(Decided(rows, stage.always))
