"""Mixers of the positions of an image: convolutions, attention, both at once, and neither.

Every function gives the options of one family on a stage; what a stage decides once is in
:class:`~nasplat.blocks.image_settings.Stage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasplat.blocks.image_settings import NOTHING, Stage
from nasplat.graph.op import Expression
from nasplat.ops.attention import CrossCovarianceAttention, LinearAttention, SelfAttention
from nasplat.ops.attention_forms import HashedBinaryAttention, SubspaceAttention
from nasplat.ops.attention_pooled import PooledAttention
from nasplat.ops.attention_sparse import LocalSummaryAttention, TopKAttention
from nasplat.ops.attention_window import (
    AxisAttention,
    DilatedGroupAttention,
    StripeAttention,
    WindowAttention,
)
from nasplat.ops.conv import Conv, DepthwiseConv, MBConv, SeparableConv, SqueezeGate
from nasplat.ops.conv_dynamic import DeformableConv, DynamicConv
from nasplat.ops.conv_multi import LargeKernelConv, MultiDilationConv, MultiKernelConv
from nasplat.ops.conv_residual import ResidualConvBlock
from nasplat.ops.dense import ContextGate
from nasplat.ops.ffn import MLP
from nasplat.ops.linear import Linear
from nasplat.ops.merge import Add, Concat, Gated, Split, WeightedAdd
from nasplat.ops.mixer import ConvMixer, FourierMixer, PoolMixer
from nasplat.ops.mixer_context import FocalModulation
from nasplat.ops.mixer_tokens import CircularConvMixer, ShuffleMixer, SpatialGatingUnit, TokenMLP
from nasplat.ops.moe import MoE
from nasplat.ops.norm import Activation
from nasplat.ops.rearrange import WaveletTransform
from nasplat.ops.resample import Pool, Upsample
from nasplat.ops.selective import AttentionMerge, SelectiveMerge
from nasplat.space.arithmetic import Smallest
from nasplat.space.choose import Choose
from nasplat.space.decisions import Case, Choice
from nasplat.space.residual import Residual
from nasplat.space.wiring import Each, First, Parallel, Pick, Shared, Steps


def convolution(stage: Stage) -> Expression:
    """A convolution of some kind, then a gate on its channels."""
    kernel, activation = stage.kernel, stage.activation
    inner = {"norm": "batch", "activation": activation}
    light = SeparableConv(kernel=3, **inner)
    fused = Choice(False, True, name="fused")
    inverted: dict[str, Any] = {
        "kernel": Case(fused, {False: Smallest(kernel, 5), True: 3}),
        "expand": Choice(2, 4),
        "squeeze": 0,
        "fused": fused,
    }
    even = {"wavelet": wavelet(stage)} if stage.domains.even else {}
    streams = (light, light >> light, light >> light >> light)
    weights_from = Choice(
        "input", "coordinates", "content_and_distance", name="kernel_weights_from"
    )
    form = Choose(
        depthwise=ConvMixer(kernel=kernel, ratio=Choice(1, 2), activation=activation),
        mbconv=MBConv(**inverted, activation=activation),
        standard=Conv(kernel=3, **inner),
        bottleneck=ResidualConvBlock(
            form="bottleneck", width=0.5, kernel=3, activation=activation, radix=Choice(0, 2)
        ),
        separable=SeparableConv(kernel=kernel, **inner),
        large_kernel=LargeKernelConv(
            kernel=stage.large_kernel, small_kernels=(5, 3), small_dilations=(1, 2)
        ),
        many=Choose(
            multi_kernel=MultiKernelConv(kernels=(3, 5), join="sum", **inner),
            multi_dilation=MultiDilationConv(
                rates=(1, 2, 3), pooled_branch=False, separable=True, norm="batch"
            ),
            omni_scale=Parallel(*streams, fuse=SelectiveMerge(shared_gate=True)),
            multi_path=Parallel(
                local=DepthwiseConv(kernel=3, **inner),
                dynamic=DynamicConv(kernel=kernel, weights_from=weights_from),
                fuse=Concat(),
            ),
            **even,
        ),
        computed=Choose(
            dynamic=DynamicConv(kernel=kernel, weights_from=weights_from),
            deformable=DeformableConv(**inner),
        ),
    )
    gate = Choose(
        none=NOTHING,
        squeeze_excite=SqueezeGate(reduction=Choice(4, 8)),
        context_modulation=ContextGate(reduction=4),
    )
    return Steps(form=form, gate=gate)


def wavelet(stage: Stage) -> Expression:
    """Bands of half the resolution, mixed, enlarged again, and joined to what came in."""
    up = Choose(learned=Conv(transposed=True, stride=2, kernel=4), nearest=Upsample(mode="nearest"))
    bands = Steps(
        wavelet=WaveletTransform(),
        mlp=MLP(ratio=0.5, activation=stage.activation),
        up=Shared("wavelet_upsample", up),
    )
    return Parallel(whole=NOTHING, bands=bands, fuse=Concat())


def window(stage: Stage) -> Expression:
    """Attention within groups of positions: near ones, far ones, stripes."""
    bias: dict[str, Any] = {"relative_bias": stage.network.relative_bias}
    fields: dict[str, Any] = {"window": stage.window_side, **bias, **stage.headed}
    blocks = {"window": stage.block_side, **bias, **stage.headed}
    return Choose(
        regular=WindowAttention(**fields),
        shifted=WindowAttention(**fields, shifted=True),
        block_grid=WindowAttention(**blocks),
        overlapping=WindowAttention(**fields, overlap=0.5),
        dilated=DilatedGroupAttention(stride=2, **bias, **stage.headed),
        interleaved=DilatedGroupAttention(
            stride=None, group=stage.window_side, **bias, **stage.headed
        ),
        cross_shaped=StripeAttention(stripe=Choice(1, 2), **stage.headed_evenly),
    )


def attention(stage: Stage, *, plane: bool = True) -> Expression:
    """Attention over all positions, or over what stands for them.

    Args:
        stage: What the stage decides.
        plane: Whether positions have two axes; on tokens a mask may hide later ones instead.
    """
    rotary = stage.network.by_position(0.0, rope=1.0)
    plain = {"relative_bias": stage.network.relative_bias, "rotary": rotary, **stage.headed}
    pooled = {
        "kv": PooledAttention(kv_stride=stage.pool, **stage.headed),
        "query": PooledAttention(
            query_stride=stage.pool, kv_stride=1, restore=True, **stage.headed
        ),
        "qkv": PooledAttention(
            query_stride=stage.pool,
            kv_stride=stage.pool,
            restore=True,
            pool=Choice("conv", "avg"),
            **stage.headed,
        ),
    }
    sparse = {
        "topk": TopKAttention(keep=Choice(0.5, 0.25), **stage.headed),
        "relu": SelfAttention(**plain, normaliser="relu"),
        "local_summary": LocalSummaryAttention(
            radius=Choice(1, 2), summary_stride=stage.pool, learned_tokens=2, **stage.headed
        ),
        "hashed_binary": HashedBinaryAttention(**stage.headed),
        "subspace": SubspaceAttention(subspaces=stage.heads, dim=stage.head_dim),
    }
    made: dict[str, Expression] = {
        "softmax": SelfAttention(**plain, mask="none" if plane else stage.network.mask),
        "pooled": Choose(**pooled),
        "sparse": Choose(**sparse),
    }
    if plane:
        made["axis"] = Parallel(
            rows=AxisAttention(axis=0, **plain), columns=AxisAttention(axis=1, **plain), fuse=Add()
        )
    return Choose(**made)


def linear(stage: Stage) -> Expression:
    """Attention whose cost is linear in the positions."""
    return LinearAttention(feature_map=Choice("relu", "elu"), **stage.headed)


def channel(stage: Stage) -> Expression:
    """Attention of channels to channels."""
    return CrossCovarianceAttention(heads=stage.headed["heads"])


def hybrid(stage: Stage, conv: Expression, attend: Mapping[str, Expression]) -> Expression:
    """Convolution and attention side by side, on shares of the channels, or one after the other."""
    both = {"conv": conv, "attention": Shared("hybrid_attention", Choose(**attend))}
    joins = Choose(
        add=Add(),
        cat=Concat(),
        gate=Gated(),
        weighted=WeightedAdd(),
        selective=SelectiveMerge(),
        attention=AttentionMerge(),
        multiply=Gated(form="product", gate_from="first"),
    )
    fuse = Shared("hybrid_fuse", joins)
    share = stage.local_share
    depthwise = DepthwiseConv(kernel=stage.kernel)
    parts = Steps(
        split=Split(parts=2, shares=(share, 1 - share)),
        both=Each(**both),
        concat=Concat(project=False),
    )
    return Choose(
        dual=Parallel(**both, fuse=fuse),
        split=Parallel(
            whole=NOTHING,
            parts=parts,
            fuse=Choose(concat=Pick(1) >> Linear(), gated=Gated()),
        ),
        ramp=Steps(
            split=Split(parts=3, shares=(share, share, 2 - 2 * share)),
            each=Each(
                pool=Steps(pool=Pool(mode="max"), linear=Linear()),
                conv=Steps(linear=Linear(), conv=depthwise),
                attention=both["attention"],
            ),
            concat=Concat(project=False),
            conv=DepthwiseConv(kernel=3),
            linear=Linear(),
        ),
        cascade=Steps(
            split=Split(parts=2),
            first=First(depthwise),
            rest=Parallel(
                Pick(0),
                # The parts may differ by a channel: a linear map of both stands for their sum.
                Steps(second=Pick(1, 0), add=Concat(), conv=DepthwiseConv(kernel=stage.kernel)),
            ),
            concat=Concat(project=False),
            channel=attend["channel"],
        ),
        serial=Steps(**both),
        scopes=Parallel(near=attend["window"], far=attend["attention"], fuse=fuse),
    )


def networks(stage: Stage, *, plane: bool = True) -> Expression:
    """Small networks over the positions; over all of them together only where they are few."""
    activation = stage.activation
    gates = SpatialGatingUnit(axis="sequence" if stage.few else "block")
    both = Parallel(one=Linear(), two=Linear(), fuse=Concat(project=False))
    made: dict[str, Expression] = {}
    if plane:
        rows, columns = (
            Residual(TokenMLP(axis=axis, expand=2, activation=activation))
            for axis in ("rows", "columns")
        )
        made["axis"] = Steps(rows=rows, columns=columns)
    if stage.few:
        made["token"] = TokenMLP(expand=Choice(0.5, 1, 2), activation=activation)
        made["moe"] = MoE(
            axis="token", experts=stage.experts, top_k=stage.top_k, width=0.5, activation=activation
        )
    made["gating"] = Steps(
        widen=both, activation=Activation(form=activation), gate=gates, narrow=Linear()
    )
    made["gate_network"] = SpatialGatingUnit(
        axis="sequence" if stage.few else "grid", gate_network="mixer", split=False
    )
    return Choose(**made)


def other(stage: Stage, *, plane: bool = True) -> Expression:
    """Transforms of the positions, and no mixing at all."""
    made: dict[str, Expression] = {
        "fourier": FourierMixer(axes=Choice("sequence", "sequence_and_channel")),
        "circular_conv": CircularConvMixer(heads=1),
        "shuffle": ShuffleMixer(),
    }
    if plane:
        made["focal_modulation"] = FocalModulation()
    return Choose(
        **{name: stage.sublayer(body, "mixer") for name, body in made.items()}, none=NOTHING
    )


def mixers(stage: Stage, *, plane: bool = True) -> Expression:
    """One of all mixers, each a sub-layer of its own.

    What convolutions, windows and attention are like is decided once for a block, under its ``conv``,
    ``window`` and ``attention``, wherever they stand in it.

    Args:
        stage: What the stage decides.
        plane: Whether they stand on images, else on tokens.
    """
    attend: dict[str, Expression] = {
        "attention": Shared("attention", attention(stage, plane=plane)),
        "linear": Shared("linear", linear(stage)),
        "channel": channel(stage),
    }
    made: dict[str, Expression] = dict(attend)
    if plane:
        conv = Shared("conv", convolution(stage))
        attend = {"window": Shared("window", window(stage)), **attend}
        made = {
            "conv": conv,
            **attend,
            "spatial_channel": Steps(space=attend["window"], channel=attend["channel"]),
            "hybrid": hybrid(stage, conv, attend),
            "pool": PoolMixer(kernel=Choice(3, 5)),
        }
    made["mlp"] = networks(stage, plane=plane)
    options = {name: stage.sublayer(body, "mixer") for name, body in made.items()}
    return Choose(**options, other=other(stage, plane=plane))
