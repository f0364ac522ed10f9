"""Attention of queries, keys and values that other nodes have projected.

Where the projections are linear maps of a special kind, or read different inputs, they are nodes of their
own; :class:`~nasplat.ops.attention.SelfAttention` is this with dense projections of one input.

References:
    [Vaswani2017] A. Vaswani et al. Attention is all you need. NeurIPS 2017.
    [Ainslie2023] J. Ainslie et al. GQA: training generalized multi-query transformer models. EMNLP 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.attention import MASKS
from nasplat.ops.checks import known, positive, whole
from nasplat.ops.heads import RELATIVE_BIASES
from nasplat.ops.modules import projected as modules


@dataclass(frozen=True, kw_only=True)
class ProjectedAttention(Op):
    """Values mixed by the scores of queries with keys, all three of them inputs [Vaswani2017].

    Attributes:
        heads: Heads of the queries; they divide the channels of the first input.
        kv_heads: Heads of keys and values [Ainslie2023]; ``None``: as many.
        mask: As in :class:`~nasplat.ops.attention.SelfAttention`, but ``soft_causal``; and like there:
        prefix: Positions of the prefix of masks that have one.
        segment: Positions of a segment of masks that have them.
        rotary: Share of the channels of a head that are rotated by position, from 0 to 1.
        rotary_base: Base of the wave lengths of the rotation, above 0.
        relative_bias: ``none``, ``table``, ``mlp`` or ``alibi``.
    """

    heads: int = 4
    kv_heads: int | None = None
    mask: str = "none"
    prefix: int = 0
    segment: int = 1
    rotary: float = 0.0
    rotary_base: float = 10000.0
    relative_bias: str = "none"

    def _tokens(self, inputs: Sequence[TensorType]) -> tuple[Tokens, int]:
        """The queries, and the width of a head."""
        taken = [item for item in inputs if isinstance(item, Tokens)]
        expect(len(taken) == len(inputs) == 3, self, "takes three Tokens", *inputs)
        query, key, value = taken
        whole(self, inputs, 1, heads=self.heads)
        if self.kv_heads is not None:
            whole(self, inputs, 1, kv_heads=self.kv_heads)
        kv_heads, width = self.kv_heads or self.heads, query.dim // self.heads
        expect(kv_heads <= self.heads, self, "needs at most as many kv_heads as heads", *inputs)
        rule = "needs channels of queries, keys and values to be heads of one width"
        widths = query.dim == self.heads * width and key.dim == kv_heads * width > 0
        expect(widths and key == value, self, rule, *inputs)
        expect(key.length == query.length, self, "needs inputs of one length", *inputs)
        return query, width

    def infer(self, *inputs: TensorType) -> Tokens:
        query, _ = self._tokens(inputs)
        known(self, inputs, tuple(form for form in MASKS if form != "soft_causal"), mask=self.mask)
        known(self, inputs, RELATIVE_BIASES, relative_bias=self.relative_bias)
        whole(self, inputs, 0, prefix=self.prefix)
        whole(self, inputs, 1, segment=self.segment)
        positive(self, inputs, rotary_base=self.rotary_base)
        expect(0 <= self.rotary <= 1, self, "needs rotary to be from 0 to 1", *inputs)
        return query

    def call(self, *inputs: TensorType) -> Call:
        query, width = self._tokens(inputs)
        arguments = {
            "heads": self.heads,
            "kv_heads": self.kv_heads or self.heads,
            "length": query.length,
            "mask": self.mask,
            "prefix": self.prefix,
            "segment": self.segment,
            "rotated": int(self.rotary * width / 2) * 2,
            "rotary_base": self.rotary_base,
            "relative_bias": self.relative_bias,
        }
        return Call(modules.ProjectedAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        query, width = self._tokens(inputs)
        length = query.length
        mixing = counts.product(length, width, length, 2 * self.heads)
        offsets = 2 * length - 1
        if self.relative_bias == "table":
            return mixing + counts.vector(self.heads * offsets)
        if self.relative_bias == "mlp":
            hidden = counts.pointwise(1, 64, offsets)
            return mixing + hidden + counts.pointwise(64, self.heads, offsets, bias=False)
        return mixing
