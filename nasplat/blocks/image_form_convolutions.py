"""Forms of blocks of published networks of convolutions alone, with all of their settings.

Each is a function of settings that may be decisions (:mod:`nasplat.blocks.image_details`). They know no
network.

References:
    [Huang2017] G. Huang et al. Densely connected convolutional networks. CVPR 2017.
    [Wang2020] C.-Y. Wang et al. CSPNet. CVPR workshops 2020.
    [He2016] K. He et al. Deep residual learning for image recognition. CVPR 2016.
    [Zhang2022] H. Zhang et al. ResNeSt: split-attention networks. CVPR workshops 2022.
    [Sandler2018] M. Sandler et al. MobileNetV2. CVPR 2018.
    [Liu2022] Z. Liu et al. A ConvNet for the 2020s. CVPR 2022.
    [Chen2021] Z. Chen et al. Visformer: the vision-friendly transformer. ICCV 2021.
    [Yu2024] W. Yu et al. InceptionNeXt: when Inception meets ConvNeXt. CVPR 2024.
    [Dai2021] Z. Dai et al. CoAtNet. NeurIPS 2021.
    [Cai2023] H. Cai et al. EfficientViT: multi-scale linear attention. ICCV 2023.
    [Han2021] D. Han et al. Rethinking channel dimensions for efficient model design. CVPR 2021.
    [Kim2024] D. Kim et al. DenseNets reloaded: paradigm shift beyond ResNets and ViTs. ECCV 2024.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_details import Table, normalisation
from nasplat.graph.op import Expression
from nasplat.ops.conv import Conv, DepthwiseConv, MBConv, SqueezeGate
from nasplat.ops.ffn import MLP
from nasplat.ops.merge import Add, Concat, Split, Take
from nasplat.ops.norm import Activation, LayerScale
from nasplat.ops.resample import Pool
from nasplat.ops.selective import SelectiveMerge
from nasplat.space.choose import Optional
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.wiring import Each, Parallel, Pick, Steps


def convnext(
    kernel: Any = 7,
    ratio: Any = 4,
    norm: Any = "layer",
    scale: Any = True,
    mixer: Expression | None = None,
) -> Expression:
    """A depthwise convolution, a norm and an MLP beside the input [Liu2022].

    Args:
        kernel: Odd side of the kernel.
        ratio: Hidden over outer channels of the MLP.
        norm: Normalisation behind the convolution.
        scale: Whether the result is scaled, channel by channel.
        mixer: Stands in the place of the convolution; None: nothing does.
    """
    conv = DepthwiseConv(kernel=kernel) if mixer is None else mixer
    body = Steps(conv=conv, norm=normalisation(norm), mlp=MLP(ratio=ratio))
    return Residual(body, scale=Optional(LayerScale(), present=scale))


def residual(
    channels: Any,
    inner: Any,
    stride: int = 1,
    bottleneck: bool = True,
    groups: int = 1,
    squeeze: int = 0,
    radix: int = 0,
    widen: bool = False,
    pooled_skip: bool = False,
    activation: str = "relu",
) -> Expression:
    """The block of residual networks, activated after the sum [He2016].

    Args:
        channels: Channels that go out.
        inner: Channels of the inner convolutions.
        stride: Step between outputs.
        bottleneck: 1x1, 3x3 and 1x1 convolutions, instead of two of 3x3.
        groups: Groups of channels of the 3x3 convolution of a bottleneck.
        squeeze: Channels over the width of a squeeze gate at the end; 0: no gate.
        radix: Splits of each group that compete for attention [Zhang2022]; 0: none.
        widen: Whether the input is mapped to ``channels`` although the stride is 1.
        pooled_skip: Whether a mean takes the stride of the skip, and of the splits.
        activation: After each convolution and after the sum.
    """
    act: dict[str, Any] = {"norm": "batch", "activation": activation}
    step = 1 if radix and pooled_skip else stride
    parts: dict[str, Expression] = {}
    if not bottleneck:
        parts["first"] = Conv(channels=inner, kernel=3, stride=stride, **act)
        parts["last"] = Conv(channels=channels, kernel=3, norm="batch")
    else:
        parts["first"] = Conv(channels=inner, kernel=1, **act)
        if radix:
            parts["inner"] = Conv(channels=inner * radix, kernel=3, groups=groups * radix, **act)
            parts["split"] = Split(parts=radix)
            parts["select"] = SelectiveMerge(
                ratio=0.25, min_squeezed=32, divisor=8, groups=groups, norm="batch"
            )
            if step != stride:
                parts["pool"] = Pool(mode="avg", kernel=3, stride=stride)
        else:
            parts["inner"] = Conv(channels=inner, kernel=3, stride=stride, groups=groups, **act)
        parts["last"] = Conv(channels=channels, kernel=1, norm="batch")
    if squeeze:
        parts["squeeze"] = SqueezeGate(reduction=squeeze, divisor=8)
    skip: dict[str, Expression] = {}
    if stride > 1 and pooled_skip:
        skip["pool"] = Pool(mode="avg", kernel=stride, stride=stride)
    if stride > 1 or widen:
        jump = 1 if pooled_skip else stride
        skip["map"] = Conv(channels=channels, kernel=1, stride=jump, norm="batch")
    return Steps(
        sum=Residual(Steps(**parts), skip=Steps(**skip)), activation=Activation(form=activation)
    )


def inverted(stride: int = 1, skip: bool = True, **settings: Any) -> Expression:
    """An inverted bottleneck, beside its input where that has the type of its output [Sandler2018].

    Args:
        stride: Step between outputs.
        skip: Whether the input goes along.
        settings: Of :class:`~nasplat.ops.conv.MBConv`.
    """
    body = MBConv(stride=stride, **settings)
    return Residual(body) if skip else body


def half_normed(
    channels: Any, hidden: Any, stride: int = 1, skip: bool = True, activation: str = "hardswish"
) -> Expression:
    """An inverted bottleneck that is normalised at its end alone [Cai2023].

    Args:
        channels: Channels that go out.
        hidden: Channels inside.
        stride: Step between outputs.
        skip: Whether the input goes along.
        activation: Of the convolutions.
    """
    body = Steps(
        widen=Conv(channels=hidden, kernel=1, activation=activation),
        conv=DepthwiseConv(kernel=3, stride=stride, activation=activation),
        narrow=Conv(channels=channels, kernel=1, norm="batch"),
    )
    return Residual(body) if skip else body


def normed_inverted(
    channels: Any, stride: int = 1, widen: bool = False, activation: str = "gelu"
) -> Expression:
    """An inverted bottleneck with a norm before it and none behind it [Dai2021].

    Args:
        channels: Channels that go out.
        stride: Step between outputs; a mean takes that of the skip.
        widen: Whether the input that goes along is mapped to ``channels``.
        activation: Of the convolutions; the gate's is SiLU.
    """
    body = MBConv(
        channels=channels,
        expand=4,
        kernel=3,
        stride=stride,
        squeeze=0.25,
        activation=activation,
        pre_norm=True,
        out_norm=False,
        expand_of="outputs",
        squeeze_of="outputs",
        squeeze_activation="silu",
    )
    skip: dict[str, Expression] = {}
    if stride > 1:
        skip["pool"] = Pool(mode="avg", kernel=stride, stride=stride)
    if widen:
        skip["map"] = Conv(channels=channels, kernel=1)
    return Residual(body, skip=Steps(**skip))


def inception(shares: tuple[float, ...], band: int = 11) -> Expression:
    """Shares of the channels: as they are, in a square, in a row and in a column convolved [Yu2024].

    Args:
        shares: Channels of each of the four beside the others.
        band: Odd length of the row and of the column.
    """
    return Steps(
        split=Split(parts=4, shares=shares),
        each=Each(
            kept=Pick(0),
            square=DepthwiseConv(kernel=3),
            row=DepthwiseConv(kernel=(1, band)),
            column=DepthwiseConv(kernel=(band, 1)),
        ),
        concat=Concat(project=False),
    )


def grouped_mlp(channels: Any, hidden: Any, groups: Any = 8) -> Expression:
    """Widen, convolve in groups, narrow, without biases [Chen2021]."""
    inner: dict[str, Any] = {"activation": "gelu", "bias": False}
    return Steps(
        widen=Conv(channels=hidden, kernel=1, **inner),
        conv=Conv(channels=hidden, kernel=3, groups=groups, **inner),
        narrow=Conv(channels=channels, kernel=1, bias=False),
    )


def dense(growth: Any, inner: Any) -> Expression:
    """New channels beside all that came in, from a norm and two convolutions [Huang2017].

    Args:
        growth: Channels that are added.
        inner: Channels between the two convolutions.
    """
    new = Steps(
        norm=normalisation("batch"),
        activation=Activation(form="relu"),
        first=Conv(channels=inner, kernel=1, norm="batch", activation="relu"),
        second=Conv(channels=growth, kernel=3, bias=False),
    )
    return Parallel(kept=Pick(0), new=new, fuse=Concat(project=False))


def dense_mixer(growth: Any, inner: tuple[Any, ...], gated: bool = False) -> Expression:
    """Blocks in a row, each of which puts new channels beside all that came in [Kim2024].

    New channels come from a depthwise convolution, a norm and an MLP.

    Args:
        growth: Channels that each block adds.
        inner: Hidden channels of the MLP of each block.
        gated: Whether the means of the new channels scale them.
    """

    def new(hidden: Any) -> Expression:
        parts: dict[str, Expression] = {
            "conv": DepthwiseConv(kernel=7),
            "norm": normalisation("layer"),
            "widen": Conv(channels=hidden, kernel=1, activation="gelu"),
            "narrow": Conv(channels=growth, kernel=1),
        }
        if gated:
            parts["gate"] = SqueezeGate(effective=True, hard_gate=True)
        return Steps(**parts, scale=LayerScale())

    rows = {
        str(number): Parallel(kept=Pick(0), new=new(hidden), fuse=Concat(project=False))
        for number, hidden in enumerate(inner)
    }
    return Steps(**rows)


def cross_stage(channels: Any, inner: Any, expanded: Any, depth: Any) -> Expression:
    """Residual blocks on half of the channels, beside the other half; then both as one [Wang2020].

    Args:
        channels: Channels of each half, and of what goes out.
        inner: Channels inside the blocks.
        expanded: Channels of both halves together.
        depth: Number of blocks.
    """
    act: dict[str, Any] = {"kernel": 1, "norm": "batch", "activation": "leaky_relu"}
    block = residual(channels=channels, inner=inner, activation="leaky_relu")
    deep = Steps(
        blocks=Repeat(block, times=depth, share="decisions"),
        map=Conv(channels=channels, **act),
    )
    return Steps(
        expand=Conv(channels=expanded, **act),
        split=Split(parts=2),
        each=Each(kept=Pick(0), deep=deep),
        concat=Concat(project=False),
        map=Conv(channels=channels, **act),
    )


def ramped(
    channels: Any, hidden: Any, stride: int = 1, squeeze: int = 0, kept: int = 0
) -> Expression:
    """An inverted bottleneck whose input is added to the first of its channels [Han2021].

    Args:
        channels: Channels that go out.
        hidden: Channels inside; 0: nothing is widened.
        stride: Step between outputs.
        squeeze: Channels over the width of a squeeze gate; 0: no gate.
        kept: Channels that come in, where they are added; 0: they are not.
    """
    parts: dict[str, Expression] = {}
    if hidden:
        parts["widen"] = Conv(channels=hidden, kernel=1, norm="batch", activation="silu")
    parts["conv"] = DepthwiseConv(kernel=3, stride=stride, norm="batch")
    if squeeze:
        parts["gate"] = SqueezeGate(reduction=squeeze, norm="batch")
    parts["activation"] = Activation(form="relu6")
    parts["narrow"] = Conv(channels=channels, kernel=1, norm="batch")
    if not kept:
        return Steps(**parts)
    start = Steps(pick=Pick(1), take=Take(start=0, count=kept, axis="channel"))
    return Steps(
        both=Parallel(kept=Pick(0), made=Steps(**parts)),
        sum=Parallel(
            start=Parallel(kept=Pick(0), start=start, fuse=Add()),
            rest=Steps(pick=Pick(1), take=Take(start=kept, axis="channel")),
            fuse=Concat(project=False),
        ),
    )


def transition(channels: Any) -> Expression:
    """A norm, a map of the channels, and half as many positions along each side [Huang2017]."""
    return Steps(
        norm=normalisation("batch"),
        activation=Activation(form="relu"),
        map=Conv(channels=channels, kernel=1, bias=False),
        pool=Pool(mode="avg", kernel=2, stride=2),
    )


CONVOLUTION_BLOCKS: Table = {
    "convnext": convnext,
    "residual": residual,
    "inverted": inverted,
    "normed_inverted": normed_inverted,
    "half_normed": half_normed,
    "dense": dense,
    "dense_mixer": dense_mixer,
    "cross_stage": cross_stage,
    "ramped": ramped,
}
CONVOLUTION_STEPS: Table = {"transition": transition}
