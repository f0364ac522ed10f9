"""Forms of stems, of steps between stages, of positions and of heads, as published image networks have them.

Each is a function of settings that may be decisions (:mod:`nasplat.blocks.image_details`). They know no
network.

References:
    [He2016] K. He et al. Deep residual learning for image recognition. CVPR 2016.
    [He2019] T. He et al. Bag of tricks for image classification with convolutional networks. CVPR 2019.
    [Dosovitskiy2021] A. Dosovitskiy et al. An image is worth 16x16 words. ICLR 2021.
    [Touvron2021] H. Touvron et al. Going deeper with image transformers. ICCV 2021.
    [Huang2017] G. Huang et al. Densely connected convolutional networks. CVPR 2017.
    [Tan2019] M. Tan, Q. Le. EfficientNet. ICML 2019.
    [Howard2019] A. Howard et al. Searching for MobileNetV3. ICCV 2019.
    [Chen2021] Z. Chen et al. Visformer: the vision-friendly transformer. ICCV 2021.
    [Zhang2022] Z. Zhang et al. Nested hierarchical transformer. AAAI 2022.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_details import Table, normalisation
from nasplat.graph.op import Expression, Sequence
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.norm import Activation
from nasplat.ops.patch import PatchStem
from nasplat.ops.position import AbsolutePosition, ConvPosition
from nasplat.ops.resample import PatchMerging, Pool
from nasplat.space.wiring import Steps


def patches(channels: Any, patch: Any = 16, norm: Any = "none", before: Any = "none") -> Expression:
    """Squares of an image or map, each mapped to one position [Dosovitskiy2021].

    Args:
        channels: Channels that go out.
        patch: Side of a square.
        norm: Normalisation of what goes out.
        before: Normalisation of what comes in.
    """
    return Steps(
        before=normalisation(before),
        patches=PatchStem(channels=channels, patch=patch, norm="none"),
        norm=normalisation(norm),
    )


def convolutions(
    channels: tuple[Any, ...],
    strides: tuple[Any, ...],
    kernel: Any = 3,
    norm: str = "batch",
    activation: str = "relu",
    bias: bool | None = None,
    last_norm: str | None = None,
    last_activation: str | None = None,
    last_bias: bool | None = None,
    pool: bool = False,
) -> Expression:
    """Convolutions in a row, each normalised and activated [He2016, He2019].

    Args:
        channels: Channels after each.
        strides: Stride of each.
        kernel: Odd side of all kernels.
        norm: Normalisation after each.
        activation: After each.
        bias: Whether all but the last have a bias; None: where they have no norm.
        last_norm: The last one's; None: as the others.
        last_activation: The last one's; None: as the others.
        last_bias: Whether the last one has a bias; None: if it has no norm.
        pool: Whether a maximum over 3x3 positions at stride 2 follows.
    """
    last = len(channels) - 1
    rows: list[Expression] = []
    for number, (width, stride) in enumerate(zip(channels, strides, strict=True)):
        own_norm = last_norm if number == last and last_norm is not None else norm
        own_act = last_activation if number == last and last_activation is not None else activation
        rows.append(
            Conv(
                channels=width,
                kernel=kernel,
                stride=stride,
                norm=own_norm,
                activation=own_act,
                bias=last_bias if number == last else bias,
            )
        )
    if pool:
        rows.append(Pool(mode="max", kernel=3, stride=2))
    return Sequence(tuple(rows))


def convolved(
    channels: Any,
    kernel: Any = 3,
    stride: Any = 2,
    norm: Any = "none",
    before: Any = "none",
    bias: bool = True,
    pool: bool = False,
    activation: str = "none",
) -> Expression:
    """One convolution between stages; with ``pool`` at stride 1 before a maximum [Zhang2022].

    Args:
        channels: Channels that go out.
        kernel: Side of the kernel.
        stride: Of the convolution, or of the maximum.
        norm: Normalisation of what goes out.
        before: Normalisation of what comes in.
        bias: Whether the convolution has a bias.
        pool: Whether the maximum over 3x3 positions takes the stride.
        activation: After the norm.
    """
    conv = Conv(channels=channels, kernel=kernel, stride=1 if pool else stride, bias=bias)
    parts = {"before": normalisation(before), "conv": conv, "norm": normalisation(norm)}
    if activation != "none":
        parts["activation"] = Activation(form=activation)
    if pool:
        parts["pool"] = Pool(mode="max", kernel=3, stride=stride)
    return Steps(**parts)


def merging(channels: Any, norm: Any = "layer") -> Expression:
    """Four neighbours side by side, normalised and mapped to fewer channels."""
    return PatchMerging(channels=channels, norm=norm)


def convolved_head(
    classes: int,
    channels: Any,
    activation: str = "silu",
    norm: str = "batch",
    hidden: int = 0,
    hidden_bias: bool = True,
    hidden_norm: str = "none",
) -> Expression:
    """A convolution of one position, then the mean of all positions, mapped to classes [Tan2019].

    Args:
        classes: Number of classes.
        channels: Channels of the convolution.
        activation: After the convolution, and after a hidden layer.
        norm: Normalisation after the convolution.
        hidden: Width of a layer behind the mean; 0: there is none [Howard2019].
        hidden_bias: Whether that layer has a bias.
        hidden_norm: Normalisation of that layer, before its activation.
    """
    return Steps(
        conv=Conv(channels=channels, kernel=1, norm=norm, activation=activation),
        classify=ClassifierHead(
            classes=classes,
            norm="none",
            hidden=hidden,
            activation=activation,
            hidden_bias=hidden_bias,
            hidden_norm=hidden_norm,
            norm_first=True,
        ),
    )


def stepped(
    channels: Any, inner: Any, stride: int = 2, patch: Any = 4, norm: str = "batch"
) -> Expression:
    """A convolution of 7x7 pixels with a stride, then patches [Chen2021]."""
    return Steps(
        conv=Conv(channels=inner, kernel=7, stride=stride, norm=norm, activation="relu"),
        patches=patches(channels, patch, norm),
    )


def activated_head(classes: int, norm: Any = "batch", activation: str = "relu") -> Expression:
    """A norm and an activation before the mean of all positions, which is mapped to classes [Huang2017]."""
    return Steps(
        norm=normalisation(norm),
        activation=Activation(form=activation),
        classify=ClassifierHead(classes=classes, norm="none"),
    )


STEMS: Table = {
    "patches": patches,
    "convolved": convolved,
    "convolutions": convolutions,
    "stepped": stepped,
}
STEPS: Table = {
    "patches": patches,
    "convolved": convolved,
    "merging": merging,
}
POSITIONS: Table = {"absolute": AbsolutePosition, "conv": ConvPosition}
HEADS: Table = {"pooled": ClassifierHead, "convolved": convolved_head, "activated": activated_head}
