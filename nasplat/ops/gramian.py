"""Classifier heads on the similarities of channels.

References:
    [Ryu2023] J. Ryu et al. Gramian attention heads are strong yet efficient vision learners. ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Call, Index, Op, OpCost
from nasplat.graph.types import Logits, TensorType
from nasplat.ops import counts, layout, selection
from nasplat.ops.checks import whole
from nasplat.ops.heads import attended_of
from nasplat.ops.modules import gramian as modules


@dataclass(frozen=True, kw_only=True)
class GramianHead(Op):
    """Several heads whose class tokens are made from Gram matrices; the mean of their logits [Ryu2023].

    In each head few channels are correlated over all positions; a map of the correlations is a class
    token, which attends to the positions. It takes an image, a series, a volume, a grid or tokens.

    Attributes:
        classes: Number of classes.
        heads: Number of heads.
        rank: Channels that are correlated.
        attention_heads: Heads of the attention within each head.
    """

    classes: int
    heads: int = 2
    rank: int = 8
    attention_heads: int = 4

    def infer(self, *inputs: TensorType) -> Logits:
        attended_of(self, inputs)
        whole(self, inputs, 1, classes=self.classes, heads=self.heads)
        whole(self, inputs, 1, rank=self.rank, attention_heads=self.attention_heads)
        return Logits(self.classes)

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        arguments: dict[str, Any] = {
            "branches": self.heads,
            "channels_last": layout.rank(features) == 0,
            "channels": layout.channels(features),
            "classes": self.classes,
            "rank": self.rank,
            "heads": self.attention_heads,
        }
        return Call(modules.GramianHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, positions = layout.channels(features), layout.positions(features)
        inner = self.attention_heads * max(1, channels // self.attention_heads)
        once = (
            counts.pointwise(channels, self.rank, positions)
            + counts.product(self.rank, positions, self.rank)
            + counts.pointwise(self.rank**2, channels, 1)
            + counts.pointwise(channels, inner, 1)
            + counts.pointwise(channels, inner, positions)
            + counts.pointwise(channels, inner, positions)
            + counts.product(1, inner, positions, 2)
            + counts.pointwise(inner, channels, 1)
            + counts.norm("layer", channels)
            + counts.pointwise(channels, self.classes, 1)
        )
        return sum([once] * self.heads, OpCost())

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading channels of the leading heads; products of the leading channels."""
        if not isinstance(larger, GramianHead):
            raise TypeError(f"{larger} is no Gramian head")
        index = selection.leading(small)
        part = ".".join(name.split(".")[2:])
        few, many = self.attention_heads, larger.attention_heads
        if part.partition(".")[0] in ("query", "key", "value"):
            index[0] = selection.blocks(small[0], few, large[0], many)
        elif part == "out.weight":
            index[1] = selection.blocks(small[1], few, large[1], many)
        elif part == "token.weight":
            index[1] = selection.blocks(small[1], self.rank, large[1], larger.rank)
        return tuple(index)
