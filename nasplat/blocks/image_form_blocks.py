"""Forms of blocks of published image networks with attention or other mixers, with all of their settings.

Each is a function of settings that may be decisions (:mod:`nasplat.blocks.image_details`). A block keeps the
type of its input unless it is given channels or a stride. They know no network.

References:
    [Dai2021] Z. Dai et al. CoAtNet. NeurIPS 2021.
    [Liu2021] H. Liu et al. Pay attention to MLPs. NeurIPS 2021.
    [Maaz2022] M. Maaz et al. EdgeNeXt. ECCV workshops 2022.
    [Mehta2022] S. Mehta, M. Rastegari. MobileViT. ICLR 2022.
    [Cai2023] H. Cai et al. EfficientViT: multi-scale linear attention. ICCV 2023.
    [Ryali2023] C. Ryali et al. Hiera. ICML 2023.
    [ElNouby2021] A. El-Nouby et al. XCiT: cross-covariance image transformers. NeurIPS 2021.
    [Yu2024] W. Yu et al. MetaFormer baselines for vision. TPAMI 46, 2024.
    [Chu2023] X. Chu et al. Conditional positional encodings for vision transformers. ICLR 2023.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_details import PARTS, Table, normalisation
from nasplat.blocks.image_form_convolutions import grouped_mlp, half_normed, inception
from nasplat.blocks.image_forms import POSITIONS
from nasplat.graph.op import Expression, Sequence
from nasplat.ops.attention import CrossCovarianceAttention, SelfAttention
from nasplat.ops.attention_multiscale import MultiScaleLinearAttention
from nasplat.ops.attention_pooled import PooledAttention
from nasplat.ops.attention_units import UnitAttention
from nasplat.ops.attention_window import DilatedGroupAttention, WindowAttention
from nasplat.ops.conv import Conv, DepthwiseConv
from nasplat.ops.ffn import MLP, DepthwiseMLP
from nasplat.ops.linear import Linear
from nasplat.ops.merge import Add, Concat, Split
from nasplat.ops.mixer import ConvMixer, PoolMixer
from nasplat.ops.mixer_context import FocalModulation
from nasplat.ops.mixer_tokens import SpatialGatingUnit, TokenMLP
from nasplat.ops.norm import Activation, LayerScale
from nasplat.ops.position import ConvPosition
from nasplat.ops.resample import Pool
from nasplat.space.choose import Optional
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.wiring import First, Parallel, Pick, Steps


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
        skip_scale: Whether what goes along beside each part is scaled, channel by channel [Yu2024].
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


def gathered(
    channels: Any, hidden: Any, head_dim: Any = 16, activation: str = "hardswish"
) -> Expression:
    """Linear attention at several scales, then an inverted bottleneck [Cai2023].

    Args:
        channels: Channels that come in and go out.
        hidden: Channels inside the bottleneck.
        head_dim: Width of a head.
        activation: Inside the bottleneck.
    """
    attention = Steps(
        attention=MultiScaleLinearAttention(head_dim=head_dim), norm=normalisation("batch")
    )
    return Steps(
        context=Residual(attention),
        local=half_normed(channels=channels, hidden=hidden, activation=activation),
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


def pooling_step(
    channels: Any, heads: Any, unit_side: Any = 8, ratio: Any = 4, stride: Any = 2
) -> Expression:
    """Attention in units whose queries are pooled, beside the greatest of neighbours; an MLP [Ryali2023].

    Args:
        channels: Channels that go out.
        heads: Heads of the attention.
        unit_side: Side of a unit; 0: all positions are one.
        ratio: Hidden over outer channels of the MLP.
        stride: By what the sides shrink.
    """
    attention = UnitAttention(channels=channels, heads=heads, unit=unit_side, query_stride=stride)
    skip = Steps(map=Linear(dim=channels), pool=Pool(mode="max", kernel=stride, stride=stride))
    return Steps(
        norm=normalisation("layer"),
        attention=Residual(attention, skip=skip),
        ffn=Residual(MLP(ratio=ratio), norm=normalisation("layer")),
    )


BLOCKS: Table = {
    "unit": unit,
    "split_transpose": split_transpose,
    "unfolded": unfolded,
    "gathered": gathered,
}
MIXERS: Table = {
    "attention": SelfAttention,
    "window": WindowAttention,
    "pooled": PooledAttention,
    "channel": CrossCovarianceAttention,
    "conv": ConvMixer,
    "pool": PoolMixer,
    "grid": DilatedGroupAttention,
    "units": UnitAttention,
    "inception": inception,
    "tokens": TokenMLP,
    "focal": FocalModulation,
    "gated_positions": gated_positions,
}
FFNS: Table = {"mlp": MLP, "depthwise_mlp": DepthwiseMLP, "grouped_mlp": grouped_mlp}
PARTS |= {"mixer": MIXERS, "ffn": FFNS, "position": POSITIONS}
