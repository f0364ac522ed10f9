"""Forms of blocks of published image networks, with all of their settings.

Each is a function of settings that may be decisions (:mod:`nasplat.blocks.image_details`). A block keeps the
type of its input unless it is given channels or a stride. They know no network.

References:
    [He2016] K. He et al. Deep residual learning for image recognition. CVPR 2016.
    [Zhang2022] H. Zhang et al. ResNeSt: split-attention networks. CVPR workshops 2022.
    [Sandler2018] M. Sandler et al. MobileNetV2. CVPR 2018.
    [Dai2021] Z. Dai et al. CoAtNet. NeurIPS 2021.
    [Liu2021] H. Liu et al. Pay attention to MLPs. NeurIPS 2021.
    [Liu2022] Z. Liu et al. A ConvNet for the 2020s. CVPR 2022.
    [Maaz2022] M. Maaz et al. EdgeNeXt. ECCV workshops 2022.
    [Chen2021] Z. Chen et al. Visformer: the vision-friendly transformer. ICCV 2021.
    [Mehta2022] S. Mehta, M. Rastegari. MobileViT. ICLR 2022.
    [ElNouby2021] A. El-Nouby et al. XCiT: cross-covariance image transformers. NeurIPS 2021.
    [Yu2024] W. Yu et al. InceptionNeXt: when Inception meets ConvNeXt. CVPR 2024.
    [Yu2024b] W. Yu et al. MetaFormer baselines for vision. TPAMI 46, 2024.
    [Chu2023] X. Chu et al. Conditional positional encodings for vision transformers. ICLR 2023.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_details import PARTS, Table, normalisation
from nasplat.blocks.image_forms import POSITIONS
from nasplat.graph.op import Expression, Sequence
from nasplat.ops.attention import CrossCovarianceAttention, SelfAttention
from nasplat.ops.attention_pooled import PooledAttention
from nasplat.ops.attention_window import DilatedGroupAttention, WindowAttention
from nasplat.ops.conv import Conv, DepthwiseConv, MBConv, SqueezeGate
from nasplat.ops.ffn import MLP, DepthwiseMLP
from nasplat.ops.linear import Linear
from nasplat.ops.merge import Add, Concat, Split
from nasplat.ops.mixer import ConvMixer, PoolMixer
from nasplat.ops.mixer_context import FocalModulation
from nasplat.ops.mixer_tokens import SpatialGatingUnit, TokenMLP
from nasplat.ops.norm import Activation, LayerScale
from nasplat.ops.position import ConvPosition
from nasplat.ops.resample import Pool
from nasplat.ops.selective import SelectiveMerge
from nasplat.space.choose import Optional
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.wiring import Each, First, Parallel, Pick, Steps


def unit(
    mixer: Expression | None = None,
    ffn: Expression | None = None,
    norm: Any = "layer",
    scale: Any = False,
    position: Any = False,
    ffn_position: Any = False,
    local: Any = False,
    skip_scale: Any = False,
) -> Expression:
    """A mixer of positions, then a feed-forward part, each normalised and beside its input.

    Args:
        mixer: Mixes positions; None: there is none.
        ffn: Works at each position; None: there is none.
        norm: Normalisation before each part.
        scale: Whether each part is scaled, channel by channel.
        position: Whether a convolution is added before the mixer [Chu2023].
        ffn_position: The same before the feed-forward part.
        skip_scale: Whether what goes along beside each part is scaled, channel by channel [Yu2024b].
        local: Whether a part of two depthwise convolutions stands between them [ElNouby2021].
    """

    def beside(body: Expression) -> Residual:
        return Residual(
            body,
            norm=normalisation(norm),
            scale=Optional(LayerScale(), present=scale),
            skip=Optional(LayerScale(initial=1.0), present=skip_scale),
        )

    near = Steps(
        first=DepthwiseConv(kernel=3, activation="gelu"),
        norm=normalisation("batch"),
        second=DepthwiseConv(kernel=3),
    )
    parts: dict[str, Expression] = {"position": Optional(ConvPosition(), present=position)}
    if mixer is not None:
        parts["mixer"] = beside(mixer)
    parts["local"] = Optional(beside(near), present=local)
    parts["ffn_position"] = Optional(ConvPosition(), present=ffn_position)
    if ffn is not None:
        parts["ffn"] = beside(ffn)
    return Steps(**parts)


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


def split_transpose(
    shares: tuple[float, ...],
    heads: Any = 4,
    ratio: Any = 4,
    position: Expression | None = None,
    scale: Any = True,
) -> Expression:
    """Groups of channels convolved one after the other, then attention of channels [Maaz2022].

    Each group but the last is convolved; from the second on the result before is added to it first.

    Args:
        shares: Channels of each group beside the others.
        heads: Heads of the attention.
        ratio: Hidden over outer channels of the MLP.
        position: Added before the attention; None: nothing.
        scale: Whether attention and MLP are scaled, channel by channel.
    """
    groups = len(shares)
    steps: dict[str, Expression] = {"split": Split(parts=groups, shares=shares)}
    for number in range(groups - 1):
        conv: Expression = DepthwiseConv(kernel=3)
        if number == 0:
            steps["conv_0"] = First(conv)
            continue
        steps[f"conv_{number}"] = Parallel(
            Pick(*range(number)),
            Sequence((Pick(number - 1, number), Add(), conv)),
            Pick(*range(number + 1, groups)),
        )
    scaled = Optional(LayerScale(), present=scale)
    body = Steps(
        **steps,
        concat=Concat(project=False),
        position=Steps() if position is None else position,
        attention=Residual(
            CrossCovarianceAttention(heads=heads), norm=normalisation("layer"), scale=scaled
        ),
        norm=normalisation("layer"),
        mlp=MLP(ratio=ratio),
    )
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


def unfolded(
    channels: Any, inner: Any, depth: Any, heads: Any = 4, ratio: Any = 2, patch: Any = 2
) -> Expression:
    """A convolution, then attention among pixels at one place of their patches, beside the input [Mehta2022].

    Args:
        channels: Channels that come in and go out.
        inner: Channels of the transformer.
        depth: Its blocks.
        heads: Heads of its attention.
        ratio: Hidden over outer channels of its MLPs.
        patch: Side of a patch.
    """
    act: dict[str, Any] = {"norm": "batch", "activation": "silu"}
    mixer = DilatedGroupAttention(stride=patch, heads=heads, relative_bias="none")
    made = Steps(
        conv=Conv(channels=channels, kernel=3, **act),
        widen=Conv(channels=inner, kernel=1, bias=False),
        blocks=Repeat(
            unit(mixer, MLP(ratio=ratio, activation="silu")), times=depth, share="decisions"
        ),
        norm=normalisation("layer"),
        narrow=Conv(channels=channels, kernel=1, **act),
    )
    return Steps(
        both=Parallel(kept=Pick(0), made=made, fuse=Concat(project=False)),
        fuse=Conv(channels=channels, kernel=3, **act),
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


def attending_step(
    channels: Any, heads: Any, ratio: Any = 4, relative_bias: Any = "table"
) -> Expression:
    """Attention that takes half as many positions along each side and widens, then an MLP [Dai2021]."""
    attention = SelfAttention(channels=channels, heads=heads, relative_bias=relative_bias)
    return Steps(
        attention=Residual(
            Steps(pool=Pool(mode="avg", kernel=2, stride=2), attention=attention),
            norm=normalisation("layer"),
            skip=Steps(
                pool=Pool(mode="avg", kernel=2, stride=2), map=Conv(channels=channels, kernel=1)
            ),
        ),
        ffn=Residual(MLP(ratio=ratio), norm=normalisation("layer")),
    )


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


def gated_positions(channels: Any, hidden: Any) -> Expression:
    """Widen, let half of the channels, mixed over the positions, gate the other half, narrow [Liu2021].

    Args:
        channels: Channels that go out.
        hidden: Channels inside, an even number.
    """
    return Steps(
        widen=Linear(dim=hidden),
        activation=Activation(),
        gate=SpatialGatingUnit(),
        narrow=Linear(dim=channels),
    )


def grouped_mlp(channels: Any, hidden: Any, groups: Any = 8) -> Expression:
    """Widen, convolve in groups, narrow, without biases [Chen2021]."""
    inner: dict[str, Any] = {"activation": "gelu", "bias": False}
    return Steps(
        widen=Conv(channels=hidden, kernel=1, **inner),
        conv=Conv(channels=hidden, kernel=3, groups=groups, **inner),
        narrow=Conv(channels=channels, kernel=1, bias=False),
    )


BLOCKS: Table = {
    "unit": unit,
    "convnext": convnext,
    "split_transpose": split_transpose,
    "residual": residual,
    "inverted": inverted,
    "normed_inverted": normed_inverted,
    "unfolded": unfolded,
}
MIXERS: Table = {
    "attention": SelfAttention,
    "window": WindowAttention,
    "pooled": PooledAttention,
    "channel": CrossCovarianceAttention,
    "conv": ConvMixer,
    "pool": PoolMixer,
    "grid": DilatedGroupAttention,
    "inception": inception,
    "tokens": TokenMLP,
    "focal": FocalModulation,
    "gated_positions": gated_positions,
}
FFNS: Table = {"mlp": MLP, "depthwise_mlp": DepthwiseMLP, "grouped_mlp": grouped_mlp}
PARTS |= {"mixer": MIXERS, "ffn": FFNS, "position": POSITIONS}
