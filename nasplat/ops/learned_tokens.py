"""Tokens that are learned and do not come from the input.

References:
    [Dosovitskiy2021] A. Dosovitskiy et al. An image is worth 16x16 words. ICLR 2021.
    [Darcet2024] T. Darcet et al. Vision transformers need registers. ICLR 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import known, whole
from nasplat.ops.modules import learned_tokens as modules


@dataclass(frozen=True, kw_only=True)
class LearnedTokens(Op):
    """Learned tokens before those of the input, or alone; the same for every example.

    Attributes:
        count: How many.
        place: ``first``: before the tokens of the input, as class tokens [Dosovitskiy2021] and registers
            [Darcet2024] are; ``last``: behind them; ``alone``: they go out without them, as queries do.
        dim: Channels of tokens that go out alone; ``None``: those of the input.
    """

    PLACES: ClassVar[tuple[str, ...]] = ("first", "last", "alone")

    count: int = 1
    place: str = "first"
    dim: int | None = None

    def _tokens(self, inputs: Sequence[TensorType]) -> Tokens:
        if len(inputs) == 1 and isinstance(inputs[0], Tokens):
            return inputs[0]
        expect(False, self, "takes one Tokens", *inputs)
        raise AssertionError

    def infer(self, *inputs: TensorType) -> Tokens:
        tokens = self._tokens(inputs)
        whole(self, inputs, 1, count=self.count)
        known(self, inputs, self.PLACES, place=self.place)
        if self.place != "alone":
            rule = f"takes a dim only where place is alone, got {self.dim}"
            expect(self.dim is None, self, rule, *inputs)
            return Tokens(tokens.length + self.count, tokens.dim)
        if self.dim is not None:
            whole(self, inputs, 1, dim=self.dim)
        return Tokens(self.count, self.dim or tokens.dim)

    def call(self, *inputs: TensorType) -> Call:
        dim = self.dim or self._tokens(inputs).dim
        arguments = {"count": self.count, "dim": dim, "place": self.place}
        return Call(modules.LearnedTokens, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.vector(self.count * (self.dim or self._tokens(inputs).dim))
