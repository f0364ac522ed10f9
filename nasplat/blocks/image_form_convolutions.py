"""Forms of blocks of published networks of convolutions alone, with all of their settings.

Each is a function of settings that may be decisions (:mod:`nasplat.blocks.image_details`). They know no
network.

References:
    [Huang2017] G. Huang et al. Densely connected convolutional networks. CVPR 2017.
    [Wang2020] C.-Y. Wang et al. CSPNet. CVPR workshops 2020.
    [Han2021] D. Han et al. Rethinking channel dimensions for efficient model design. CVPR 2021.
    [Kim2024] D. Kim et al. DenseNets reloaded: paradigm shift beyond ResNets and ViTs. ECCV 2024.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_details import Table, normalisation
from nasplat.blocks.image_form_blocks import residual
from nasplat.graph.op import Expression
from nasplat.ops.conv import Conv, DepthwiseConv, SqueezeGate
from nasplat.ops.merge import Add, Concat, Split, Take
from nasplat.ops.norm import Activation, LayerScale
from nasplat.ops.resample import Pool
from nasplat.space.repeat import Repeat
from nasplat.space.wiring import Each, Parallel, Pick, Steps


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
    "dense": dense,
    "dense_mixer": dense_mixer,
    "cross_stage": cross_stage,
    "ramped": ramped,
}
CONVOLUTION_STEPS: Table = {"transition": transition}
