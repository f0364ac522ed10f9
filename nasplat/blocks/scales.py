"""What the encoder and the decoder of one network share: sizes, widths, depths and the style of units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nasplat.blocks.stages import Slot, Style, convolutions
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Volume
from nasplat.space.decisions import Choice


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
        queries: Number of queries that draw masks, and their channels.
    """

    strides: tuple[int, ...]
    levels: tuple[int, ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...] = (2, 4)
    head_dim: int | None = None
    queries: tuple[int, int] = (16, 32)

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
            tuple(range(1, 3 + (deepest - 1) // 2)),
        )


@dataclass(frozen=True)
class Parts:
    """What the parts of one space share.

    Attributes:
        sizes: Domains.
        style: Decisions of all units.
        side: Least positions along an axis of the input.
        divides: Whether every scale has half the positions of the one before along every axis.
        conv: The convolution of the encoder.
        widths: Channels of every scale.
        depths: Units at every scale but the coarsest.
        balance: Whether encoder and decoder have equally many units.
    """

    sizes: Sizes
    style: Style
    side: int
    divides: bool
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
            conv_axes=Choice("volumetric", "planar", name="conv_axes"),
        )
        base = Choice(*sizes.widths, default=sizes.widths[1], name="widths.base")
        scales = range(1, max(sizes.levels) + 1)
        stretches = [Choice(3, 4, 5, 6, default=4, name=f"widths.stretch.{at}") for at in scales]
        widths = [
            (base * (1 << at)) * stretch // 4 for at, stretch in zip(scales, stretches, strict=True)
        ]
        names = [f"encoder.stages.outer_{at - 1}.depth" for at in scales]
        return cls(
            sizes,
            style,
            min(item.sizes[1:]),
            all(axis % (sizes.strides[-1] << max(sizes.levels)) == 0 for axis in item.sizes[1:]),
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
