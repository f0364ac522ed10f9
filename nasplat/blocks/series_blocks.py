"""Blocks of networks over a series: attention, convolution, memory and their published arrangements.

Everything stands on ``Series(channels, positions)`` and keeps it. A block knows neither what its positions
are (frames, patches, variables) nor what the network is for.

References:
    [Gulati2020] A. Gulati et al. Conformer: convolution-augmented transformer for speech recognition.
        Interspeech 2020.
    [Kim2022] S. Kim et al. Squeezeformer: an efficient transformer for automatic speech recognition.
        NeurIPS 2022.
    [Yao2024] Z. Yao et al. Zipformer: a faster and better encoder for automatic speech recognition.
        ICLR 2024.
    [Zhao2023] S. Zhao, B. Ma. MossFormer: pushing the performance limit of monaural speech separation.
        ICASSP 2023.
    [Luo2022] J. Luo et al. Tiny-Sepformer: a tiny time-domain transformer network for speech separation.
        Interspeech 2022.
    [Liu2024] Z. Liu et al. LMUFormer: low complexity yet powerful spiking model with Legendre memory
        units. ICLR 2024.
    [Bai2023] J. Bai et al. Parameter-efficient conformers via sharing sparsely-gated experts. Interspeech
        2022.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nasplat.graph.op import Expression
from nasplat.ops.attention import LinearAttention, SelfAttention
from nasplat.ops.attention_edges import AttentionApply, AttentionScores
from nasplat.ops.attention_pooled import PooledAttention
from nasplat.ops.attention_sparse import BlockSparseAttention
from nasplat.ops.attention_window import WindowAttention
from nasplat.ops.conv import Conv, DepthwiseConv, SeparableConv, SqueezeGate
from nasplat.ops.ffn import MLP, GatedMLP
from nasplat.ops.merge import Add, Concat, Gated, Split
from nasplat.ops.mixer import ConvMixer
from nasplat.ops.moe import MoE
from nasplat.ops.norm import BatchNorm, BiasNorm, LayerNorm, LayerScale, RMSNorm
from nasplat.ops.recurrent import LinearRecurrence
from nasplat.ops.resample import Identity
from nasplat.ops.series import ToSeries, ToTokens
from nasplat.space.choose import Choose, Match, Optional
from nasplat.space.decisions import Case, Choice, Int
from nasplat.space.repeat import Private, Repeat
from nasplat.space.residual import Residual
from nasplat.space.wiring import Each, First, Parallel, Pick, Shared, Steps

HYBRIDS = ("macaron", "squeeze", "modules", "gated", "split")
"""Blocks in which attention and convolution work together."""
ATTENTIVE = ("transformer", "causal_transformer")
"""Blocks of attention and no convolution."""
CONVOLUTIONAL = ("conv", "causal_conv")
"""Blocks of convolutions and no attention."""


@dataclass(frozen=True)
class Domains:
    """What the decisions of blocks decide between.

    Attributes:
        depths: Blocks in a stage.
        heads: Heads of attention.
        kernels: Sides of convolutions.
        windows: Positions of a window of local attention.
        ratios: Hidden channels of feed-forward parts over channels.
        experts: Experts of a mixture.
        loops: How often a block with one set of weights is applied.
        orders: States of a memory.
    """

    depths: tuple[int, ...] = (1, 2)
    heads: tuple[int, ...] = (1, 2, 4)
    kernels: tuple[int, ...] = (3, 5, 7)
    windows: tuple[int, ...] = (2, 4)
    ratios: tuple[float, ...] = (1, 2, 4)
    experts: tuple[int, ...] = (2, 4)
    loops: tuple[int, ...] = (1, 2, 3)
    orders: tuple[int, ...] = (4, 8)


def number(values: tuple[Any, ...], name: str | None = None) -> Any:
    """A decision between numbers, by default the middle one."""
    return Choice(*values, default=values[(len(values) - 1) // 2], name=name)


@dataclass(frozen=True)
class Style:
    """What all blocks of one network share: norm, its place, activation, and what tied turns share.

    Attributes:
        domains: What the decisions decide between.
        norm: The normalisation; private to a turn of a tied block where ``turns`` says so.
    """

    domains: Domains
    placement: Any = field(
        default_factory=lambda: Choice("pre", "post", "sandwich", name="norm_placement")
    )
    reduced: Any = field(default_factory=lambda: Choice(False, True, name="input_scale"))
    activation: Any = field(
        default_factory=lambda: Choice(
            "silu", "relu", "gelu", "swoosh_r", "spiking", name="activation"
        )
    )
    turns: Any = field(default_factory=lambda: Choice("shared", "private", name="turns"))
    position: Any = field(
        default_factory=lambda: Choice("none", "absolute", "conv", "rope", name="position")
    )
    norm: Expression = field(
        default_factory=lambda: Shared(
            "norm", Choose(layer=LayerNorm(), rms=RMSNorm(), batch=BatchNorm(), bias=BiasNorm())
        )
    )

    def private(self, body: Expression) -> Expression:
        """A part that has weights of its own in every turn of a tied block, if the network says so."""
        return Match(self.turns, {"shared": body, "private": Private(body)})

    def residual(self, body: Expression, scale: float | None = None) -> Residual:
        """A sub-layer: a body with a skip, a norm, and at its entrance a learned scale or not."""
        entered = Optional(LayerScale(initial=1.0), self.reduced) >> body
        scaled = None if scale is None else LayerScale(initial=scale)
        norm = self.private(self.norm)
        return Residual(entered, norm=norm, placement=self.placement, scale=scaled)

    @property
    def rotary(self) -> Any:
        """Share of a head that is rotated by position."""
        return Case(self.position, {"none": 0.0, "absolute": 0.0, "conv": 0.0, "rope": 1.0})


def attention(style: Style, heads: Any) -> Expression:
    """Attention over all positions, within windows, in linear time, pooled, or of chosen blocks."""
    window = Choice(*style.domains.windows)
    return Choose(
        **{"global": SelfAttention(heads=heads, rotary=style.rotary)},
        window=WindowAttention(window=window, shifted=Choice(False, True), heads=heads),
        linear=LinearAttention(feature_map=Choice("relu", "elu"), heads=heads),
        pooled=PooledAttention(kv_stride=2, pool="avg", heads=heads),
        sparse=sparse(style, heads),
    )


def sparse(style: Style, heads: Any) -> Expression:
    """Attention of blocks of positions to the few blocks that match them best."""
    return BlockSparseAttention(
        block=Choice(*style.domains.windows),
        density=Choice(0.25, 0.5),
        heads=heads,
    )


def convolution(style: Style) -> Expression:
    """One convolution module: depthwise between two linear maps, separable, standard, or of many sizes."""
    kernels = style.domains.kernels
    kernel = number(kernels)
    many = {
        f"size{size}": DepthwiseConv(kernel=size, norm="batch", activation="silu")
        for size in kernels
    }
    return Steps(
        kind=Choose(
            depthwise=ConvMixer(kernel=kernel, ratio=Choice(1, 2), activation="silu"),
            separable=SeparableConv(kernel=kernel, activation="silu"),
            standard=Conv(kernel=kernel, norm="batch", activation="silu"),
            multi_kernel=Parallel(fuse=Choose(sum=Add(), concat=Concat()), **many),
        ),
        squeeze=Optional(SqueezeGate(reduction=Choice(2, 4))),
    )


def feed_forward(style: Style) -> Expression:
    """Channel mixing: an MLP, a gated one, or a mixture of experts with or without a router of its own."""
    domains = style.domains
    experts, ratio = number(domains.experts), number(domains.ratios)
    routed = MoE(experts=experts, top_k=Choice(1, 2), width=1, activation=style.activation)
    router = style.private(Conv(channels=experts, kernel=1))
    return Choose(
        mlp=MLP(ratio=ratio, activation=style.activation),
        gated=GatedMLP(ratio=ratio, gate=Choice("swiglu", "glu", "geglu")),
        moe=Steps(
            router=Choose(
                token_choice=routed,
                per_depth=Parallel(Identity(), router, fuse=routed),
            )
        ),
    )


def block(style: Style, slot: str) -> Expression:
    """One of the arrangements of sub-layers; all read the same decisions below ``slot``.

    ``transformer``: attention, feed-forward. ``macaron``: half a feed-forward part before attention and
    convolution, half behind [Gulati2020]. ``squeeze``: a feed-forward part behind each of the two
    [Kim2022]. ``gated``: attention within chunks and over all, gated, with convolutions [Zhao2023].
    ``modules``: one set of attention weights read by three
    mixing modules among feed-forward parts and convolutions, with one norm at the end [Yao2024].
    ``split``: attention on some channels, convolution on the others [Luo2022]. ``memory``: a linear
    recurrence and a convolution of channels [Liu2024]. ``conv``: convolution alone. The two ``causal``
    blocks see no later position.

    Args:
        style: What the network shares.
        slot: Path below which the decisions of the stage stand.
    """
    domains = style.domains
    heads = number(domains.heads, f"{slot}.heads")
    attend = Shared(f"{slot}.attention", attention(style, heads))
    convolve = Shared(f"{slot}.conv", convolution(style))
    ffn = Shared(f"{slot}.ffn", feed_forward(style))
    kernel = number(domains.kernels, f"{slot}.causal_kernel")

    def half() -> Expression:
        return style.residual(ffn, scale=0.5)

    def full(body: Expression) -> Expression:
        return style.residual(body)

    shares = Int(1, 3, default=2)
    split = Split(shares=(shares, 4 - shares)) >> Each(attention=attend, conv=convolve)
    options: dict[str, Expression] = {
        "transformer": Steps(attention=full(attend), ffn=full(ffn)),
        "macaron": Steps(before=half(), attention=full(attend), conv=full(convolve), after=half()),
        "squeeze": Steps(
            attention=full(attend), middle=full(ffn), conv=full(convolve), ffn=full(ffn)
        ),
        "modules": modules(heads, style, convolve, ffn),
        "gated": Steps(mixer=full(gated(style))),
        "split": Steps(mixer=full(split >> Concat(project=False)), ffn=full(ffn)),
        "memory": Steps(
            memory=full(
                LinearRecurrence(
                    basis=Choice("legendre", "diagonal", "distilled"), order=number(domains.orders)
                )
            ),
            mixer=full(Conv(kernel=1, norm="batch", activation=style.activation)),
        ),
        "conv": Steps(conv=full(convolve)),
        "causal_transformer": Steps(
            attention=full(SelfAttention(mask="causal", heads=heads, rotary=style.rotary)),
            ffn=full(ffn),
        ),
        "causal_conv": Steps(
            first=full(Conv(kernel=kernel, causal=True, norm="batch", activation="silu")),
            second=full(Conv(kernel=kernel, dilation=2, causal=True, norm="batch")),
        ),
    }
    return Shared(f"{slot}.arrangement", Choose(**options))


def modules(heads: Any, style: Style, convolve: Expression, ffn: Expression) -> Expression:
    """One edge of attention weights that three modules read [Yao2024]."""

    def mix(nonlinear: bool) -> Expression:
        weighed = Parallel(Pick(1), Pick(0) >> ToTokens()) >> AttentionApply(nonlinear=nonlinear)
        return Parallel(Parallel(Pick(0), weighed >> ToSeries(), fuse=Add()), Pick(1))

    def beside(body: Expression) -> Expression:
        return First(Residual(body))

    weights = ToTokens() >> AttentionScores(heads=heads)
    return Steps(
        weights=Parallel(Identity(), weights),
        gated_mix=mix(nonlinear=True),
        first_mix=mix(nonlinear=False),
        first_conv=beside(convolve),
        first_ffn=beside(ffn),
        second_mix=mix(nonlinear=False),
        second_conv=beside(convolve),
        second_ffn=beside(ffn),
        norm=Pick(0) >> style.private(style.norm),
    )


def gated(style: Style) -> Expression:
    """One head within chunks and one over all positions, times gates from a convolution [Zhao2023]."""
    domains = style.domains
    joint = Parallel(
        chunks=WindowAttention(window=Choice(*domains.windows), heads=1),
        everywhere=LinearAttention(feature_map="relu", heads=1),
        fuse=Add(),
    )
    enter = Conv(kernel=1) >> DepthwiseConv(kernel=number(domains.kernels), activation="silu")
    gate = Conv(kernel=1) >> DepthwiseConv(kernel=number(domains.kernels), activation="silu")
    product = Gated(form="product", gate_from="second")
    both = Parallel(attended=enter >> joint, gate=gate, fuse=product)
    return both >> Conv(kernel=1)


def stage(style: Style, slot: str) -> Expression:
    """Blocks that look alike: a number of them in a row, each applied a number of times.

    The turns of one block share its weights, but for norms and routers where ``turns`` is ``private``
    [Bai2023].

    Args:
        style: What the network shares.
        slot: Path below which its decisions stand.
    """
    domains = style.domains
    tied = Repeat(block(style, slot), number(domains.loops, f"{slot}.loops"), share="weights")
    depth = number(domains.depths, f"{slot}.depth")
    return Repeat(tied, depth, share="decisions")
