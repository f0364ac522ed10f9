"""Feed-forward parts of text blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplat.blocks.text_settings import TextSettings
from nasplat.graph.op import Expression
from nasplat.ops.ffn import MLP, GatedMLP, SparseCodingStep
from nasplat.ops.linear import HashLookupLinear, TokenParameterAttention
from nasplat.ops.moe import MoE
from nasplat.ops.norm import Activation
from nasplat.space.choose import Match
from nasplat.space.decisions import Case, Choice, domain
from nasplat.space.wiring import Decided, Steps

FFNS = (
    "gated",
    "mlp",
    "deep_mlp",
    "moe",
    "lookup_table",
    "token_parameter",
    "sparse_coding",
)
ROUTERS = ("token_choice", "key_similarity", "hashed_clusters")


@dataclass(frozen=True, eq=False)
class FFNDomains:
    """Values that feed-forward parts are offered with.

    Attributes:
        ratios: Channels inside over channels.
        experts: Routed experts.
        top_ks: Experts that count, at most the fewest ``experts``.
        routers: Of ``ROUTERS``; ``hashed_clusters`` mixes tokens.
    """

    ratios: tuple[float, ...]
    experts: tuple[int, ...]
    top_ks: tuple[int, ...]
    routers: tuple[str, ...] = ROUTERS


def ffn_part(settings: TextSettings, stage: str, domains: FFNDomains) -> Expression:
    """The feed-forward part of a stage: one kind for all its blocks."""
    s = settings
    ratio = Choice(*domains.ratios, name=f"{stage}.ratio")
    inside = s.width * ratio if all(isinstance(value, int) for value in domains.ratios) else None
    gate = Choice("swiglu", "geglu", "glu", name=f"{stage}.gate")
    plain = {"ratio": ratio, "activation": s.activation, "bias": s.bias, "norm": s.inner_norm}
    lookup = Steps(up=HashLookupLinear(address_bits=4), down=HashLookupLinear(address_bits=4))
    options: dict[str, Expression] = {
        "gated": GatedMLP(ratio=ratio, gate=gate, bias=s.bias, norm=s.inner_norm),
        "mlp": _mlp(s, MLP(**plain), inside),
        "deep_mlp": MLP(depth=3, **plain),
        "moe": moe_part(s, stage, domains, ratio),
        "lookup_table": lookup,
        "token_parameter": TokenParameterAttention(ratio=ratio),
        "sparse_coding": SparseCodingStep(),
    }
    kind = Choice(*FFNS, name=f"{stage}.ffn")
    return Decided(Match(kind, {name: options[name] for name in FFNS}), (ratio,))


def _mlp(s: TextSettings, dense: MLP, inside: Any) -> Expression:
    """An MLP, of maps of the kind that is decided where its width is a whole multiple."""
    if inside is None:
        return dense

    def maps(kind: str) -> Expression:
        return Steps(
            up=s.map_of(kind, inside),
            activation=Activation(form=s.activation),
            norm=s.norm_where("sub_layer"),
            down=s.map_of(kind, s.width),
        )

    kinds = [kind for kind in domain(s.linear) if kind != "dense"]
    return s.part(s.linear, {kind: maps(kind) for kind in kinds}, dense)


def moe_part(settings: TextSettings, stage: str, domains: FFNDomains, ratio: Any) -> Expression:
    """A mixture of experts."""
    gate = Choice("none", "swiglu", name=f"{stage}.expert_gate")
    gated: Any = Case(gate, {"none": None, "swiglu": "swiglu"})
    return MoE(
        experts=Choice(*domains.experts, name=f"{stage}.experts"),
        top_k=Choice(*domains.top_ks, name=f"{stage}.top_k"),
        shared_experts=Choice(0, 1, name=f"{stage}.shared"),
        router=Choice(*domains.routers, name=f"{stage}.router"),
        gate=gated,
        width=ratio,
        activation=settings.activation,
        bias=settings.bias,
        mask=settings.order_mask,
    )


def shortcut_experts(settings: TextSettings, stage: str, domains: FFNDomains) -> Expression:
    """Routed experts that read what enters a block beside its dense path [Cai2024].

    References:
        [Cai2024] W. Cai et al. Shortcut-connected expert parallelism for accelerating mixture-of-experts.
            2024.
    """
    experts = MoE(
        experts=Choice(*domains.experts, name=f"{stage}.shortcut_experts"),
        top_k=Choice(*domains.top_ks, name=f"{stage}.shortcut_top_k"),
        width=1,
        activation=settings.activation,
        bias=settings.bias,
    )
    return Steps(norm=settings.norm_where("pre", "sandwich", "sub_layer"), experts=experts)
