"""Mixers of the positions of an image: convolutions, attention, both at once, and neither.

Every function gives the options of one family on a stage; what a stage decides once is in
:class:`~nasplat.blocks.image_settings.Stage`.
"""

from __future__ import annotations

from collections.abc import Mapping

from nasplat.blocks.image_settings import Stage
from nasplat.graph.op import Expression
from nasplat.ops.attention import CrossCovarianceAttention, LinearAttention, SelfAttention
from nasplat.ops.attention_window import WindowAttention
from nasplat.ops.conv import Conv, DepthwiseConv, MBConv, SeparableConv, SqueezeGate
from nasplat.ops.merge import Add, Concat, Gated, Split, WeightedAdd
from nasplat.ops.mixer import ConvMixer, FourierMixer, PoolMixer
from nasplat.ops.selective import SelectiveMerge
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Smallest
from nasplat.space.wiring import Each, Parallel, Shared, Steps


def convolution(stage: Stage) -> Expression:
    """A convolution of some kind, then a gate on its channels."""
    kernel, activation = stage.kernel, stage.activation
    inner = {"norm": "batch", "activation": activation}
    light = SeparableConv(kernel=3, **inner)
    streams = [light, light >> light, light >> light >> light]
    form = Choose(
        depthwise=ConvMixer(kernel=kernel, ratio=Choice(1, 2), activation=activation),
        mbconv=MBConv(
            kernel=Smallest(kernel, 5),
            expand=Choice(2, 4),
            squeeze=0,
            fused=Choice(False, True),
            activation=activation,
        ),
        standard=Conv(kernel=3, **inner),
        separable=SeparableConv(kernel=kernel, **inner),
        omni_scale=Parallel(*streams, fuse=SelectiveMerge(shared_gate=True)),
    )
    gate = Choose(none=Steps(), squeeze_excite=SqueezeGate(reduction=Choice(4, 8)))
    return Steps(form=form, gate=gate)


def window(stage: Stage) -> Expression:
    """Attention within groups of positions."""
    fields = {
        "window": stage.window_side,
        "relative_bias": stage.network.relative_bias,
        **stage.headed,
    }
    return Choose(
        regular=WindowAttention(**fields),
        shifted=WindowAttention(**fields, shifted=True),
        overlapping=WindowAttention(**fields, overlap=0.5),
    )


def attention(stage: Stage) -> Expression:
    """Attention over all positions."""
    fields = {
        "relative_bias": stage.network.relative_bias,
        "rotary": stage.network.by_position(0.0, rope=1.0),
        **stage.headed,
    }
    return Choose(
        softmax=SelfAttention(**fields),
        relu=SelfAttention(**fields, normaliser="relu"),
    )


def linear(stage: Stage) -> Expression:
    """Attention whose cost is linear in the positions."""
    return LinearAttention(feature_map=Choice("relu", "elu"), **stage.headed)


def channel(stage: Stage) -> Expression:
    """Attention of channels to channels."""
    return CrossCovarianceAttention(heads=stage.headed["heads"])


def hybrid(stage: Stage, conv: Expression, attend: Mapping[str, Expression]) -> Expression:
    """Convolution and attention side by side, on shares of the channels, or one after the other."""
    both = {"conv": conv, "attention": Shared("hybrid_attention", Choose(**attend))}
    fuse = Choose(
        add=Add(), cat=Concat(), gate=Gated(), weighted=WeightedAdd(), selective=SelectiveMerge()
    )
    share = stage.local_share
    return Choose(
        dual=Parallel(**both, fuse=fuse),
        split=Steps(
            split=Split(parts=2, shares=(share, 1 - share)),
            both=Each(**both),
            concat=Concat(project=False),
        ),
        serial=Steps(**both),
    )


def other(stage: Stage) -> Expression:
    """Fixed transforms of the positions."""
    return Choose(fourier=FourierMixer(axes=Choice("sequence", "sequence_and_channel")))


def mixers(stage: Stage) -> Expression:
    """One of all mixers, each a sub-layer of its own.

    What convolutions, windows and attention are like is decided once for a block, under its ``conv``,
    ``window`` and ``attention``, wherever they stand in it.
    """
    conv = Shared("conv", convolution(stage))
    attend = {
        "window": Shared("window", window(stage)),
        "attention": Shared("attention", attention(stage)),
        "linear": Shared("linear", linear(stage)),
        "channel": channel(stage),
    }
    made = {
        "conv": conv,
        **attend,
        "hybrid": hybrid(stage, conv, attend),
        "pool": PoolMixer(kernel=Choice(3, 5)),
        "other": other(stage),
    }
    return Choose(**{name: stage.sublayer(body, "mixer") for name, body in made.items()})
