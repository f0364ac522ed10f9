"""First and last ops of text: embeddings, heads, several exits, and gates around spans of layers.

Weights that an embedding and a head have in common travel on an edge: the embedding gives its table as a
second output, and a head that takes it has none of its own. They count once, and a graph with a common
table is another than one without.

References:
    [Vaswani2017] A. Vaswani et al. Attention is all you need. NeurIPS 2017.
    [Press2017] O. Press, L. Wolf. Using the output embedding to improve language models. EACL 2017.
    [Bojanowski2017] P. Bojanowski et al. Enriching word vectors with subword information. TACL 2017.
    [Pagnoni2024] A. Pagnoni et al. Byte latent transformer: patches scale better than tokens. 2024.
    [Devlin2019] J. Devlin et al. BERT. NAACL 2019.
    [Zeghidour2021] N. Zeghidour et al. SoundStream: an end-to-end neural audio codec. 2021.
    [Song2022] C. Song et al. Uni-Encoder. 2022.
    [Gurioli2025] A. Gurioli et al. One model to train them all: hierarchical self-distillation. 2025.
    [Lawson2025] T. Lawson, L. Aitchison. Learning to skip the middle layers of transformers. 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Ids, Logits, Presence, TensorType, Tokens, Vector, Weights
from nasplat.ops import counts
from nasplat.ops.checks import known, whole
from nasplat.ops.modules import text as modules


def ids_of(op: Op, inputs: Sequence[TensorType]) -> Ids:
    """The only input, integers."""
    if len(inputs) == 1 and isinstance(inputs[0], Ids):
        return inputs[0]
    expect(False, op, "takes one Ids", *inputs)
    raise AssertionError


def tokens_of(op: Op, inputs: Sequence[TensorType]) -> Tokens:
    """The only input, tokens."""
    if len(inputs) == 1 and isinstance(inputs[0], Tokens):
        return inputs[0]
    expect(False, op, "takes one Tokens", *inputs)
    raise AssertionError


@dataclass(frozen=True, kw_only=True)
class TokenEmbedding(Op):
    """A learned vector for each integer.

    Attributes:
        dim: Width of a vector.
        scaled: Whether vectors are multiplied by the root of ``dim`` [Vaswani2017].
        levels: Tables, read in turn by the positions: integers of several code books that alternate, as
            residual quantisers give them [Zeghidour2021].
        table: Whether the (first) table is a second output, ``Weights(vocabulary, dim)`` [Press2017].
    """

    dim: int
    scaled: bool = False
    levels: int = 1
    table: bool = False

    def infer(self, *inputs: TensorType) -> TensorType | tuple[TensorType, ...]:
        ids = ids_of(self, inputs)
        whole(self, inputs, 1, dim=self.dim, levels=self.levels)
        tokens = Tokens(ids.length, self.dim)
        return (tokens, Weights(ids.vocabulary, self.dim)) if self.table else tokens

    def call(self, *inputs: TensorType) -> Call:
        arguments = {
            "vocabulary": ids_of(self, inputs).vocabulary,
            "dim": self.dim,
            "scaled": self.scaled,
            "levels": self.levels,
            "table": self.table,
        }
        return Call(modules.TokenEmbedding, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        weights = self.levels * ids_of(self, inputs).vocabulary * self.dim
        return OpCost(weights, 0, weights)


@dataclass(frozen=True, kw_only=True)
class NgramEmbedding(Op):
    """Add vectors of the groups of integers that end at each position: parts of words [Bojanowski2017].

    The first input is tokens, the second the integers they stand for. Groups are hashed to the rows of
    one table [Pagnoni2024].

    Attributes:
        longest: Length of the longest group, 2 to 8; groups of all lengths from two count.
        buckets: Rows of the table.
    """

    longest: int = 3
    buckets: int = 4096

    def infer(self, *inputs: TensorType) -> Tokens:
        if len(inputs) == 2 and isinstance(inputs[0], Tokens) and isinstance(inputs[1], Ids):
            rule = "needs as many tokens as integers"
            expect(inputs[0].length == inputs[1].length, self, rule, *inputs)
            whole(self, inputs, 2, longest=self.longest, buckets=self.buckets)
            expect(self.longest <= 8, self, "needs longest <= 8", *inputs)
            return inputs[0]
        expect(False, self, "takes Tokens and the Ids they stand for", *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        dim = self.infer(*inputs).dim
        arguments = {"longest": self.longest, "buckets": self.buckets, "dim": dim}
        return Call(modules.NgramEmbedding, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        weights = self.buckets * self.infer(*inputs).dim
        return OpCost(weights, 0, weights)


@dataclass(frozen=True, kw_only=True)
class SegmentEmbedding(Op):
    """Add the learned vector of the segment that a position is in [Devlin2019].

    Attributes:
        types: Number of vectors.
        boundary: Positions of the first segment, the rest is the second; ``None``: there is one segment.
    """

    types: int = 2
    boundary: int | None = None

    def infer(self, *inputs: TensorType) -> Tokens:
        tokens = tokens_of(self, inputs)
        whole(self, inputs, 1, types=self.types)
        if self.boundary is not None:
            whole(self, inputs, 0, boundary=self.boundary)
            expect(self.types > 1, self, "needs two types for two segments", *inputs)
        return tokens

    def call(self, *inputs: TensorType) -> Call:
        tokens = tokens_of(self, inputs)
        arguments = {
            "length": tokens.length,
            "dim": tokens.dim,
            "types": self.types,
            "boundary": tokens.length if self.boundary is None else self.boundary,
        }
        return Call(modules.SegmentEmbedding, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        weights = self.types * tokens_of(self, inputs).dim
        return OpCost(weights, 0, weights)


@dataclass(frozen=True, kw_only=True)
class LMHead(Op):
    """Scores of every integer at each position: from tokens to ``Tokens(length, vocabulary)``.

    A second input is the table of an embedding, ``Weights(vocabulary, dim)``, in the place of weights of
    its own [Press2017].

    Attributes:
        vocabulary: Number of integers; ``None``: as many as the table has, which must then be given.
        bias: Whether each has a learned shift.
    """

    kind: ClassVar[str] = "lm_head"

    vocabulary: int | None = None
    bias: bool = False

    def infer(self, *inputs: TensorType) -> Tokens:
        tokens = tokens_of(self, inputs[:1])
        if len(inputs) == 1:
            whole(self, inputs, 1, vocabulary=self.vocabulary)
            return Tokens(tokens.length, self.vocabulary or 1)
        table = inputs[1]
        if len(inputs) == 2 and isinstance(table, Weights) and len(table.axes) == 2:
            count, dim = table.axes
            expect(dim == tokens.dim, self, "needs a table of the tokens' width", *inputs)
            rule = f"needs a table of {self.vocabulary} rows"
            expect(self.vocabulary in (None, count), self, rule, *inputs)
            return Tokens(tokens.length, count)
        expect(False, self, "takes Tokens, and at most a table as Weights", *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        count = self.infer(*inputs).dim
        if len(inputs) == 2:
            return Call(modules.TiedLMHead, {"vocabulary": count, "bias": self.bias})
        arguments = {"dim": inputs[0].shape[1], "vocabulary": count, "bias": self.bias}
        return Call(modules.LMHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        length, dim = inputs[0].shape
        count = self.infer(*inputs).dim
        if len(inputs) == 1:
            return counts.pointwise(dim, count, length, self.bias)
        return counts.product(length, dim, count) + counts.vector(count if self.bias else 0)


@dataclass(frozen=True, kw_only=True)
class EmbeddingHead(Op):
    """One vector for a sequence of tokens: pool, then a linear map.

    Attributes:
        dim: Width of the vector.
        pool: ``first`` [Devlin2019], ``last`` or ``mean``: which tokens it is made from.
        activation: ``none`` or ``tanh`` [Devlin2019].
    """

    POOLS: ClassVar[tuple[str, ...]] = ("first", "last", "mean")

    dim: int
    pool: str = "mean"
    activation: str = "none"

    def infer(self, *inputs: TensorType) -> Vector:
        tokens_of(self, inputs)
        whole(self, inputs, 1, dim=self.dim)
        known(self, inputs, self.POOLS, pool=self.pool)
        known(self, inputs, ("none", "tanh"), activation=self.activation)
        return Vector(self.dim)

    def call(self, *inputs: TensorType) -> Call:
        arguments: dict[str, Any] = {
            "channels": tokens_of(self, inputs).dim,
            "dim": self.dim,
            "pool": self.pool,
            "activated": self.activation == "tanh",
        }
        return Call(modules.EmbeddingHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.pointwise(tokens_of(self, inputs).dim, self.dim, 1)


@dataclass(frozen=True, kw_only=True)
class CandidateHead(Op):
    """A score for each segment of tokens behind a prefix: candidate answers to a context [Song2022].

    Attributes:
        prefix: Tokens of the context.
        segment: Tokens of a candidate; what follows the context is whole candidates.
    """

    prefix: int
    segment: int

    def infer(self, *inputs: TensorType) -> Logits:
        tokens = tokens_of(self, inputs)
        whole(self, inputs, 0, prefix=self.prefix)
        whole(self, inputs, 1, segment=self.segment)
        candidates, rest = divmod(tokens.length - self.prefix, self.segment)
        expect(candidates > 0 and not rest, self, "needs whole candidates", *inputs)
        return Logits(candidates)

    def call(self, *inputs: TensorType) -> Call:
        dim = tokens_of(self, inputs).dim
        arguments = {"dim": dim, "prefix": self.prefix, "segment": self.segment}
        return Call(modules.CandidateHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        candidates = self.infer(*inputs).classes
        return counts.pointwise(tokens_of(self, inputs).dim, 1, candidates)


@dataclass(frozen=True, kw_only=True)
class Exits(Op):
    """The last of several outputs; in training the earlier ones learn from the later [Gurioli2025].

    A model that ends in it can be cut at any of them.

    Attributes:
        weight: Weight of the loss by which each output learns from the one after it, at least 0.
    """

    kind: ClassVar[str] = "exit_head"

    weight: float = 0.5

    def infer(self, *inputs: TensorType) -> TensorType:
        one = len(set(inputs)) == 1 and isinstance(inputs[0], Logits | Tokens)
        expect(one, self, "takes one or more Logits, or Tokens, of one type", *inputs)
        expect(self.weight >= 0, self, "needs weight >= 0", *inputs)
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Exits, {"weight": float(self.weight)})

    def is_identity(self, *inputs: TensorType) -> bool:
        return len(inputs) == 1


@dataclass(frozen=True, kw_only=True)
class SkipGate(Op):
    """How much each token needs the span of layers that follows, from 0 to 1 [Lawson2025].

    A second input is the gate of a span around this one: who skips that skips this too.
    """

    def infer(self, *inputs: TensorType) -> Presence:
        presence = Presence(tokens_of(self, inputs[:1]).length)
        rule = f"takes beside tokens at most the {presence} of a span around"
        expect(inputs[1:] in ((), (presence,)), self, rule, *inputs)
        return presence

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.SkipGate, {"dim": tokens_of(self, inputs[:1]).dim})

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens = tokens_of(self, inputs[:1])
        return counts.pointwise(tokens.dim, 1, tokens.length)


@dataclass(frozen=True, kw_only=True)
class SkipMerge(Op):
    """Tokens as they were before a span and after it, weighed by the span's gate [Lawson2025]."""

    def infer(self, *inputs: TensorType) -> Tokens:
        tokens = tokens_of(self, inputs[:1])
        rule = "takes tokens, tokens of the same type and their Presence"
        expect(inputs[1:] == (tokens, Presence(tokens.length)), self, rule, *inputs)
        return tokens

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.SkipMerge)
