"""Queries look at a few places of maps, which they choose.

References:
    [Zhu2021] X. Zhu et al. Deformable DETR: deformable transformers for end-to-end object detection.
        ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import Image, TensorType, Tokens
from nasplat.ops import counts, selection
from nasplat.ops.checks import whole
from nasplat.ops.modules import attention_deformable as modules


@dataclass(frozen=True, kw_only=True)
class DeformableAttention(Op):
    """Values between the positions of maps, read at learned offsets from a place of each query [Zhu2021].

    Inputs are ``Tokens(Q, D)`` and one or more images of the same channels; the output is
    ``Tokens(Q, D)``. The place itself is a learned map of the query.

    Attributes:
        points: Places that a head reads in each map.
        heads: Number of heads.
        head_dim: Width of a head; ``None``: the channels of the queries divided by the heads, at least 1.
    """

    points: int = 4
    heads: int = 4
    head_dim: int | None = None

    def _inputs(self, inputs: Sequence[TensorType]) -> tuple[Tokens, list[Image]]:
        maps = [item for item in inputs[1:] if isinstance(item, Image)]
        first = inputs[0] if inputs else None
        same = len({item.channels for item in maps}) == 1
        if isinstance(first, Tokens) and len(maps) == len(inputs) - 1 and same:
            return first, maps
        expect(False, self, "takes Tokens and one or more Images of the same channels", *inputs)
        raise AssertionError

    def _width(self, queries: Tokens) -> int:
        return self.head_dim or max(1, queries.dim // self.heads)

    def infer(self, *inputs: TensorType) -> Tokens:
        queries, _ = self._inputs(inputs)
        whole(self, inputs, 1, points=self.points, heads=self.heads)
        if self.head_dim is not None:
            whole(self, inputs, 1, head_dim=self.head_dim)
        return queries

    def call(self, *inputs: TensorType) -> Call:
        queries, maps = self._inputs(inputs)
        arguments: dict[str, Any] = {
            "dim": queries.dim,
            "channels": maps[0].channels,
            "levels": len(maps),
            "heads": self.heads,
            "head_dim": self._width(queries),
            "points": self.points,
        }
        return Call(modules.DeformableAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        queries, maps = self._inputs(inputs)
        inner, dim = self.heads * self._width(queries), queries.dim
        places = self.heads * len(maps) * self.points
        positions = sum(item.height * item.width for item in maps)
        return (
            counts.pointwise(dim, 2, queries.length)
            + counts.pointwise(dim, 2 * places, queries.length)
            + counts.pointwise(dim, places, queries.length)
            + counts.pointwise(maps[0].channels, inner, positions)
            + counts.pointwise(inner, dim, queries.length)
        )

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading channels, and the leading points, of the leading heads."""
        if not isinstance(larger, DeformableAttention):
            raise TypeError(f"{larger} reads no places of maps")
        index = selection.leading(small)
        part, _, rest = name.partition(".")
        if part in ("offset", "weight", "value"):
            index[0] = selection.blocks(small[0], self.heads, large[0], larger.heads)
        elif part == "out" and rest == "weight":
            index[1] = selection.blocks(small[1], self.heads, large[1], larger.heads)
        return tuple(index)
