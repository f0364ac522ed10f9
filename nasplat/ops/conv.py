"""Convolution ops of images.

All are total in the size of the image: kernels are odd and padded, a stride of ``s`` gives
``ceil(height / s)`` by ``ceil(width / s)`` positions. None draws a skip around itself.

References:
    [Sandler2018] M. Sandler et al. MobileNetV2: inverted residuals and linear bottlenecks. CVPR 2018.
    [Tan2019] M. Tan, Q. Le. EfficientNet. ICML 2019.
    [Tan2021] M. Tan, Q. Le. EfficientNetV2. ICML 2021.
    [Hu2018] J. Hu et al. Squeeze-and-excitation networks. CVPR 2018.
    [Dong2020] X. Dong, Y. Yang. NAS-Bench-201. ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, TensorType
from nasplat.ops import counts
from nasplat.ops.checks import (
    ACTIVATIONS,
    NORMS,
    channels_of,
    grid_of,
    image_of,
    known,
    odd,
    positions_of,
    positive,
    share,
    whole,
)
from nasplat.ops.modules import conv as modules
from nasplat.ops.selection import KernelOp


def strided(image: Image, channels: int, stride: int) -> Image:
    """The output of a padded convolution."""
    return Image(channels, -(-image.height // stride), -(-image.width // stride))


def _output(
    op: Conv | DepthwiseConv | SeparableConv | MBConv | ReLUConvBN,
    inputs: Sequence[TensorType],
    channels: int | None,
) -> Image:
    """Check the fields that all blocks share and say the output."""
    image = image_of(op, inputs)
    odd(op, inputs, kernel=op.kernel)
    whole(op, inputs, 1, stride=op.stride)
    known(op, inputs, NORMS, norm=op.norm)
    known(op, inputs, ACTIVATIONS, activation=op.activation)
    if channels is None:
        return strided(image, image.channels, op.stride)
    whole(op, inputs, 1, channels=channels)
    return strided(image, channels, op.stride)


@dataclass(frozen=True, kw_only=True)
class Conv(KernelOp):
    """Convolution, then normalisation, then activation.

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        kernel: Odd side of the kernel.
        stride: Step between outputs, at least 1.
        dilation: Step between the taps of the kernel, at least 1.
        groups: Groups of channels that do not mix; divides the channels on both sides.
        norm: ``none``, ``layer``, ``rms`` or ``batch``.
        activation: ``none``, ``relu``, ``gelu``, ``silu`` or ``hardswish``.
        bias: Whether the convolution has a bias; ``None``: if there is no norm.
    """

    channels: int | None = None
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    norm: str = "none"
    activation: str = "none"
    bias: bool | None = None

    @property
    def _bias(self) -> bool:
        return self.norm == "none" if self.bias is None else self.bias

    def infer(self, *inputs: TensorType) -> Image:
        output = _output(self, inputs, self.channels)
        whole(self, inputs, 1, dilation=self.dilation, groups=self.groups)
        channels = image_of(self, inputs).channels
        if channels % self.groups or output.channels % self.groups:
            rule = f"needs groups to divide its channels, {channels} in and {output.channels} out"
            expect(False, self, rule, *inputs)
        return output

    def call(self, *inputs: TensorType) -> Call:
        arguments = {
            "inputs": image_of(self, inputs).channels,
            "outputs": self.infer(*inputs).channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "dilation": self.dilation,
            "groups": self.groups,
            "bias": self._bias,
            "norm": self.norm,
            "activation": self.activation,
        }
        return Call(modules.ConvBlock, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, output = image_of(self, inputs), self.infer(*inputs)
        return counts.convolution(
            image.channels,
            output.channels,
            self.kernel,
            positions_of(output),
            self.groups,
            self._bias,
        ) + counts.norm(self.norm, output.channels)


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv(KernelOp):
    """A convolution of each channel by itself, then normalisation, then activation.

    Attributes:
        kernel: Odd side of the kernel.
        stride: Step between outputs, at least 1.
        dilation: Step between the taps of the kernel, at least 1.
        norm: As in :class:`Conv`.
        activation: As in :class:`Conv`.
    """

    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    norm: str = "none"
    activation: str = "none"

    def infer(self, *inputs: TensorType) -> Image:
        whole(self, inputs, 1, dilation=self.dilation)
        return _output(self, inputs, None)

    def call(self, *inputs: TensorType) -> Call:
        channels = image_of(self, inputs).channels
        arguments = {
            "inputs": channels,
            "outputs": channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "dilation": self.dilation,
            "groups": channels,
            "bias": self.norm == "none",
            "norm": self.norm,
            "activation": self.activation,
        }
        return Call(modules.ConvBlock, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        output = self.infer(*inputs)
        channels, positions = output.channels, positions_of(output)
        return counts.convolution(
            channels, channels, self.kernel, positions, channels, self.norm == "none"
        ) + counts.norm(self.norm, channels)


@dataclass(frozen=True, kw_only=True)
class SeparableConv(KernelOp):
    """A convolution of each channel by itself, then a mix of the channels, each normalised.

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        kernel: Odd side of the kernel.
        stride: Step between outputs, at least 1.
        norm: As in :class:`Conv`.
        activation: As in :class:`Conv`; at the end.
    """

    channels: int | None = None
    kernel: int = 3
    stride: int = 1
    norm: str = "batch"
    activation: str = "relu"

    def infer(self, *inputs: TensorType) -> Image:
        return _output(self, inputs, self.channels)

    def call(self, *inputs: TensorType) -> Call:
        arguments = {
            "inputs": image_of(self, inputs).channels,
            "outputs": self.infer(*inputs).channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "norm": self.norm,
            "activation": self.activation,
        }
        return Call(modules.SeparableConv, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        channels, output = image_of(self, inputs).channels, self.infer(*inputs)
        positions, bias = positions_of(output), self.norm == "none"
        return (
            counts.convolution(channels, channels, self.kernel, positions, channels, bias)
            + counts.norm(self.norm, channels)
            + counts.pointwise(channels, output.channels, positions, bias)
            + counts.norm(self.norm, output.channels)
        )


@dataclass(frozen=True, kw_only=True)
class MBConv(KernelOp):
    """Inverted bottleneck: widen, convolve each channel, gate, narrow [Sandler2018, Tan2019].

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        expand: Channels inside over channels in, above 0; at 1 nothing is widened.
        kernel: Odd side of the kernel.
        stride: Step between outputs, at least 1.
        squeeze: Width of the squeeze gate over channels in, 0 for no gate [Tan2019].
        fused: Widen and convolve in one full convolution [Tan2021].
        norm: As in :class:`Conv`; after each convolution.
        activation: As in :class:`Conv`.
    """

    kind: ClassVar[str] = "inverted_bottleneck"

    channels: int | None = None
    expand: float = 4
    kernel: int = 3
    stride: int = 1
    squeeze: float = 0.25
    fused: bool = False
    norm: str = "batch"
    activation: str = "silu"

    def infer(self, *inputs: TensorType) -> Image:
        output = _output(self, inputs, self.channels)
        positive(self, inputs, expand=self.expand)
        expect(self.squeeze >= 0, self, "needs squeeze >= 0", *inputs)
        return output

    def _widths(self, image: Image) -> tuple[int, int]:
        """Channels inside, and of the squeeze."""
        squeeze = share(image.channels, self.squeeze) if self.squeeze else 0
        return share(image.channels, self.expand), squeeze

    def call(self, *inputs: TensorType) -> Call:
        image = image_of(self, inputs)
        hidden, squeeze = self._widths(image)
        arguments = {
            "inputs": image.channels,
            "hidden": hidden,
            "outputs": self.infer(*inputs).channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "squeeze": squeeze,
            "norm": self.norm,
            "activation": self.activation,
            "fused": self.fused,
        }
        return Call(modules.InvertedBottleneck, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, output = image_of(self, inputs), self.infer(*inputs)
        hidden, squeeze = self._widths(image)
        positions, bias = positions_of(output), self.norm == "none"
        total = OpCost()
        if hidden != image.channels and not self.fused:
            total += counts.pointwise(image.channels, hidden, positions_of(image), bias)
            total += counts.norm(self.norm, hidden)
        if self.fused:
            total += counts.convolution(image.channels, hidden, self.kernel, positions, 1, bias)
        else:
            total += counts.convolution(hidden, hidden, self.kernel, positions, hidden, bias)
        total += counts.norm(self.norm, hidden)
        if squeeze:
            total += counts.pointwise(hidden, squeeze, 1) + counts.pointwise(squeeze, hidden, 1)
        total += counts.pointwise(hidden, output.channels, positions, bias)
        return total + counts.norm(self.norm, output.channels)


@dataclass(frozen=True, kw_only=True)
class SqueezeGate(Op):
    """Squeeze and excitation: scale each channel by what the means of all channels say [Hu2018].

    Takes images and tokens.

    Attributes:
        reduction: Channels over the width of the squeeze, which is at least 1.
        activation: As in :class:`Conv`; after the squeeze.
    """

    reduction: int = 4
    activation: str = "relu"
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> TensorType:
        features = grid_of(self, inputs)
        whole(self, inputs, 1, reduction=self.reduction)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = grid_of(self, inputs)
        channels = channels_of(features)
        arguments = {
            "channels": channels,
            "hidden": max(1, channels // self.reduction),
            "activation": self.activation,
            "image": isinstance(features, Image),
        }
        return Call(modules.SqueezeGate, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        channels = channels_of(grid_of(self, inputs))
        hidden = max(1, channels // self.reduction)
        return counts.pointwise(channels, hidden, 1) + counts.pointwise(hidden, channels, 1)


@dataclass(frozen=True, kw_only=True)
class ReLUConvBN(KernelOp):
    """Activation, convolution without bias, normalisation: the convolution of cells [Dong2020].

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        kernel: Odd side of the kernel.
        stride: Step between outputs, at least 1.
        activation: As in :class:`Conv`; before the convolution.
        norm: As in :class:`Conv`; after the convolution.
    """

    kind: ClassVar[str] = "relu_conv_bn"

    channels: int | None = None
    kernel: int = 3
    stride: int = 1
    activation: str = "relu"
    norm: str = "batch"

    def infer(self, *inputs: TensorType) -> Image:
        return _output(self, inputs, self.channels)

    def call(self, *inputs: TensorType) -> Call:
        arguments = {
            "inputs": image_of(self, inputs).channels,
            "outputs": self.infer(*inputs).channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "activation": self.activation,
            "norm": self.norm,
        }
        return Call(modules.PreActivationConv, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, output = image_of(self, inputs), self.infer(*inputs)
        return counts.convolution(
            image.channels,
            output.channels,
            self.kernel,
            positions_of(output),
            bias=self.norm == "none",
        ) + counts.norm(self.norm, output.channels)
