"""Fewer tokens from many, and many from few. How many remain is fixed when a graph is built.

References:
    [Pan2021] B. Pan et al. IA-RED2: interpretability-aware redundancy reduction for vision transformers.
        NeurIPS 2021.
    [Liang2022] Y. Liang et al. Not all patches are what you need: expediting vision transformers via token
        reorganizations. ICLR 2022.
    [Bolya2023] D. Bolya et al. Token merging: your ViT but faster. ICLR 2023.
    [Zeng2022] W. Zeng et al. Not all tokens are equal: human-centric visual analysis via token clustering
        transformer. CVPR 2022.
    [He2022] K. He et al. Masked autoencoders are scalable vision learners. CVPR 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Ids, Scores, TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import known, whole
from nasplat.ops.modules import token_reduction as modules

MATCHES = ("bipartite", "cluster", "knn")
NEIGHBOURS = 5
"""Neighbours that say how dense a token lies."""


def _first_tokens(op: Op, inputs: Sequence[TensorType]) -> Tokens:
    if inputs and isinstance(inputs[0], Tokens):
        return inputs[0]
    expect(False, op, "takes Tokens first", *inputs)
    raise AssertionError


def _kept(op: TokenPrune | TokenMerge, inputs: Sequence[TensorType]) -> int:
    """How many tokens remain beside those that stay in any case."""
    tokens = _first_tokens(op, inputs)
    right = isinstance(op.keep, int | float) and 0 < op.keep <= 1
    expect(right, op, f"needs keep to be above 0 and at most 1, got {op.keep!r}", *inputs)
    whole(op, inputs, 0, keep_first=op.keep_first)
    rule = f"needs keep_first to be below the {tokens.length} tokens, got {op.keep_first}"
    expect(op.keep_first < tokens.length, op, rule, *inputs)
    return max(1, math.ceil(op.keep * (tokens.length - op.keep_first)))


@dataclass(frozen=True, kw_only=True)
class TokenPrune(Op):
    """Keep a fixed share of the tokens, those that score best, in their order.

    With ``score="attention"`` a second input, ``Scores``, holds the weights that tokens got [Liang2022];
    with ``"change"`` it is tokens of the same size that they are compared with.

    Attributes:
        keep: Share of the tokens that is kept, above 0 and at most 1; at least one.
        keep_first: How many of the first tokens, such as a class token, are kept beside that.
        score: ``learned``: a linear map of each token, which learns through those it keeps [Pan2021];
            ``attention``; ``change``.
        places: Whether a second output says where the tokens stood, as ``Ids``.
    """

    keep: float = 0.5
    keep_first: int = 0
    score: str = "learned"
    places: bool = True

    def infer(self, *inputs: TensorType) -> TensorType | tuple[TensorType, ...]:
        tokens = _first_tokens(self, inputs)
        known(self, inputs, ("learned", "attention", "change"), score=self.score)
        second = inputs[1] if len(inputs) == 2 else None
        if self.score == "learned":
            expect(len(inputs) == 1, self, "takes one Tokens", *inputs)
        elif self.score == "attention":
            right = isinstance(second, Scores) and second.keys == tokens.length
            expect(right, self, f"takes beside {tokens} Scores with a key for each", *inputs)
        else:
            expect(second == tokens, self, f"takes beside {tokens} the same again", *inputs)
        kept = Tokens(self.keep_first + _kept(self, inputs), tokens.dim)
        return (kept, Ids(kept.length, tokens.length)) if self.places else kept

    def call(self, *inputs: TensorType) -> Call:
        arguments: dict[str, Any] = {
            "dim": _first_tokens(self, inputs).dim,
            "count": self.keep_first + _kept(self, inputs),
            "first": self.keep_first,
            "score": self.score,
            "places": self.places,
        }
        return Call(modules.TokenPrune, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens = _first_tokens(self, inputs)
        return (
            counts.pointwise(tokens.dim, 1, tokens.length) if self.score == "learned" else OpCost()
        )


@dataclass(frozen=True, kw_only=True)
class TokenMerge(Op):
    """Merge alike tokens into their mean, until a fixed share remains.

    Attributes:
        keep: Share of the tokens that remains, above 0 and at most 1; at least one.
        keep_first: How many of the first tokens, such as a class token, are left alone beside that.
        match: ``bipartite``: every other token finds its like among those between, the best pairs merge,
            in rounds of at most half [Bolya2023]; ``cluster``: tokens join the most alike of the means
            of equal parts of the sequence, twice; ``knn``: they join the nearest of those that lie
            dense and far from denser ones [Zeng2022].
        members: Whether a second output says which token each of them went into, as ``Ids``.
    """

    keep: float = 0.5
    keep_first: int = 0
    match: str = "bipartite"
    members: bool = False

    def infer(self, *inputs: TensorType) -> TensorType | tuple[TensorType, ...]:
        tokens = _first_tokens(self, inputs)
        expect(len(inputs) == 1, self, "takes one Tokens", *inputs)
        known(self, inputs, MATCHES, match=self.match)
        merged = Tokens(self.keep_first + _kept(self, inputs), tokens.dim)
        return (merged, Ids(tokens.length, merged.length)) if self.members else merged

    def call(self, *inputs: TensorType) -> Call:
        tokens = _first_tokens(self, inputs)
        arguments: dict[str, Any] = {
            "length": tokens.length,
            "count": _kept(self, inputs),
            "first": self.keep_first,
            "match": self.match,
            "near": min(NEIGHBOURS, tokens.length - self.keep_first),
            "members": self.members,
        }
        return Call(modules.TokenMerge, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens = _first_tokens(self, inputs)
        length, kept, dim = tokens.length - self.keep_first, _kept(self, inputs), tokens.dim
        total = counts.product(kept, length, dim)
        if self.match == "knn":
            return total + counts.product(length, dim, length)
        if self.match == "cluster":
            return total + counts.product(length, dim, kept, 4)
        left = length
        while left > kept:
            fewer = min(left - kept, left // 2)
            total += counts.product(-(-left // 2), dim, left // 2)
            total += counts.product(left - fewer, left, dim + 1)
            left -= fewer
        return total


@dataclass(frozen=True, kw_only=True)
class TokenPool(Op):
    """One token for every few that follow each other; the last may stand for fewer.

    Attributes:
        factor: Tokens that become one.
        mode: ``avg``; ``max``; ``attention``: by learned weights; ``random_pick``: a random one in
            training, later the middle one.
    """

    factor: int = 2
    mode: str = "avg"

    def infer(self, *inputs: TensorType) -> Tokens:
        tokens = _first_tokens(self, inputs)
        expect(len(inputs) == 1, self, "takes one Tokens", *inputs)
        whole(self, inputs, 1, factor=self.factor)
        known(self, inputs, ("avg", "max", "attention", "random_pick"), mode=self.mode)
        return Tokens(-(-tokens.length // self.factor), tokens.dim)

    def call(self, *inputs: TensorType) -> Call:
        tokens = _first_tokens(self, inputs)
        arguments: dict[str, Any] = {
            "dim": tokens.dim,
            "length": tokens.length,
            "factor": self.factor,
            "mode": self.mode,
        }
        return Call(modules.TokenPool, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens = _first_tokens(self, inputs)
        if self.mode != "attention":
            return OpCost()
        return counts.pointwise(tokens.dim, 1, -(-tokens.length // self.factor) * self.factor)


@dataclass(frozen=True, kw_only=True)
class TokenScatter(Op):
    """Put tokens back at their places: undoes :class:`TokenPrune` or :class:`TokenMerge`.

    Inputs are ``Tokens(K, D)`` and ``Ids(K, N)``, the places of N that they go to, of two equal ones the
    first counts; with ``broadcast`` ``Ids(N, K)``: which of the tokens goes to each place.

    Attributes:
        fill: ``original``: a third input, ``Tokens(N, D)``, such as what was there before or a cache,
            gives what is missing; ``learned``: one vector does [He2022]; ``zero``; ``broadcast``.
    """

    fill: str = "original"

    def _sizes(self, inputs: Sequence[TensorType]) -> Tokens:
        """The tokens that go out."""
        known(self, inputs, ("original", "learned", "zero", "broadcast"), fill=self.fill)
        tokens = _first_tokens(self, inputs)
        places = inputs[1] if len(inputs) > 1 else None
        if isinstance(places, Ids):
            if self.fill == "broadcast":
                made, fits = Tokens(places.length, tokens.dim), places.vocabulary == tokens.length
            else:
                made, fits = Tokens(places.vocabulary, tokens.dim), places.length == tokens.length
            rest = (made,) if self.fill == "original" else ()
            if fits and tuple(inputs[2:]) == rest:
                return made
        form = "Ids(N, K)" if self.fill == "broadcast" else "Ids(K, N)"
        more = " and Tokens(N, D)" if self.fill == "original" else ""
        expect(False, self, f"takes Tokens(K, D), {form}{more}", *inputs)
        raise AssertionError

    def infer(self, *inputs: TensorType) -> Tokens:
        return self._sizes(inputs)

    def call(self, *inputs: TensorType) -> Call:
        made = self._sizes(inputs)
        arguments: dict[str, Any] = {"dim": made.dim, "length": made.length, "fill": self.fill}
        return Call(modules.TokenScatter, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.vector(self._sizes(inputs).dim if self.fill == "learned" else 0)
