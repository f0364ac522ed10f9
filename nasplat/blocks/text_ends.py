"""The first and the last parts of text networks: from integers to tokens, and from tokens to outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplat.blocks.text_settings import TextSettings
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Logits, TensorType, Tokens, Vector
from nasplat.ops.head import ClassifierHead
from nasplat.ops.linear import Linear
from nasplat.ops.merge import Concat
from nasplat.ops.position import AbsolutePosition
from nasplat.ops.text import (
    CandidateHead,
    EmbeddingHead,
    LMHead,
    NgramEmbedding,
    SegmentEmbedding,
    TokenEmbedding,
)
from nasplat.space.choose import Match, Optional
from nasplat.space.decisions import Case, Choice
from nasplat.space.wiring import Each, Parallel, Pick, Recall, Steps, Tap, Tied

TOKENIZERS = ("byte", "subword", "residual_vq")
TABLE = "table"
"""Name under which the table of the embedding waits for the head."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Decisions on embedding and head.

    Attributes:
        tokenizer: One of ``TOKENIZERS``: a vector for each integer; besides for groups of them, parts of
            words; or code books in turn.
        project: Whether tokens are embedded at a width of their own and mapped.
        embedding: That width.
        embed_norm: Whether embedded tokens are normalised.
        segments: Whether a learned vector says which input a token is of.
        tied: Whether the head takes the table of the embedding.
        levels: Code books of ``residual_vq``.
        types: Vectors of segments.
    """

    tokenizer: Any
    project: Any
    embedding: Any
    embed_norm: Any
    segments: Any
    tied: Any
    levels: int
    types: int


def open_ends(embeddings: tuple[int, ...], levels: int, types: int) -> Ends:
    """All decisions on embedding and head, under their own names."""
    return Ends(
        tokenizer=Choice(*TOKENIZERS, name="tokenizer"),
        project=Choice(False, True, name="project"),
        embedding=Choice(*embeddings, name="embedding"),
        embed_norm=Choice(False, True, name="embed_norm"),
        segments=Choice(False, True, name="segments"),
        tied=Choice(True, False, name="tied"),
        levels=levels,
        types=types,
    )


def embed_part(s: TextSettings, ends: Ends, boundary: int | None, buckets: int) -> Expression:
    """From integers to tokens; two inputs are put one after the other.

    Args:
        s: Of the network.
        ends: Decisions on the embedding.
        boundary: Tokens of the first of two inputs; None: there is one.
        buckets: Rows of the table of groups of integers.
    """
    vectors = vectors_part(s, ends, buckets)
    if boundary is not None:
        second = Tied("embed.vectors", vectors_part(s, ends, buckets, keep=False))
        both = Each(first=Tied("embed.vectors", vectors), second=second)
        vectors = Steps(both=both, joined=Concat(axis="sequence", project=False))
    segment = SegmentEmbedding(types=max(2, ends.types), boundary=boundary)
    return Steps(
        vectors=vectors,
        position=s.part(s.position, {"absolute": AbsolutePosition(form="learned")}, Steps()),
        segments=Optional(segment, ends.segments),
        norm=Optional(s.norm_part(), ends.embed_norm),
        project=Optional(Linear(dim=s.width), ends.project),
    )


def vectors_part(s: TextSettings, ends: Ends, buckets: int, keep: bool = True) -> Expression:
    """A vector for each integer.

    Args:
        s: Of the network.
        ends: Decisions on the embedding.
        buckets: Rows of the table of groups of integers.
        keep: Whether the table is put by for the head.
    """
    dim: Any = Case(ends.project, {False: s.width, True: ends.embedding})
    kept: Expression = Pick(0)
    if keep:
        kept = Steps(both=Each(tokens=Steps(), table=Tap(TABLE, output=False)), tokens=Pick(0))
    one = Steps(ids=TokenEmbedding(dim=dim, table=True), table=kept)
    levels = TokenEmbedding(dim=dim, table=True, levels=ends.levels)
    groups = NgramEmbedding(longest=3, buckets=buckets)
    return Match(
        ends.tokenizer,
        {
            "byte": one,
            "subword": Steps(parts=Parallel(vectors=one, ids=Steps()), groups=groups),
            "residual_vq": Steps(ids=levels, table=kept),
        },
    )


def head_part(
    s: TextSettings, ends: Ends, output: TensorType, *, prefix: int, segment: int
) -> Expression:
    """From tokens to the output of a task.

    Args:
        s: Of the network.
        ends: Decisions on the head.
        output: Its type.
        prefix: Tokens before the candidates that ``Logits`` score; with a segment of 0 there are none.
        segment: Tokens of a candidate.

    Raises:
        SpaceError: The output is of another type.
    """
    norm = s.norm_where("pre", "sandwich", "sub_layer")
    if isinstance(output, Tokens):
        own = LMHead(vocabulary=output.dim)
        table = Steps(
            project=Optional(Linear(dim=ends.embedding), ends.project),
            table=Recall(TABLE),
            scores=LMHead(),
        )
        return Steps(norm=norm, scores=Match(ends.tied, {True: table, False: own}))
    if isinstance(output, Logits) and segment:
        return Steps(norm=norm, scores=CandidateHead(prefix=prefix, segment=segment))
    if isinstance(output, Logits):
        return Steps(norm=norm, classes=ClassifierHead(classes=output.classes, norm="none"))
    if isinstance(output, Vector):
        pooled = EmbeddingHead(
            dim=output.dim,
            pool=Choice("mean", "first", "last", name="pool"),
            activation=Choice("none", "tanh", name="pool_activation"),
        )
        return Steps(norm=norm, pool=pooled)
    raise SpaceError(f"text networks give Tokens, Logits or Vector, not {output}")
