"""Attention taken apart: scores, and keys and values, are edges that other nodes read, mix or share.

References:
    [Vaswani2017] A. Vaswani et al. Attention is all you need. NeurIPS 2017.
    [Shazeer2020] N. Shazeer et al. Talking-heads attention. 2020.
    [Yao2024] Z. Yao et al. Zipformer: a faster and better encoder for automatic speech recognition.
        ICLR 2024.
    [Sun2024] Y. Sun et al. You only cache once: decoder-decoder architectures for language models.
        NeurIPS 2024.
    [Wang2024] L. Wang et al. CSKV: training-efficient channel shrinking for KV cache in long-context
        scenarios. 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import KeyValues, Presence, Scores, TensorType, Tokens
from nasplat.ops import counts, selection
from nasplat.ops.checks import known, positive, whole
from nasplat.ops.modules import attention_edges as modules

NORMALISERS = ("softmax", "sparsemax", "relu", "layer_norm", "none")
"""How scores become weights over the keys."""


def _tokens(op: Op, inputs: Sequence[TensorType], count: int) -> tuple[Tokens, ...]:
    taken = tuple(item for item in inputs if isinstance(item, Tokens))
    expect(len(taken) == len(inputs) <= count and bool(inputs), op, "takes Tokens", *inputs)
    return taken


@dataclass(frozen=True, kw_only=True)
class _Heads(Op):
    """The fields and rules that these ops share.

    Attributes:
        heads: Number of heads.
        head_dim: Width of a head; ``None``: the channels divided by the heads, at least 1.
        bias: Whether the projections have a bias.
    """

    heads: int = 4
    head_dim: int | None = None
    bias: bool = True

    def _check(self, inputs: Sequence[TensorType]) -> None:
        whole(self, inputs, 1, heads=self.heads)
        if self.head_dim is not None:
            whole(self, inputs, 1, head_dim=self.head_dim)

    def _width(self, dim: int) -> int:
        return self.head_dim or max(1, dim // self.heads)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading channels of the leading heads."""
        if not isinstance(larger, _Heads):
            raise TypeError(f"{larger} is no part of an attention")
        index = selection.leading(small)
        part, _, rest = name.partition(".")
        if part in ("query", "key", "value", "before", "after"):
            index[0] = selection.blocks(small[0], self.heads, large[0], larger.heads)
        elif part == "out" and rest == "weight":
            index[1] = selection.blocks(small[1], self.heads, large[1], larger.heads)
        return tuple(index)


