"""Mixers of the positions of a text: attention in its kinds, scans, convolutions, transforms.

Every mixer that is offered under a causal mask sees no later position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplat.blocks.text_settings import TextSettings
from nasplat.graph.op import Expression
from nasplat.ops.attention import LinearAttention, SelfAttention
from nasplat.ops.attention_edges import CachedAttention, KVProjection
from nasplat.ops.attention_forms import ComplexAttention, GatedAttentionUnit, MoEAttention
from nasplat.ops.attention_sparse import (
    BlockSparseAttention,
    LocalSummaryAttention,
    TopKAttention,
)
from nasplat.ops.attention_window import SlidingWindowAttention
from nasplat.ops.conv_long import LongConv
from nasplat.ops.mixer import FourierMixer
from nasplat.ops.projected import ProjectedAttention
from nasplat.ops.recurrent import LinearRecurrence
from nasplat.ops.ssm import XLSTM, SelectiveSSM
from nasplat.space.arithmetic import Largest
from nasplat.space.choose import Match
from nasplat.space.decisions import Choice, domain
from nasplat.space.wiring import Decided, Each, Parallel, Steps

MIXERS = (
    "attention",
    "sliding",
    "linear",
    "ssm",
    "recurrence",
    "long_conv",
    "xlstm",
    "fourier",
)
KERNELS = (
    "softmax",
    "topk",
    "block_sparse",
    "local_summary",
    "complex",
    "moe",
    "gated",
    "low_rank_cache",
)
KEEPS = (0.5, 0.25, 0.125, 0.4858)
"""Shares of keys that sparse kernels keep; the last is the one of ChunkLLM."""


@dataclass(frozen=True, eq=False)
class MixerDomains:
    """Values that mixers are offered with.

    Attributes:
        heads: Heads of an attention.
        head_dims: Width of a head.
        kv_groups: Queries that share a head of keys and values.
        radii: Tokens that an attention over neighbours looks back.
        states: Size of the state of a scan.
        isolating: Whether the mask isolates candidates, which only full attention with softmax can.
    """

    heads: tuple[int, ...]
    head_dims: tuple[int, ...]
    kv_groups: tuple[int, ...]
    radii: tuple[int, ...]
    states: tuple[int, ...]
    isolating: bool = False


@dataclass(frozen=True, eq=False)
class Heads:
    """Decisions on the heads of a stage.

    Attributes:
        count: Heads of the queries.
        width: Width of a head.
        groups: Queries that share a head of keys and values.
    """

    count: Any
    width: Any
    groups: Any

    @property
    def shared(self) -> Any:
        """Heads of keys and values."""
        return Largest(1, self.count // self.groups)

    @property
    def fields(self) -> dict[str, Any]:
        """As fields of an attention op."""
        return {"heads": self.count, "kv_heads": self.shared, "head_dim": self.width}


def heads_of(stage: str, domains: MixerDomains) -> Heads:
    """The decisions on heads, under the name of a stage."""
    return Heads(
        Choice(*domains.heads, name=f"{stage}.heads"),
        Choice(*domains.head_dims, name=f"{stage}.head_dim"),
        Choice(*domains.kv_groups, name=f"{stage}.kv_groups"),
    )


def mixer_part(settings: TextSettings, stage: str, domains: MixerDomains) -> Expression:
    """The mixer of a stage: one kind for all its blocks."""
    s, heads = settings, heads_of(stage, domains)
    biases = {"bias": s.bias, "out_bias": s.bias}
    attention = attention_part(s, stage, heads, domains)
    if domains.isolating:
        return attention
    radius = Choice(*domains.radii, name=f"{stage}.radius")
    state = Choice(*domains.states, name=f"{stage}.state")
    options: dict[str, Expression] = {
        "attention": attention,
        "sliding": SlidingWindowAttention(
            radius=radius, mask=s.order_mask, rotary=s.rotated, **heads.fields, **biases
        ),
        "linear": LinearAttention(
            feature_map=Choice("elu", "relu", "learned", name=f"{stage}.feature_map"),
            mask=s.order_mask,
            offset_weight=s.by(s.position, {"relative_bias": "toeplitz"}, "decay"),
            **heads.fields,
            **biases,
        ),
        "ssm": SelectiveSSM(
            state=state,
            expand=Choice(1, 2, default=2, name=f"{stage}.expand"),
            scans=s.by(s.mask, {"causal": "forward"}, "two_way"),
        ),
        "recurrence": LinearRecurrence(
            basis=Choice("diagonal", "distilled", name=f"{stage}.basis"), order=state
        ),
        "long_conv": LongConv(
            filter=Choice("implicit", "explicit", name=f"{stage}.filter"),
            causal=s.by(s.mask, {"causal": True}, False),
        ),
        "xlstm": XLSTM(
            memory=Choice("matrix", "scalar", name=f"{stage}.memory"),
            heads=2,
            directions=s.by(s.mask, {"causal": 1}, 2),
        ),
        "fourier": FourierMixer(
            axes=Choice("sequence", "sequence_and_channel", name=f"{stage}.transform"),
            mask=s.order_mask,
        ),
    }
    kind = Choice(*MIXERS, name=f"{stage}.mixer")
    return Match(kind, {name: options[name] for name in MIXERS})


def attention_part(
    settings: TextSettings, stage: str, heads: Heads, domains: MixerDomains
) -> Expression:
    """Attention over all positions, by its kernel."""
    s = settings
    fields = {**heads.fields, "bias": s.bias, "out_bias": s.bias, "mask": s.order_mask}
    keep = Choice(*KEEPS, name=f"{stage}.keep")
    near = Choice(*domains.radii, name=f"{stage}.near")
    options: dict[str, Expression] = {
        "softmax": softmax_part(s, heads),
        "topk": TopKAttention(keep=keep, rotary=s.rotated, **fields),
        "block_sparse": BlockSparseAttention(
            density=keep,
            block=near,
            select_by=Choice("chunk_adapter", "score", name=f"{stage}.select"),
            adapter=8,
            rotary=s.rotated,
            **fields,
        ),
        "local_summary": LocalSummaryAttention(radius=near, summary_stride=near, **fields),
        "complex": ComplexAttention(**fields),
        "moe": MoEAttention(
            experts=Choice(2, 4, name=f"{stage}.head_experts"),
            top_k=Choice(1, 2, name=f"{stage}.head_top_k"),
            heads=heads.count,
            head_dim=heads.width,
            bias=s.bias,
            mask=s.order_mask,
            rotary=s.rotated,
        ),
        "gated": GatedAttentionUnit(
            expand=Choice(1, 2, name=f"{stage}.unit_expand"),
            key_dim=heads.width,
            chunk=domains.radii[-1],
            mask=s.order_mask,
        ),
        "low_rank_cache": cache_part(s, stage, heads),
    }
    offered = ("softmax",) if domains.isolating else KERNELS
    kernel = Choice(*offered, name=f"{stage}.kernel")
    body = Match(kernel, {name: options[name] for name in offered})
    return Decided(body, (heads.count, heads.width, heads.groups))


def softmax_part(settings: TextSettings, heads: Heads) -> Expression:
    """Softmax attention: one op, or nodes of their own where projections are special or normalised."""
    s = settings
    whole = SelfAttention(
        mask=s.mask,
        prefix=s.prefix,
        segment=s.segment,
        rotary=s.rotated,
        rotary_base=s.rotary_base,
        relative_bias=s.relative,
        bias=s.bias,
        out_bias=s.bias,
        **heads.fields,
    )
    dense = s.part(s.placement, {"sub_layer": projected_part(s, heads, "dense")}, whole)
    others = [kind for kind in domain(s.linear) if kind != "dense"]
    return s.part(s.linear, {kind: projected_part(s, heads, kind) for kind in others}, dense)


def projected_part(
    settings: TextSettings, heads: Heads, kind: str, streams: bool = False
) -> Expression:
    """Softmax attention whose projections are nodes.

    Args:
        settings: Of the network.
        heads: Of the stage.
        kind: Of the projections.
        streams: Whether queries, keys and values come in as three inputs, else they are made from one.
    """
    s = settings
    keys = heads.shared * heads.width
    maps = [s.map_of(kind, heads.count * heads.width), s.map_of(kind, keys), s.map_of(kind, keys)]
    mix = ProjectedAttention(
        heads=heads.count,
        kv_heads=heads.shared,
        mask=s.mask,
        prefix=s.prefix,
        segment=s.segment,
        rotary=s.rotated,
        rotary_base=s.rotary_base,
        relative_bias=s.relative,
    )
    names = ("query", "key", "value")
    projected = dict(zip(names, maps, strict=True))
    return Steps(
        projections=Each(**projected) if streams else Parallel(**projected),
        mix=mix,
        norm=s.norm_where("sub_layer"),
        out=s.map_of(kind, s.width),
    )


def cache_part(settings: TextSettings, stage: str, heads: Heads) -> Expression:
    """Attention to an exact cache of recent keys and values and to a compressed one of all others [Wang2024].

    References:
        [Wang2024] L. Wang et al. CSKV: training-efficient channel shrinking for KV cache. 2024.
    """
    s = settings
    rotary = {"rotary": s.rotated, "rotary_base": s.rotary_base}
    keys = {"heads": heads.shared, "head_dim": heads.width, "bias": s.bias, **rotary}
    rank = Choice(4, 8, name=f"{stage}.cache_rank")
    return Steps(
        caches=Parallel(
            tokens=Steps(), exact=KVProjection(**keys), compressed=KVProjection(rank=rank, **keys)
        ),
        attention=CachedAttention(
            heads=heads.count,
            bias=s.bias,
            out_bias=s.bias,
            mask=s.order_mask,
            recent=8,
            **rotary,
        ),
    )
