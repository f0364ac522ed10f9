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
from nasplat.ops.merge import Concat, Take
from nasplat.ops.position import AbsolutePosition
from nasplat.ops.resample import Pool
from nasplat.ops.text import (
    CandidateHead,
    EmbeddingHead,
    LMHead,
    NgramEmbedding,
    SegmentEmbedding,
    TokenEmbedding,
)
from nasplat.space.choose import Match, Optional
from nasplat.space.decisions import Case, Choice, domain
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


def open_ends(
    embeddings: tuple[int, ...], levels: int, types: int, tokenizers: tuple[str, ...]
) -> Ends:
    """All decisions on embedding and head, under their own names."""
    return Ends(
        tokenizer=Choice(*tokenizers, name="tokenizer"),
        project=Choice(False, True, name="project"),
        embedding=Choice(*embeddings, name="embedding"),
        embed_norm=Choice(False, True, name="embed_norm"),
        segments=Choice(False, True, name="segments"),
        tied=Choice(True, False, name="tied"),
        levels=levels,
        types=types,
    )


def embed_part(
    s: TextSettings, ends: Ends, boundary: int | None, buckets: int, keep: bool = True
) -> Expression:
    """From integers to tokens; two inputs are put one after the other.

    Args:
        s: Of the network.
        ends: Decisions on the embedding.
        boundary: Tokens of the first of two inputs; None: there is one.
        buckets: Rows of the table of groups of integers.
        keep: Whether the table is put by for the head.
    """
    vectors: Expression = Tied("embed.vectors", vectors_part(s, ends, buckets, keep))
    if boundary is not None:
        second = Tied("embed.vectors", vectors_part(s, ends, buckets, keep=False))
        both = Each(first=vectors, second=second)
        vectors = Steps(both=both, joined=Concat(axis="sequence", project=False))
    segment = SegmentEmbedding(types=max(2, ends.types), boundary=boundary)
    return Steps(
        vectors=vectors,
        position=s.part(s.position, {"absolute": AbsolutePosition(form="learned")}, Steps()),
        segments=Optional(segment, ends.segments),
        norm=Optional(s.norm_part(), ends.embed_norm),
        project=Optional(Linear(dim=s.width), ends.project),
    )


def compressed_part(
    s: TextSettings, ends: Ends, buckets: int, keeps: tuple[float, ...], encoder: Expression
) -> Expression:
    """A context that is encoded and pooled, before the tokens that follow it [Pilchen2025].

    Args:
        s: Of the network.
        ends: Decisions on the embedding.
        buckets: Rows of the table of groups of integers.
        keeps: Shares of the context's tokens that are kept, each one over a whole number.
        encoder: Of the context.

    References:
        [Pilchen2025] H. Pilchen et al. ARC-Encoder: learning compressed text representations for large
            language models. 2025.
    """
    kept = Choice(*keeps, name="reduction.keep")
    pools: dict[Any, Expression] = {
        keep: Pool(kernel=round(1 / keep), stride=round(1 / keep)) for keep in keeps
    }
    reduction = Choice("pool", "none", name="reduction.kind")
    context = Steps(
        embed=embed_part(s, ends, None, buckets, keep=False),
        encoder=encoder,
        reduction=Match(reduction, {"pool": Match(kept, pools), "none": Steps()}),
        project=Linear(dim=s.width),
    )
    both = Each(context=context, tokens=embed_part(s, ends, None, buckets))
    return Steps(both=both, joined=Concat(axis="sequence", project=False))


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
    options: dict[str, Expression] = {
        "byte": one,
        "subword": Steps(parts=Parallel(vectors=one, ids=Steps()), groups=groups),
        "residual_vq": Steps(ids=levels, table=kept),
    }
    return Match(ends.tokenizer, {name: options[name] for name in domain(ends.tokenizer)})


def head_part(
    s: TextSettings, ends: Ends, output: TensorType, *, prefix: int, segment: int
) -> Expression:
    """From tokens to the output of a task.

    Args:
        s: Of the network.
        ends: Decisions on the head.
        output: Its type.
        prefix: Tokens of a context before those that the output is about.
        segment: Tokens of a candidate that ``Logits`` score; 0: they score the text as a whole.

    Raises:
        SpaceError: The output is of another type.
    """
    norm = s.norm_where("pre", "sandwich", "sub_layer")
    if isinstance(output, Tokens):
        own = LMHead(vocabulary=output.dim)
        last = Take(start=-output.length) if prefix else Steps()
        table = Steps(
            project=Optional(Linear(dim=ends.embedding), ends.project),
            table=Recall(TABLE),
            scores=LMHead(),
        )
        return Steps(last=last, norm=norm, scores=Match(ends.tied, {True: table, False: own}))
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
