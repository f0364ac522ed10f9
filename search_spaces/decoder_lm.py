"""Text networks: decoder-only language models, and encoders of text for classes, vectors and matching.

Three stages of blocks, each with a mixer and a feed-forward part of one kind, stand in one of seven shapes: a
chain whose middle is a loop, a chain with exits, an hourglass, global and local levels over fixed blocks or
learned chunks, two decoders with one cache, a middle that tokens skip, layers that read all before them.
Attention in its kernels, scans, long convolutions and transforms mix positions; what stands under a causal
mask never sees a later token. Positions, norms, linear maps, experts, embeddings, heads, bits of weights and
the learning rate are decisions too.

Papers (the choices are theirs; the space as a whole is ours):
    GPT-2: A. Radford et al. 2019.            LLaMA: H. Touvron et al. 2023.
    BERT: J. Devlin et al. NAACL 2019.        FNet: J. Lee-Thorp et al. NAACL 2022.
    ALBERT: Z. Lan et al. ICLR 2020.          Mamba: A. Gu, T. Dao. 2023.
    Mixtral: A. Q. Jiang et al. 2024.         MEGABYTE: L. Yu et al. NeurIPS 2023.
    H-Net: S. Hwang et al. 2025.              YOCO: Y. Sun et al. NeurIPS 2024.
    nGPT: I. Loshchilov et al. ICLR 2025.     MUDDFormer: D. Xiao et al. ICML 2025.
    TokenFormer: H. Wang et al. 2024.         MoEUT: R. Csordas et al. NeurIPS 2024.

Types: ``Ids(n, v) -> Tokens(n, v)`` (language modelling), ``Ids -> Logits``, ``Ids -> Vector``; two ``Ids``
to ``Logits(k)`` (a context and k candidates), or to ``Tokens`` of the second (a context that is compressed).

Size and cost follow from the number of tokens by one rule (:func:`sizes_of`); parameters of most random ones:

    example     types                              candidates   parameters
    language    Ids(64, 256) -> Tokens(64, 256)    2.4e+28      50 k .. 365 k
    classes     Ids(64, 256) -> Logits(4)          1.1e+28      34 k .. 315 k
    1,024 tokens, 50,257 words                     3.3e+29      47 M .. 411 M

Command:
    nasplat search --space decoder-lm --budget 10min
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nasplat.blocks.text_axes import axes
from nasplat.blocks.text_ends import (
    TOKENIZERS,
    compressed_part,
    embed_part,
    head_part,
    open_ends,
)
from nasplat.blocks.text_ffns import ROUTERS, FFNDomains
from nasplat.blocks.text_mixers import MixerDomains
from nasplat.blocks.text_settings import LINEARS, RESIDUALS, open_settings
from nasplat.blocks.text_trunks import Trunks, stage_of
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Ids, Logits, TensorType, Tokens, Vector, show_types
from nasplat.space.choose import Match
from nasplat.space.decisions import Choice
from nasplat.space.load import Typed, Types
from nasplat.space.quantised import Quantised
from nasplat.space.space import Space
from nasplat.space.wiring import Decided, Steps

TASK = "stdlib-text?size=32768"
"""The task that it is searched on unless told otherwise."""
EXAMPLES: Mapping[str, Types] = {
    "language": Types({"ids": Ids(64, 256)}, {"logits": Tokens(64, 256)}),
    "classes": Types({"ids": Ids(64, 256)}, {"logits": Logits(4)}),
    "program": Types({"ids": Ids(128, 64)}, {"logits": Tokens(128, 64)}),
    "vector": Types({"ids": Ids(32, 256)}, {"vector": Vector(16)}),
    "matching": Types({"context": Ids(16, 256), "candidates": Ids(32, 256)}, {"logits": Logits(4)}),
    "context": Types({"context": Ids(32, 256), "ids": Ids(16, 256)}, {"logits": Tokens(16, 256)}),
}
"""Reduced problems; the first is the embedded task."""


@dataclass(frozen=True)
class Sizes:
    """Domains of sizes; None: by the rule of :func:`sizes_of`."""

    widths: tuple[int, ...] | None = None
    embeddings: tuple[int, ...] | None = None
    depths: tuple[int, ...] | None = None
    end_depths: tuple[int, ...] | None = None
    loops: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    head_dims: tuple[int, ...] | None = None
    kv_groups: tuple[int, ...] | None = None
    radii: tuple[int, ...] | None = None
    states: tuple[int, ...] | None = None
    ratios: tuple[float, ...] | None = None
    experts: tuple[int, ...] | None = None
    top_ks: tuple[int, ...] | None = None
    blocks: tuple[int, ...] | None = None
    rotaries: tuple[float, ...] | None = None
    rotary_base: float = 10000.0
    types: int = 2
    bits: tuple[float, ...] = (32, 8, 4, 2, 1)
    shapes: tuple[str, ...] | None = None
    linears: tuple[str, ...] = LINEARS
    residuals: tuple[str, ...] = RESIDUALS


def sizes_of(length: int) -> Sizes:
    """Domains that grow with the number of tokens.

    Widths are half, three quarters and all of the tokens, from 32 to 1,024; stages grow to 24 blocks.
    """
    top = min(1024, max(64, length))
    head = max(8, min(64, top // 4))
    deepest = max(6, min(24, 13 * length // 128))
    depths = tuple(depth for depth in (1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 24) if depth <= deepest)
    few = tuple(width // head for width in (top // 2, 3 * top // 4, top))
    return Sizes(
        widths=(top // 2, 3 * top // 4, top),
        embeddings=(top // 4, top // 2),
        depths=depths,
        end_depths=tuple(depth for depth in depths if depth <= max(2, deepest // 4)),
        loops=(1, 2, 3, 4),
        heads=(*few, 2 * few[-1], 4 * few[-1]),
        head_dims=(head, head // 2),
        kv_groups=(1, 2, 4),
        radii=(max(2, length // 16), max(4, length // 8)),
        states=(8, 16),
        ratios=(1, 2, 3, 4),
        experts=(2, 4) if length < 512 else (4, 8),
        top_ks=(1, 2),
        blocks=tuple(block for block in (2, 4, 8) if block < length),
        rotaries=(1.0, 0.5),
    )


def space(task: Typed, *, recipe: bool = True, sizes: Sizes | None = None) -> Space:
    """The space for the integers and outputs of a task.

    Args:
        task: Types as in the module's docstring, of at least 8 tokens.
        recipe: Whether the learning rate is a decision, or left to the trainer.
        sizes: Domains; what is left out follows from the task. They are those of one published model as
            a rule, so single options are not tried one by one.

    Raises:
        SpaceError: The task has other inputs or outputs.
    """
    inputs, output = _types(task)
    length = sum(ids.length for ids in inputs)
    ruled, given = sizes_of(length), sizes or Sizes()
    z = replace(given, **{k: v for k, v in vars(ruled).items() if getattr(given, k) is None})
    masked = getattr(task, "preprocessing", {}).get("objective") == "masked"
    prefix = inputs[0].length if len(inputs) == 2 else 0
    segment = 0
    masks: tuple[str, ...] = ("none", "causal")
    if isinstance(output, Tokens):
        masks = ("none",) if masked else ("causal",)
    elif len(inputs) == 2 and isinstance(output, Logits):
        segment = inputs[1].length // output.classes
        masks = ("candidate_isolating", "none")
    s = open_settings(
        widths=_of(z.widths),
        masks=masks,
        prefix=prefix,
        segment=max(1, segment),
        rotaries=_of(z.rotaries),
        rotary_base=z.rotary_base,
        linears=z.linears,
        residuals=z.residuals,
    )
    mixers = MixerDomains(
        heads=_of(z.heads),
        head_dims=_of(z.head_dims),
        kv_groups=_of(z.kv_groups),
        radii=_of(z.radii),
        states=_of(z.states),
        isolating=segment > 0,
    )
    ffns = FFNDomains(
        ratios=_of(z.ratios),
        experts=_of(z.experts),
        top_ks=_of(z.top_ks),
        routers=ROUTERS[:2] if segment else ROUTERS,
    )
    # Groups of integers would reach over the edge of a candidate.
    tokenizers = TOKENIZERS[:1] if segment else TOKENIZERS
    ends = open_ends(_of(z.embeddings), levels=4, types=z.types, tokenizers=tokenizers)
    outer, inner = _of(z.end_depths), _of(z.depths)
    trunks = Trunks(
        settings=s,
        stages=(
            stage_of(s, "stages.0", outer, mixers, ffns),
            stage_of(s, "stages.1", inner, mixers, ffns),
            stage_of(s, "stages.2", outer, mixers, ffns),
        ),
        length=length,
        loops=Choice(*_of(z.loops), name="loops"),
        ends=Choice(False, True, name="ends"),
        down=Choice("fixed_blocks", "learned_chunk", name="down"),
        skip=Choice(True, False, name="skip"),
        block=Choice(*_of(z.blocks), name="block"),
        ratio=Choice(3, 6, name="chunk"),
    )
    head = head_part(s, ends, output, prefix=prefix, segment=segment)
    shapes: dict[str, Expression] = {"chain": trunks.chain(head)}
    if len(inputs) == 1:
        shapes["dense"] = trunks.dense(head)
        shapes["skip_middle"] = trunks.skip_middle(head)
        shapes["decoder_decoder"] = trunks.decoder_decoder(head)
        if not isinstance(output, Vector):
            shapes["exits"] = trunks.exits(head)
        if masks == ("causal",):
            shapes["hourglass"] = trunks.hourglass(head)
            shapes["global_local"] = trunks.global_local(head)
    buckets = 4 * min(1024, inputs[0].vocabulary)
    if prefix and not segment:
        encoder = stage_of(s, "encoder", outer, mixers, ffns).body
        embed = compressed_part(s, ends, buckets, (0.5, 0.25, 0.125), encoder)
    else:
        embed = embed_part(s, ends, prefix or None, buckets)
    offered = {name: shapes[name] for name in z.shapes or shapes}
    shape = Match(Choice(*offered, name="shape"), offered)
    trunk = Quantised(shape, weight=Choice(*z.bits, name="bits"))
    shared = (*s.decisions, ends.tokenizer, ends.project, ends.embed_norm, ends.segments)
    decided = {"lr": Choice(0.001, 0.002, 0.004, default=0.002)}
    return Space(
        Steps(network=Decided(Steps(embed=embed, trunk=trunk), shared)),
        task.inputs,
        task.outputs,
        recipe=decided if recipe else None,
        name="decoder-lm",
        check=Space.CHECKED if sizes is None else None,
        axes=axes(_of(z.heads)),
    )


def _of(domain: Any) -> Any:
    """A domain that the rule has filled in."""
    return domain


def _types(task: Typed) -> tuple[list[Ids], TensorType]:
    """The integers that come in, and the output."""
    inputs, outputs = tuple(task.inputs.values()), tuple(task.outputs.values())
    ids = [item for item in inputs if isinstance(item, Ids)]
    output = outputs[0]
    fits = (
        len(ids) == len(inputs) in (1, 2) and len(outputs) == 1 and min(i.length for i in ids) > 7
    )
    if fits and isinstance(output, Tokens):
        fits = (ids[-1].length, ids[-1].vocabulary) == (output.length, output.dim)
    elif fits and len(ids) == 2:
        fits = isinstance(output, Logits) and ids[1].length % output.classes == 0
    elif fits:
        fits = isinstance(output, Logits | Vector)
    if not fits:
        raise SpaceError(
            "decoder-lm maps Ids(n, v) of at least 8 to Tokens(n, v), Logits or Vector, or two such Ids "
            "to Logits that divide the second, or to Tokens of the second; the task maps "
            f"{show_types(inputs)} to {show_types(outputs)}"
        )
    return ids, output
