"""Blocks in a row: a mixer and a feed-forward part each, and what runs along depth beside them."""

from __future__ import annotations

from nasplat.blocks.image_ffns import feed_forwards
from nasplat.blocks.image_mixers import mixers
from nasplat.blocks.image_settings import NOTHING, Stage
from nasplat.graph.op import Expression
from nasplat.ops.attention import CrossAttention
from nasplat.ops.conv import Conv
from nasplat.ops.dense import PoolTo
from nasplat.ops.merge import Add, Concat, Split
from nasplat.ops.resample import ImageToTokens
from nasplat.ops.selective import LayerMemory
from nasplat.space.repeat import Repeat
from nasplat.space.wiring import Decided, Each, First, Parallel, Pick, Steps

SUMMARY = Steps(pool=PoolTo(most=4), tokens=ImageToTokens())
"""A map as a few tokens."""


def stage_of_blocks(
    stage: Stage, down: Expression | None = None, *, alike: bool = False
) -> Expression:
    """A step down, if any, and blocks in a row.

    Plain sums need nothing beside the blocks. A dense stage hands all outputs on, side by side, and narrows
    them at its end; a partial stage runs on half the channels; a group adds what enters the stage to what a
    convolution makes of its end; cross-layer attention reads a summary of every earlier block; a layer
    memory is read and written by each.

    Args:
        stage: What the stage decides.
        down: What leads from the stage before to this one.
        alike: Whether a few blocks that decide for themselves are repeated with the same decisions, else
            every block decides for itself.
    """
    by = stage.network.by_residual
    both = Parallel(Pick(0), Pick(0))
    before = by(
        NOTHING,
        dense_concat=both,
        cross_layer_attention=Parallel(
            attend=CrossAttention(heads=2, head_dim=stage.domains.head_dims[0]), memory=Pick(1)
        ),
        layer_memory=LayerMemory(),
    )
    summary = Parallel(
        Pick(1),
        Steps(first=Pick(0), summary=SUMMARY),
        fuse=Concat(project=False, axis="sequence"),
    )
    after = by(
        NOTHING,
        dense_concat=Each(grow=Conv(channels=stage.width // 2, kernel=1), rest=Pick(0))
        >> Concat(project=False),
        cross_layer_attention=Parallel(Pick(0), summary),
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
    if alike:
        rows = Repeat(rows, times=stage.depth, share="decisions")
    enter = by(
        NOTHING,
        partial_stage=Split(parts=2),
        cross_layer_attention=Parallel(Pick(0), summary=SUMMARY),
        layer_memory=Parallel(Pick(0), summary=SUMMARY),
        residual_group=both,
    )
    leave = by(
        NOTHING,
        dense_concat=Conv(channels=stage.width, kernel=1, norm="batch"),
        partial_stage=Concat(channels=stage.width),
        cross_layer_attention=Pick(0),
        layer_memory=Pick(0),
        residual_group=First(Conv(kernel=3)) >> Add(),
    )
    steps = {} if down is None else {"down": down}
    body = Steps(**steps, enter=enter, blocks=rows, leave=leave)
    return stage.quantised(Decided(body, stage.always))
