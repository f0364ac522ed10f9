"""What attention ops share: fields, types, arguments, costs and slices of their projections into heads.

It knows no attention of its own. All are total in the number of heads: a head is ``head_dim`` wide, or by
default ``channels // heads`` and at least 1, so the heads together need not be as wide as the channels;
projections lead there and back. ``kv_heads`` of keys and values, at most ``heads``, are shared evenly
among the queries [Ainslie2023]: 1 is multi-query attention, ``None`` gives each query its own.

References:
    [Ainslie2023] J. Ainslie et al. GQA: training generalized multi-query transformer models. EMNLP 2023.
    [Su2021] J. Su et al. RoFormer: enhanced transformer with rotary position embedding. 2021.
    [Liu2021] Z. Liu et al. Swin Transformer: hierarchical vision transformer using shifted windows. 2021.
    [Wang2022] W. Wang et al. CrossFormer: a versatile vision transformer hinging on cross-scale attention.
        ICLR 2022.
    [Press2022] O. Press et al. Train short, test long: attention with linear biases. ICLR 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.graph.op import Index, Op, OpCost, expect
from nasplat.graph.types import Grid, Image, Presence, Series, TensorType, Tokens, Volume
from nasplat.ops import counts, layout, selection
from nasplat.ops.checks import known, positive, whole

Attended = Image | Series | Volume | Grid | Tokens
"""Types with channels at positions: what an attention reads."""
RELATIVE_BIASES = ("none", "table", "mlp", "alibi")
"""Biases by the offset of a key from a query: none, learned for each offset [Liu2021], a small network of
the offset [Wang2022], a fixed slope of the distance [Press2022]."""


def attended_of(op: Op, inputs: Sequence[TensorType]) -> Attended:
    """The only input, of any type with channels at positions.

    Raises:
        GraphTypeError: There are several inputs, or the one has no positions.
    """
    if len(inputs) == 1 and isinstance(inputs[0], Attended):
        return inputs[0]
    expect(False, op, "takes one Image, Series, Volume, Grid or Tokens", *inputs)
    raise AssertionError


def attended_and_presence(op: Op, inputs: Sequence[TensorType]) -> tuple[Attended, Presence | None]:
    """The first input as in :func:`attended_of`; a second says which of its positions are occupied.

    Raises:
        GraphTypeError: The inputs are others, or the presence has another length.
    """
    first = attended_of(op, inputs[:1])
    if len(inputs) == 1:
        return first, None
    second = inputs[1]
    length = layout.positions(first)
    if len(inputs) == 2 and isinstance(second, Presence) and second.length == length:
        return first, second
    expect(False, op, f"takes beside {first} at most a Presence({length})", *inputs)
    raise AssertionError


def relative_cost(
    form: str, heads: int, queries: Sequence[int], keys: Sequence[int], width: int
) -> OpCost:
    """A relative bias between ``queries`` and ``keys`` of each position axis."""
    offsets = math.prod(few + many - 1 for few, many in zip(queries, keys, strict=True))
    if form == "table":
        return counts.vector(heads * offsets)
    if form == "mlp":
        hidden = counts.pointwise(len(queries), width, offsets)
        return hidden + counts.pointwise(width, heads, offsets, bias=False)
    return OpCost()


@dataclass(frozen=True, kw_only=True)
class Headed(Op):
    """The fields and rules that attention ops with projections into heads share.

    Attributes:
        heads: Number of heads of the queries.
        kv_heads: Number of heads of keys and values, at most ``heads``; ``None``: as many.
        head_dim: Width of a head; ``None``: ``channels // heads``, at least 1.
        bias: Whether queries, keys and values have a bias.
        key_bias: Whether keys have one too, where the others do.
        out_bias: Whether the output has a bias.
    """

    heads: int = 4
    kv_heads: int | None = None
    head_dim: int | None = None
    bias: bool = True
    key_bias: bool = True
    out_bias: bool = True

    def check_heads(self, *inputs: TensorType) -> None:
        """Raise a :class:`~nasplat.errors.GraphTypeError` where a field of the heads is wrong."""
        whole(self, inputs, 1, heads=self.heads)
        if self.head_dim is not None:
            whole(self, inputs, 1, head_dim=self.head_dim)
        if self.kv_heads is not None:
            whole(self, inputs, 1, kv_heads=self.kv_heads)
            if self.kv_heads > self.heads:
                rule = f"needs at most as many kv_heads ({self.kv_heads}) as heads ({self.heads})"
                expect(False, self, rule, *inputs)

    def check_bias(self, form: str, width: int, *inputs: TensorType) -> None:
        """The same for a relative bias."""
        known(self, inputs, RELATIVE_BIASES, relative_bias=form)
        whole(self, inputs, 1, bias_width=width)

    def width(self, channels: int) -> int:
        """Width of one head."""
        return self.head_dim or max(1, channels // self.heads)

    def arguments(self, features: Attended) -> dict[str, object]:
        """What :class:`~nasplat.ops.modules.heads.HeadProjection` is made with."""
        channels = layout.channels(features)
        return {
            "channels": channels,
            "heads": self.heads,
            "kv_heads": self.kv_heads or self.heads,
            "head_dim": self.width(channels),
            "rank": layout.rank(features),
            "bias": self.bias,
            "key_bias": self.key_bias,
            "out_bias": self.out_bias,
        }

    def projections(
        self,
        channels: int,
        positions: int,
        context: int | None = None,
        others: int | None = None,
        outputs: int | None = None,
    ) -> OpCost:
        """Queries and output over ``positions``; keys and values over ``others``, the same by default."""
        width = self.width(channels)
        queries, keys = self.heads * width, (self.kv_heads or self.heads) * width
        context, others = context or channels, others or positions
        return (
            counts.pointwise(channels, queries, positions, self.bias)
            + counts.pointwise(context, keys, others, self.bias and self.key_bias)
            + counts.pointwise(context, keys, others, self.bias)
            + counts.pointwise(queries, outputs or channels, positions, self.out_bias)
        )

    def mixing(self, channels: int, queries: int, keys: int, groups: int = 1) -> OpCost:
        """Scores of ``queries`` with ``keys`` and the mixing of values, in each of ``groups``."""
        return counts.product(queries, self.width(channels), keys, 2 * self.heads * groups)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading channels of the leading heads; relative offsets about zero."""
        if not isinstance(larger, Headed):
            raise TypeError(f"{larger} is no attention op")
        if name.endswith("relative_bias.table"):
            return selection.centred(small, large, *range(1, len(small)))
        index = selection.leading(small)
        part, _, rest = name.partition(".")
        if part == "query":
            index[0] = selection.blocks(small[0], self.heads, large[0], larger.heads)
        elif part in ("key", "value"):
            few, many = self.kv_heads or self.heads, larger.kv_heads or larger.heads
            index[0] = selection.blocks(small[0], few, large[0], many)
        elif part == "out" and rest == "weight":
            index[1] = selection.blocks(small[1], self.heads, large[1], larger.heads)
        return tuple(index)


@dataclass(frozen=True, kw_only=True)
class Rotated(Headed):
    """Attention ops that may rotate queries and keys by position [Su2021].

    Attributes:
        rotary: Share of the channels of a head that are rotated, from 0 to 1: as many pairs of channels
            for each position axis as fit.
        rotary_base: Base of the wave lengths, above 0.
    """

    rotary: float = 0.0
    rotary_base: float = 10000.0

    def check_rotary(self, *inputs: TensorType) -> None:
        """Raise a :class:`~nasplat.errors.GraphTypeError` where a field of the rotation is wrong."""
        positive(self, inputs, rotary_base=self.rotary_base)
        rule = f"needs rotary to be from 0 to 1, got {self.rotary!r}"
        expect(0 <= self.rotary <= 1, self, rule, *inputs)

    def rotation(self, features: Attended) -> dict[str, object]:
        """What a module needs to know of the rotation."""
        step = 2 * len(layout.axes(features))
        rotated = int(self.rotary * self.width(layout.channels(features)) / step) * step
        return {"rotated": rotated, "rotary_base": self.rotary_base}
