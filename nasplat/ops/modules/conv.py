"""Convolution blocks of images, ``(B, C, H, W)``; they know nothing of ops.

Odd kernels, padded so that the output has ``ceil(H / stride)`` by ``ceil(W / stride)`` positions.
"""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.common import make_activation, make_norm, make_pointwise


class ConvBlock(nn.Module):
    """Convolution, normalisation, activation.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: Odd side of the kernel.
        stride: Step between outputs.
        dilation: Step between the taps of the kernel.
        groups: Number of groups of channels that do not mix.
        bias: Whether the convolution adds one.
        norm: Form of the normalisation.
        activation: Form of the activation.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        norm: str = "none",
        activation: str = "none",
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding, dilation, groups=groups, bias=bias
        )
        self.norm = make_norm(norm, outputs, image=True)
        self.activation = make_activation(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.norm(self.conv(x)))


class PreActivationConv(nn.Module):
    """Activation, convolution without bias, normalisation: the convolution of NAS-Bench-201's cells."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, activation: str, norm: str
    ) -> None:
        super().__init__()
        self.activation = make_activation(activation)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=norm == "none")
        self.norm = make_norm(norm, outputs, image=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(self.activation(x)))


class SeparableConv(nn.Module):
    """A convolution of each channel, then a mix of the channels; each with its norm, then activated."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, norm: str, activation: str
    ) -> None:
        super().__init__()
        bias = norm == "none"
        self.depthwise = ConvBlock(
            inputs, inputs, kernel, stride, groups=inputs, bias=bias, norm=norm
        )
        self.pointwise = ConvBlock(inputs, outputs, 1, bias=bias, norm=norm, activation=activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pointwise(self.depthwise(x))


class SqueezeGate(nn.Module):
    """Scale each channel by a number in (0, 1) computed from the means of all channels.

    Args:
        channels: Number of channels.
        hidden: Width of the squeeze.
        activation: Form of the activation after the squeeze.
        image: Whether the input is an image, else tokens.
    """

    def __init__(self, channels: int, hidden: int, activation: str, image: bool) -> None:
        super().__init__()
        self.axes = (2, 3) if image else (1,)
        self.squeeze = make_pointwise(channels, hidden, image)
        self.activation = make_activation(activation)
        self.excite = make_pointwise(hidden, channels, image)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(self.axes, keepdim=True)
        return x * torch.sigmoid(self.excite(self.activation(self.squeeze(mean))))


class InvertedBottleneck(nn.Module):
    """Widen, convolve each channel, gate, narrow; the skip around it is drawn by the space.

    Args:
        inputs: Channels that come in.
        hidden: Channels inside; when they equal ``inputs`` nothing is widened.
        outputs: Channels that go out.
        kernel: Odd side of the kernel.
        stride: Step between outputs.
        squeeze: Width of the squeeze gate, 0 for none.
        norm: Form of the normalisation after each convolution.
        activation: Form of the activation.
        fused: Widen and convolve in one full convolution instead of two.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        kernel: int,
        stride: int,
        squeeze: int,
        norm: str,
        activation: str,
        fused: bool,
    ) -> None:
        super().__init__()
        bias = norm == "none"
        self.expand: nn.Module = nn.Identity()
        if hidden != inputs and not fused:
            self.expand = ConvBlock(inputs, hidden, 1, bias=bias, norm=norm, activation=activation)
        self.spatial = ConvBlock(
            inputs if fused else hidden,
            hidden,
            kernel,
            stride,
            groups=1 if fused else hidden,
            bias=bias,
            norm=norm,
            activation=activation,
        )
        self.gate = (
            SqueezeGate(hidden, squeeze, activation, image=True) if squeeze else nn.Identity()
        )
        self.project = ConvBlock(hidden, outputs, 1, bias=bias, norm=norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(self.gate(self.spatial(self.expand(x))))
