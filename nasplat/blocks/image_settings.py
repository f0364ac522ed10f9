"""What the blocks of an image network decide together: per network, and per stage.

The decisions have names (``residual``, ``stages.<label>.heads``), so that every part that uses a setting
uses one decision. This module knows decisions and norms; it knows no mixers and no blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nasplat.graph.op import Expression
from nasplat.ops.merge import Add
from nasplat.ops.norm import (
    BatchInstanceNorm,
    BatchNorm,
    LayerNorm,
    LayerScale,
    RepBatchNorm,
    RMSNorm,
    UnifiedNorm,
)
from nasplat.ops.token_reduction import TokenMerge
from nasplat.space.arithmetic import Largest
from nasplat.space.choose import Choose, Match, Optional
from nasplat.space.decisions import Case, Choice
from nasplat.space.quantised import Quantised
from nasplat.space.repeat import Private
from nasplat.space.residual import Residual
from nasplat.space.wiring import Pick, Shared, Steps

RESIDUALS = (
    "none",
    "dense_concat",
    "partial_stage",
    "cross_layer_attention",
    "layer_memory",
    "residual_group",
    "latents",
)
"""What runs along depth where it is not plain sums alone: how blocks join, or what they share beside."""
POSITIONS = (
    "none",
    "absolute",
    "conv_conditional",
    "relative_bias",
    "dynamic_bias",
    "rope",
    "local_enhanced",
)
"""How place enters: at the input (the first three), in every attention, or beside its values."""

NOTHING = Steps()
"""Hands on what comes in."""
FEW = 32
"""Networks over all positions together are offered on at most so many positions a side."""


@dataclass(frozen=True)
class Domains:
    """The values that the settings of a stage may have, each with the default first or in the middle.

    Attributes:
        widths: Channels.
        depths: Numbers of blocks.
        heads: Numbers of heads.
        head_dims: Widths of a head.
        windows: Sides of a window.
        kernels: Odd sides of ordinary kernels.
        large_kernels: Odd sides of large kernels.
        ratios: Hidden over outer channels of feed-forward parts.
        experts: Numbers of experts.
        pools: By how much keys, values or queries are shortened along each side.
        side: Most positions along the shorter side of the image.
        even: Whether the positions along each side are even in number.
    """

    widths: Sequence[int]
    depths: Sequence[int]
    heads: Sequence[int]
    head_dims: Sequence[int | None]
    windows: Sequence[int]
    kernels: Sequence[int] = (3, 5, 7)
    large_kernels: Sequence[int] = (13, 21)
    ratios: Sequence[float] = (1, 2, 3, 4)
    experts: Sequence[int] = (2, 4)
    pools: Sequence[int] = (2,)
    side: int = 8
    even: bool = False


def ordered(values: Sequence[Any], at: float = 0.5, *, name: str | None = None) -> Any:
    """A choice whose default lies at a part of the way through the domain."""
    return Choice(*values, default=values[round(at * (len(values) - 1))], name=name)


@dataclass(frozen=True, eq=False)
class Network:
    """What a whole network decides once.

    Attributes:
        position: One of ``POSITIONS``.
        residual: ``plain`` or ``other``.
        residual_type: One of ``RESIDUALS``: the other.
        heads_kept: Quarters of the heads that pruning leaves.
        neurons_kept: Part of the hidden channels that pruning leaves.
        groups_kept: Quarters of the channels that pruning leaves, everywhere at once.
        mask: Which tokens a token sees.
        merged: Part of the tokens that merging leaves of what later blocks read.
    """

    position: Any = field(default_factory=lambda: Choice(*POSITIONS, name="position"))
    residual: Any = field(default_factory=lambda: Choice("plain", "other", name="residual"))
    residual_type: Any = field(default_factory=lambda: Choice(*RESIDUALS, name="residual_type"))
    heads_kept: Any = field(
        default_factory=lambda: Choice(2, 4, default=4, name="prune.heads_kept")
    )
    neurons_kept: Any = field(
        default_factory=lambda: Choice(0.5, 0.75, 1, default=1, name="prune.neurons_kept")
    )

    groups_kept: Any = field(
        default_factory=lambda: Choice(3, 4, default=4, name="prune.groups_kept")
    )
    mask: Any = field(
        default_factory=lambda: Choice("none", "causal", "soft_causal", name="attention_mask")
    )

    merged: Any = field(default_factory=lambda: Choice(0.25, 0.5, name="merged_keep_ratio"))

    @property
    def always(self) -> tuple[Any, ...]:
        """What the network decides in any case, see :class:`~nasplat.space.wiring.Decided`."""
        residual = self.by_residual(NOTHING, cross_layer_attention=TokenMerge(keep=self.merged))
        return (self.position, residual, self.heads_kept, self.neurons_kept, self.groups_kept)

    def by_residual(self, plain: Expression, **others: Expression) -> Match:
        """One expression for each way along depth; those not named are as the plain one."""
        other = Match(self.residual_type, {name: others.get(name, plain) for name in RESIDUALS})
        return Match(self.residual, {"plain": plain, "other": other})

    def by_position(self, otherwise: Any, **values: Any) -> Case:
        """A hyper-parameter that depends on how place enters."""
        return Case(self.position, {name: values.get(name, otherwise) for name in POSITIONS})

    @property
    def relative_bias(self) -> Case:
        """The form of the relative bias of attention."""
        return self.by_position("none", relative_bias="table", dynamic_bias="mlp")


class Stage:
    """What the blocks of one stage decide: once, under ``stages.<label>``, or each block for itself.

    Args:
        label: Of the stage.
        network: What the network decides.
        domains: The values to choose from.
        width: Channels of the stage: a decision or a case; absent: a decision of the stage.
        looped: Whether its blocks are applied several times, so that norms may be private to a turn.
    """

    def __init__(
        self,
        label: str,
        network: Network,
        domains: Domains,
        width: Any = None,
        *,
        looped: bool = False,
    ) -> None:
        self.label, self.network, self.domains = label, network, domains

        def name(setting: str) -> str:
            return f"stages.{label}.{setting}"

        self.given_width = (
            ordered(domains.widths, 0.7, name=name("width")) if width is None else width
        )
        self.width = self.given_width * network.groups_kept // 4
        self.depth = ordered(domains.depths, 0.3, name=name("depth"))
        self.depth_rule = Choice("free", "scaled", name=name("depth_rule"))
        self.period = Choice(1, 2, 3, default=2, name=name("period"))
        self.activation = Choice("gelu", "relu", "silu", name=name("activation"))
        self.precision = Choice("float", "int8", "int4", "per_layer", name=name("precision"))
        norm = Choose(
            layer=LayerNorm(),
            rms=RMSNorm(),
            batch=BatchNorm(),
            other=Choose(
                rep_batch=RepBatchNorm(),
                unified=UnifiedNorm(),
                batch_instance_mix=BatchInstanceNorm(),
            ),
        )
        self.norm: Expression = Shared(name("norm"), norm)
        if looped:
            whose = Choice("private_per_depth", "tied", name=name("loop_norms"))
            self.norm = Match(whose, {"private_per_depth": Private(self.norm), "tied": self.norm})
        self.scale = Shared(name("layer_scale"), Optional(LayerScale()))

        self.placement = Choice("pre", "post", "sandwich", name="norm_placement")
        self.layer_bits = {
            layer: (
                Choice(32, 8, 6, 4, 2, name=f"{layer}_weight_bits"),
                Choice(32, 16, 8, 6, 4, 1, name=f"{layer}_activation_bits"),
            )
            for layer in ("mixer", "ffn")
        }
        self.heads = ordered(domains.heads, 0.3, name="heads")
        self.head_dim = ordered(domains.head_dims, 0, name="head_dim")
        self.kv_heads = Choice(None, 1, name="kv_heads")
        self.window_side = ordered(domains.windows, 1, name="window_side")
        sides = sorted({-(-domains.side // blocks) for blocks in (2, 4)})
        self.block_side = ordered(sides, 1, name="block_side")
        self.kernel = ordered(domains.kernels, 0.5, name="kernel")
        self.large_kernel = ordered(domains.large_kernels, 0, name="large_kernel")
        self.pool = ordered(domains.pools, 0, name="attention_pool")
        self.local_share = Choice(0.25, 0.5, 0.75, default=0.5, name="local_share")
        self.ratio = ordered(domains.ratios, 0.4, name="ffn_ratio")
        self.experts = ordered(domains.experts, 0, name="experts")
        self.top_k = Choice(1, 2, name="top_k")

    @property
    def few(self) -> bool:
        """Whether weights for every pair of positions are affordable."""
        return self.domains.side <= FEW

    @property
    def common(self) -> tuple[Any, ...]:
        """What a :class:`~nasplat.space.repeat.Repeat` of blocks must not decide block by block."""
        return (*self.always, *vars(self.network).values())

    @property
    def always(self) -> tuple[Any, ...]:
        """What the stage decides in any case, see :class:`~nasplat.space.wiring.Decided`."""
        return (self.width, self.activation, self.precision, self.norm, self.scale)

    @property
    def headed(self) -> dict[str, Any]:
        """The fields that attention ops share; pruning leaves some of the heads."""
        kept = Largest(1, self.heads * self.network.heads_kept // 4)
        return {"heads": kept, "head_dim": self.head_dim, "kv_heads": self.kv_heads}

    @property
    def headed_evenly(self) -> dict[str, Any]:
        """The same with an even number of heads."""
        return {"heads": 2 * self.headed["heads"], "head_dim": self.head_dim}

    @property
    def hidden_ratio(self) -> Any:
        """Hidden over outer channels of feed-forward parts, after pruning."""
        return self.ratio * self.network.neurons_kept

    @property
    def block_always(self) -> tuple[Any, ...]:
        """What a block decides in any case."""
        own = self.precision_of("mixer") + self.precision_of("ffn")
        return (self.placement, *own)

    def precision_of(self, layer: str) -> tuple[Any, Any]:
        """Bits of the weights of a layer of a block and of what enters it.

        Args:
            layer: ``mixer``, ``ffn``, or anything else for a layer that decides nothing itself.
        """
        weight, activation = self.layer_bits.get(layer, (32, 32))
        fixed = {"float": 32, "int8": 8, "int4": 4}
        return (
            Case(self.precision, {**fixed, "per_layer": weight}),
            Case(self.precision, {**fixed, "int4": 8, "per_layer": activation}),
        )

    def quantised(self, body: Expression, layer: str = "stage") -> Quantised:
        """A part with the stage's bits, or its own where each layer has its own."""
        weight, activation = self.precision_of(layer)
        return Quantised(body, weight=weight, activation=activation)

    def sublayer(self, body: Expression, layer: str) -> Expression:
        """A body and its input joined as the network decides, with the stage's norm and bits.

        Args:
            body: What is learned.
            layer: ``mixer`` or ``ffn``.
        """
        merge = self.network.by_residual(Add(), none=Pick(1), dense_concat=Pick(1))
        residual = Residual(
            body,
            norm=self.norm,
            placement=self.placement,
            scale=self.scale,
            merge=merge,
        )
        return self.quantised(residual, layer)
