"""Attention between several inputs, or from a few tokens to all.

:class:`~nasplat.ops.attention.CrossAttention` is the plain form.

References:
    [Touvron2021] H. Touvron et al. Going deeper with image transformers. ICCV 2021.
    [ElNouby2021] A. El-Nouby et al. XCiT: cross-covariance image transformers. NeurIPS 2021.
    [Esser2024] P. Esser et al. Scaling rectified flow transformers for high-resolution image synthesis.
        ICML 2024.
    [Zhang2023] H. Zhang et al. FcaFormer: forward cross attention in hybrid vision transformer. ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts, layout
from nasplat.ops.attention import HEAD_NORMS
from nasplat.ops.checks import known, whole
from nasplat.ops.heads import Attended, Headed, attended_of
from nasplat.ops.modules import attention_cross as modules


@dataclass(frozen=True, kw_only=True)
class ClassAttention(Headed):
    """The first tokens attend to all tokens, and they alone go out [Touvron2021, ElNouby2021].

    Attributes:
        count: How many of the first tokens, at most all.
    """

    count: int = 1

    def infer(self, *inputs: TensorType) -> Tokens:
        tokens = attended_of(self, inputs)
        if not isinstance(tokens, Tokens):
            expect(False, self, "takes one Tokens", *inputs)
            raise AssertionError
        self.check_heads(*inputs)
        whole(self, inputs, 1, count=self.count)
        rule = f"needs count to be at most the {tokens.length} tokens, got {self.count}"
        expect(self.count <= tokens.length, self, rule, *inputs)
        return Tokens(self.count, tokens.dim)

    def call(self, *inputs: TensorType) -> Call:
        arguments = self.arguments(attended_of(self, inputs))
        return Call(modules.ClassAttention, arguments | {"count": self.count})

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens = attended_of(self, inputs)
        channels, positions = layout.channels(tokens), layout.positions(tokens)
        total = self.projections(channels, self.count, others=positions)
        return total + self.mixing(channels, self.count, positions)


@dataclass(frozen=True, kw_only=True)
class JointAttention(Headed):
    """Two inputs attend to the positions of both; each keeps its layout and channels [Esser2024].

    A head is ``head_dim`` wide, or by default as wide as the channels of the first input make it.

    Attributes:
        private_projections: Whether each input has projections of its own; shared ones need both to have
            the same channels and kind.
        mask: ``none``, or ``one_way``: the second input sees itself only.
        qk_norm: ``none``, ``rms`` or ``layer``: of queries and keys within each head.
    """

    private_projections: bool = True
    mask: str = "none"
    qk_norm: str = "none"

    def _inputs(self, inputs: Sequence[TensorType]) -> tuple[Attended, Attended]:
        taken = [item for item in inputs if isinstance(item, Attended)]
        rule = "takes two inputs, each Image, Series, Volume, Grid or Tokens"
        expect(len(taken) == len(inputs) == 2, self, rule, *inputs)
        kinds = {(layout.rank(item), layout.channels(item)) for item in taken}
        rule = "with shared projections needs inputs of one kind with the same channels"
        expect(self.private_projections or len(kinds) == 1, self, rule, *inputs)
        return taken[0], taken[1]

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        pair = self._inputs(inputs)
        self.check_heads(*inputs)
        known(self, inputs, ("none", "one_way"), mask=self.mask)
        known(self, inputs, HEAD_NORMS, qk_norm=self.qk_norm)
        return pair

    def call(self, *inputs: TensorType) -> Call:
        first, second = self._inputs(inputs)
        own = self.arguments(first)
        other: dict[str, Any] | None = None
        if self.private_projections:
            other = self.arguments(second) | {"head_dim": own["head_dim"]}
        arguments: dict[str, Any] = {
            "first": own,
            "second": other,
            "one_way": self.mask == "one_way",
            "qk_norm": self.qk_norm,
        }
        return Call(modules.JointAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        first, second = self._inputs(inputs)
        channels, width = layout.channels(first), self.width(layout.channels(first))
        own, other = layout.positions(first), layout.positions(second)
        norm = {"none": 0, "rms": 2, "layer": 4}[self.qk_norm] * width
        total = self.projections(channels, own) + counts.vector(norm)
        if self.private_projections:
            total += self._private(layout.channels(second), other, width)
        else:
            total += OpCost(macs=self.projections(channels, other).macs)
        if self.mask == "one_way":
            total += self.mixing(channels, other, other)
            return total + self.mixing(channels, own, own + other)
        return total + self.mixing(channels, own + other, own + other)

    def _private(self, channels: int, positions: int, width: int) -> OpCost:
        """The projections of the second input to heads as wide as the first's."""
        queries, keys = self.heads * width, (self.kv_heads or self.heads) * width
        return (
            counts.pointwise(channels, queries, positions, self.bias)
            + counts.pointwise(channels, keys, positions, self.bias and self.key_bias)
            + counts.pointwise(channels, keys, positions, self.bias)
            + counts.pointwise(queries, channels, positions, self.out_bias)
        )

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        part, _, rest = name.partition(".")
        return super().select(rest if part in ("first", "second") else name, small, large, larger)


@dataclass(frozen=True, kw_only=True)
class CrossLayerAttention(Headed):
    """Positions attend to each other and to those of earlier maps [Zhang2023].

    The first input is the map itself, the others are earlier ones of the same kind and channels; keys and
    values of all come from the same projections, after each earlier map is scaled by channel.
    """

    def _inputs(self, inputs: Sequence[TensorType]) -> list[Attended]:
        taken = [item for item in inputs if isinstance(item, Attended)]
        rule = "takes two or more inputs, each Image, Series, Volume, Grid or Tokens"
        expect(len(taken) == len(inputs) > 1, self, rule, *inputs)
        kinds = {(layout.rank(item), layout.channels(item)) for item in taken}
        rule = "needs all inputs to be of one kind with the same channels"
        expect(len(kinds) == 1, self, rule, *inputs)
        return taken

    def infer(self, *inputs: TensorType) -> TensorType:
        first = self._inputs(inputs)[0]
        self.check_heads(*inputs)
        return first

    def call(self, *inputs: TensorType) -> Call:
        first, *others = self._inputs(inputs)
        return Call(modules.CrossLayerAttention, self.arguments(first) | {"sources": len(others)})

    def cost(self, *inputs: TensorType) -> OpCost:
        first, *others = self._inputs(inputs)
        channels, positions = layout.channels(first), layout.positions(first)
        found = positions + sum(layout.positions(other) for other in others)
        return (
            self.projections(channels, positions, others=found)
            + self.mixing(channels, positions, found)
            + counts.vector(len(others) * channels)
        )
