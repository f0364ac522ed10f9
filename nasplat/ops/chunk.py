"""Shorter and longer sequences of tokens: fixed blocks, learned chunks, and a shift.

What depends on the content has a bound: learned chunks are tokens of the bound beside their ``Presence``.

References:
    [Yu2023] L. Yu et al. MEGABYTE: predicting million-byte sequences with multiscale transformers. 2023.
    [Nawrot2022] P. Nawrot et al. Hierarchical transformers are more efficient language models. 2022.
    [Hwang2025] S. Hwang, B. Wang, A. Gu. Dynamic chunking for end-to-end hierarchical sequence models. 2025.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Presence, TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import whole
from nasplat.ops.modules import chunk as modules
from nasplat.ops.text import tokens_of


@dataclass(frozen=True, kw_only=True)
class FoldTokens(Op):
    """The channels of neighbouring tokens side by side: one token for each block [Yu2023].

    Attributes:
        block: Tokens of a block; zeros fill the last one.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    block: int = 4

    def infer(self, *inputs: TensorType) -> Tokens:
        tokens = tokens_of(self, inputs)
        whole(self, inputs, 1, block=self.block)
        return Tokens(math.ceil(tokens.length / self.block), tokens.dim * self.block)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.FoldTokens, {"block": self.block})

    def is_identity(self, *inputs: TensorType) -> bool:
        return self.block == 1


@dataclass(frozen=True, kw_only=True)
class UnfoldTokens(Op):
    """The channels of every token cut into neighbouring tokens: back from blocks [Yu2023].

    Attributes:
        length: Tokens that go out.
        block: Tokens made of each; they divide the channels, and the last ones may be left over.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    length: int
    block: int = 4

    def infer(self, *inputs: TensorType) -> Tokens:
        tokens = tokens_of(self, inputs)
        whole(self, inputs, 1, length=self.length, block=self.block)
        width, rest = divmod(tokens.dim, self.block)
        expect(width > 0 and not rest, self, "needs channels that the block divides", *inputs)
        rule = f"makes {self.length} tokens of {math.ceil(self.length / self.block)} blocks"
        expect(math.ceil(self.length / self.block) == tokens.length, self, rule, *inputs)
        return Tokens(self.length, width)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.UnfoldTokens, {"block": self.block, "length": self.length})

    def is_identity(self, *inputs: TensorType) -> bool:
        return self.block == 1


@dataclass(frozen=True, kw_only=True)
class ShiftTokens(Op):
    """Tokens some positions later, a learned one before them [Nawrot2022].

    Attributes:
        by: Positions, at least 1 and less than there are.
    """

    by: int = 1

    def infer(self, *inputs: TensorType) -> Tokens:
        tokens = tokens_of(self, inputs)
        whole(self, inputs, 1, by=self.by)
        expect(self.by <= tokens.length, self, "needs as many tokens as it shifts by", *inputs)
        return tokens

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.ShiftTokens, {"dim": tokens_of(self, inputs).dim, "by": self.by})

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.vector(tokens_of(self, inputs).dim)


@dataclass(frozen=True, kw_only=True)
class DynamicChunk(Op):
    """Tokens at which chunks of learned lengths begin [Hwang2025].

    A chunk begins where a token and the one before it differ, until there is no more room. Gives the
    tokens, their ``Presence``, and the probability of a beginning at each place as ``Tokens(length, 1)``.

    Attributes:
        target_ratio: Tokens in a chunk that a loss in training pulls to, above 1.
        room: Room for chunks over tokens, above 0 and at most 1.
        balance: Weight of that loss, at least 0.
    """

    target_ratio: float = 4
    room: float = 0.5
    balance: float = 0.03

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        tokens = tokens_of(self, inputs)
        expect(tokens.length > 1, self, "needs at least two tokens", *inputs)
        expect(self.target_ratio > 1, self, "needs target_ratio > 1", *inputs)
        expect(0 < self.room <= 1, self, "needs room above 0 and at most 1", *inputs)
        expect(self.balance >= 0, self, "needs balance >= 0", *inputs)
        most = math.ceil(self.room * tokens.length)
        return Tokens(most, tokens.dim), Presence(most), Tokens(tokens.length, 1)

    def call(self, *inputs: TensorType) -> Call:
        tokens = tokens_of(self, inputs)
        arguments = {
            "dim": tokens.dim,
            "most": math.ceil(self.room * tokens.length),
            "ratio": float(self.target_ratio),
            "balance": float(self.balance),
        }
        return Call(modules.DynamicChunk, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens = tokens_of(self, inputs)
        once = counts.pointwise(tokens.dim, tokens.dim, tokens.length - 1, bias=False)
        return once + once


@dataclass(frozen=True, kw_only=True)
class DeChunk(Op):
    """From chunks back to the tokens they stand for [Hwang2025].

    Takes the chunks and the probabilities of :class:`DynamicChunk`.

    Attributes:
        smoothing: Whether an unsure chunk takes part of its state from the chunks before it.
    """

    kind: ClassVar[str] = "dechunk"

    smoothing: bool = True

    def infer(self, *inputs: TensorType) -> Tokens:
        chunks, places = self._inputs(inputs)
        return Tokens(places.length, chunks.dim)

    def _inputs(self, inputs: Sequence[TensorType]) -> tuple[Tokens, Tokens]:
        rule = "takes the Tokens of chunks and Tokens(length, 1), at least as long"
        met = [item for item in inputs if isinstance(item, Tokens)]
        if len(met) == len(inputs) == 2:
            chunks, places = met
            expect(places.dim == 1 and places.length >= chunks.length, self, rule, *inputs)
            return chunks, places
        expect(False, self, rule, *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.DeChunk, {"smoothed": self.smoothing})

    def cost(self, *inputs: TensorType) -> OpCost:
        chunks, _ = self._inputs(inputs)
        if not self.smoothing:
            return OpCost()
        return counts.product(chunks.length, chunks.length, chunks.dim)