@dataclass(frozen=True, kw_only=True)
class AttentionScores(_Heads):
    """Weights of keys for queries, as an edge: of one input with itself, or with a second [Vaswani2017].

    Attributes:
        normaliser: ``softmax``, ``sparsemax``, ``relu`` (divided by the keys), ``layer_norm`` (over the
            keys, without weights), or ``none``: bare scores for :class:`ScoresMix`.
        mask: ``none``, or ``causal``: no key that comes later has weight; then there are as many keys as
            queries.
    """

    normaliser: str = "softmax"
    mask: str = "none"

    def _inputs(self, inputs: Sequence[TensorType]) -> tuple[Tokens, Tokens]:
        taken = _tokens(self, inputs, 2)
        return taken[0], taken[-1]

    def infer(self, *inputs: TensorType) -> Scores:
        queries, keys = self._inputs(inputs)
        self._check(inputs)
        known(self, inputs, NORMALISERS, normaliser=self.normaliser)
        known(self, inputs, ("none", "causal"), mask=self.mask)
        rule = "with a causal mask needs as many keys as queries"
        expect(self.mask == "none" or queries.length == keys.length, self, rule, *inputs)
        return Scores(self.heads, queries.length, keys.length)

    def call(self, *inputs: TensorType) -> Call:
        queries, keys = self._inputs(inputs)
        arguments: dict[str, Any] = {
            "dim": queries.dim,
            "context": keys.dim,
            "heads": self.heads,
            "head_dim": self._width(queries.dim),
            "bias": self.bias,
            "normaliser": self.normaliser,
            "length": queries.length if self.mask == "causal" else None,
        }
        return Call(modules.AttentionScores, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        queries, keys = self._inputs(inputs)
        width = self._width(queries.dim)
        return (
            counts.pointwise(queries.dim, self.heads * width, queries.length, self.bias)
            + counts.pointwise(keys.dim, self.heads * width, keys.length, self.bias)
            + counts.product(queries.length, width, keys.length, self.heads)
        )


@dataclass(frozen=True, kw_only=True)
class ScoresMix(Op):
    """New heads are learned mixtures of the scores of given heads [Shazeer2020].

    Attributes:
        heads: Heads that go out; ``None``: as many as come in.
        normaliser: As in :class:`AttentionScores`: what follows the mixing.
        mask: The same.
    """

    heads: int | None = None
    normaliser: str = "none"
    mask: str = "none"

    def infer(self, *inputs: TensorType) -> Scores:
        scores = _scores(self, inputs)
        if self.heads is not None:
            whole(self, inputs, 1, heads=self.heads)
        known(self, inputs, NORMALISERS, normaliser=self.normaliser)
        known(self, inputs, ("none", "causal"), mask=self.mask)
        rule = "with a causal mask needs as many keys as queries"
        expect(self.mask == "none" or scores.queries == scores.keys, self, rule, *inputs)
        return Scores(self.heads or scores.heads, scores.queries, scores.keys)

    def call(self, *inputs: TensorType) -> Call:
        scores = _scores(self, inputs)
        arguments: dict[str, Any] = {
            "inputs": scores.heads,
            "outputs": self.heads or scores.heads,
            "normaliser": self.normaliser,
            "length": scores.queries if self.mask == "causal" else None,
        }
        return Call(modules.ScoresMix, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        scores = _scores(self, inputs)
        pairs = scores.queries * scores.keys
        return counts.pointwise(scores.heads, self.heads or scores.heads, pairs, bias=False)


def _scores(op: Op, inputs: Sequence[TensorType]) -> Scores:
    if len(inputs) == 1 and isinstance(inputs[0], Scores):
        return inputs[0]
    expect(False, op, "takes one Scores", *inputs)
    raise AssertionError


@dataclass(frozen=True, kw_only=True)
class AttentionApply(Op):
    """Mix the values of tokens by weights that come in: one edge of scores may serve many nodes.

    Inputs are ``Scores(h, N, M)`` and ``Tokens(M, D)``; the output is ``Tokens(N, D)``.

    Attributes:
        head_dim: Width of a head; ``None``: the channels divided by the heads, at least 1.
        bias: Whether the projections have a bias.
        nonlinear: Whether values are gated before the mixing and after it [Yao2024]; then there are as
            many queries as keys.
    """

    head_dim: int | None = None
    bias: bool = True
    nonlinear: bool = False

    def _inputs(self, inputs: Sequence[TensorType]) -> tuple[Scores, Tokens]:
        if len(inputs) == 2:
            scores, tokens = inputs
            if isinstance(scores, Scores) and isinstance(tokens, Tokens):
                rule = "needs a token for each key"
                expect(scores.keys == tokens.length, self, rule, *inputs)
                return scores, tokens
        expect(False, self, "takes Scores and Tokens", *inputs)
        raise AssertionError

    def _width(self, inputs: Sequence[TensorType]) -> int:
        scores, tokens = self._inputs(inputs)
        return self.head_dim or max(1, tokens.dim // scores.heads)

    def infer(self, *inputs: TensorType) -> Tokens:
        scores, tokens = self._inputs(inputs)
        if self.head_dim is not None:
            whole(self, inputs, 1, head_dim=self.head_dim)
        rule = "with nonlinear needs as many queries as keys"
        expect(not self.nonlinear or scores.queries == scores.keys, self, rule, *inputs)
        return Tokens(scores.queries, tokens.dim)

    def call(self, *inputs: TensorType) -> Call:
        scores, tokens = self._inputs(inputs)
        arguments: dict[str, Any] = {
            "dim": tokens.dim,
            "heads": scores.heads,
            "head_dim": self._width(inputs),
            "bias": self.bias,
            "nonlinear": self.nonlinear,
        }
        return Call(modules.AttentionApply, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        scores, tokens = self._inputs(inputs)
        inner = scores.heads * self._width(inputs)
        total = counts.pointwise(inner, tokens.dim, scores.queries, self.bias)
        for _ in range(3 if self.nonlinear else 1):
            total += counts.pointwise(tokens.dim, inner, tokens.length, self.bias)
        width = self._width(inputs)
        return total + counts.product(scores.queries, scores.keys, width, scores.heads)


@dataclass(frozen=True, kw_only=True)
class KVProjection(_Heads):
    """Keys and values of tokens as an edge, for one or many layers to read [Sun2024].

    Attributes:
        rank: Channels that each of keys and values passes through [Wang2024]; ``None``: no bottleneck.
        rotary: Share of the channels of a head that keys are rotated by, from 0 to 1.
        rotary_base: Base of the wave lengths, above 0.
    """

    rank: int | None = None
    rotary: float = 0.0
    rotary_base: float = 10000.0

    def infer(self, *inputs: TensorType) -> KeyValues:
        (tokens,) = _tokens(self, inputs, 1)
        self._check(inputs)
        if self.rank is not None:
            whole(self, inputs, 1, rank=self.rank)
        _check_rotary(self, inputs, self.rotary, self.rotary_base)
        return KeyValues(self.heads, tokens.length, self._width(tokens.dim))

    def call(self, *inputs: TensorType) -> Call:
        (tokens,) = _tokens(self, inputs, 1)
        arguments: dict[str, Any] = {
            "dim": tokens.dim,
            "length": tokens.length,
            "heads": self.heads,
            "head_dim": self._width(tokens.dim),
            "bias": self.bias,
            "rank": self.rank,
            "rotated": 2 * int(self.rotary * self._width(tokens.dim) / 2),
            "rotary_base": self.rotary_base,
        }
        return Call(modules.KVProjection, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        (tokens,) = _tokens(self, inputs, 1)
        inner = self.heads * self._width(tokens.dim)
        once = counts.pointwise(self.rank or tokens.dim, inner, tokens.length, self.bias)
        if self.rank is not None:
            once += counts.pointwise(tokens.dim, self.rank, tokens.length, bias=False)
        return once + once


def _check_rotary(op: Op, inputs: Sequence[TensorType], share: float, base: float) -> None:
    positive(op, inputs, rotary_base=base)
    expect(0 <= share <= 1, op, f"needs rotary to be from 0 to 1, got {share!r}", *inputs)


@dataclass(frozen=True, kw_only=True)
class CachedAttention(Op):
    """Tokens attend to keys and values that were made elsewhere, once for many layers [Sun2024].

    Inputs are ``Tokens``, one or two ``KeyValues`` of equal size, and, if any, a ``Presence`` with a place
    for each key: only occupied ones are seen. Of two caches the first, exact one gives the ``recent``
    positions of each query and the second, compressed one all before them [Wang2024].

    Attributes:
        heads: Number of heads of the queries; ``None``: as many as the keys have, at least as many.
        bias: Whether queries have a bias.
        out_bias: Whether the output has a bias.
        mask: ``none``, or ``causal``: no key that comes later is seen; the last query and the last key
            come together, so there are at least as many keys as queries.
        recent: Positions, with its own, that a query reads from the first of two caches.
        rotary: Share of the channels of a head that queries are rotated by, from 0 to 1: as the keys are.
        rotary_base: Base of the wave lengths, above 0.
    """

    heads: int | None = None
    bias: bool = True
    out_bias: bool = True
    mask: str = "causal"
    recent: int = 32
    rotary: float = 0.0
    rotary_base: float = 10000.0

    def _inputs(
        self, inputs: Sequence[TensorType]
    ) -> tuple[Tokens, list[KeyValues], Presence | None]:
        last = inputs[-1] if inputs else None
        presence = last if isinstance(last, Presence) else None
        given = inputs if presence is None else inputs[:-1]
        first, others = (given[0] if given else None), given[1:]
        caches = [item for item in others if isinstance(item, KeyValues)]
        if isinstance(first, Tokens) and len(caches) == len(others) and len(set(caches)) == 1:
            rule = f"needs the presence to be as long as the cache, {caches[0].length}"
            fits = presence is None or presence.length == caches[0].length
            expect(fits and len(caches) < 3, self, rule, *inputs)
            return first, caches, presence
        rule = "takes Tokens, one or two KeyValues of equal size and at most one Presence"
        expect(False, self, rule, *inputs)
        raise AssertionError

    def infer(self, *inputs: TensorType) -> Tokens:
        tokens, (cache, *_), _ = self._inputs(inputs)
        if self.heads is not None:
            whole(self, inputs, cache.heads, heads=self.heads)
        whole(self, inputs, 1, recent=self.recent)
        known(self, inputs, ("none", "causal"), mask=self.mask)
        _check_rotary(self, inputs, self.rotary, self.rotary_base)
        rule = "with a causal mask needs at least as many keys as queries"
        expect(self.mask == "none" or tokens.length <= cache.length, self, rule, *inputs)
        return tokens

    def call(self, *inputs: TensorType) -> Call:
        tokens, caches, presence = self._inputs(inputs)
        cache = caches[0]
        arguments: dict[str, Any] = {
            "dim": tokens.dim,
            "length": tokens.length,
            "keys": cache.length,
            "heads": self.heads or cache.heads,
            "head_dim": cache.dim,
            "bias": self.bias,
            "out_bias": self.out_bias,
            "causal": self.mask == "causal",
            "rotated": 2 * int(self.rotary * cache.dim / 2),
            "rotary_base": self.rotary_base,
            "recent": self.recent if len(caches) == 2 else None,
            "present": presence is not None,
        }
        return Call(modules.CachedAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens, caches, _ = self._inputs(inputs)
        cache = caches[0]
        heads = self.heads or cache.heads
        inner = heads * cache.dim
        return (
            counts.pointwise(tokens.dim, inner, tokens.length, self.bias)
            + counts.pointwise(inner, tokens.dim, tokens.length, self.out_bias)
            + counts.product(tokens.length, cache.dim, cache.length, 2 * heads * len(caches))
        )

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading channels of the leading heads, where the op itself says how many heads it has."""
        if not isinstance(larger, CachedAttention):
            raise TypeError(f"{larger} is no attention to a cache")
        index = selection.leading(small)
        if self.heads is not None and larger.heads is not None:
            axis = {"query.weight": 0, "query.bias": 0, "out.weight": 1}.get(name)
            if axis is not None:
                index[axis] = selection.blocks(small[axis], self.heads, large[axis], larger.heads)
        return tuple(index)
