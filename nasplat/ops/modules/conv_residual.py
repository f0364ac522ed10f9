"""Residual convolution blocks over one to three position axes, ``(B, C, *axes)``; they know no ops.

References:
    [He2016] K. He et al. Deep residual learning for image recognition. CVPR 2016.
    [Zhang2022] H. Zhang et al. ResNeSt: split-attention networks. CVPR Workshops 2022.
"""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.common import make_activation
from nasplat.ops.modules.conv import ConvBlock, Size, SqueezeGate, make_conv
from nasplat.ops.modules.norm import make_norm, make_pooled_norm
from nasplat.ops.modules.resample import Pool


class NormFirst(nn.Module):
    """Normalisation, activation, convolution."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size,
        stride: Size,
        dilation: Size,
        groups: int,
        bias: bool,
        norm: str,
        activation: str,
        rank: int,
    ) -> None:
        super().__init__()
        self.norm = make_norm(norm, inputs, rank=rank)
        self.activation = make_activation(activation)
        self.conv = make_conv(rank, inputs, outputs, kernel, stride, dilation, groups, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.activation(self.norm(x)))


class SplitAttention(nn.Module):
    """Several convolutions; each channel takes a convex sum of them, by their pooled sum [Zhang2022].

    Args:
        channels: Channels of the input and of the output.
        radix: Number of convolutions, at least 2.
        kernel: Odd side of the kernels.
        stride: Step between outputs; taken by a mean over 3 positions a side, after the sum.
        dilation: Step between the taps.
        groups: Groups of channels that do not mix, in each convolution.
        hidden: Width of the gate.
        norm: Form of the normalisation.
        activation: Form of the activation.
        rank: Number of position axes.
    """

    def __init__(
        self,
        channels: int,
        radix: int,
        kernel: Size,
        stride: int,
        dilation: Size,
        groups: int,
        hidden: int,
        norm: str,
        activation: str,
        rank: int,
    ) -> None:
        super().__init__()
        self.radix, self.groups, self.rank = radix, groups, rank
        self.convs = ConvBlock(
            channels,
            channels * radix,
            kernel,
            1,
            dilation,
            groups * radix,
            norm == "none",
            norm,
            activation,
            rank,
        )
        self.squeeze = make_conv(rank, channels, hidden, 1, groups=groups)
        self.norm = make_pooled_norm(norm, hidden, rank)
        self.activation = make_activation(activation)
        self.excite = make_conv(rank, hidden, channels * radix, 1, groups=groups)
        self.pool = Pool("avg", 3, stride, rank) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.convs(x).unflatten(1, (self.radix, -1))
        pooled = parts.sum(1).mean(tuple(range(2, 2 + self.rank)), keepdim=True)
        asked = self.excite(self.activation(self.norm(self.squeeze(pooled))))
        # The gate writes the parts of a group side by side.
        asked = asked.unflatten(1, (self.groups, self.radix, -1)).transpose(1, 2).softmax(1)
        return self.pool((parts * asked.flatten(2, 3)).sum(1))


class ResidualConvBlock(nn.Module):
    """Two or three convolutions and a skip [He2016].

    Args:
        inputs: Channels that come in.
        width: Channels inside.
        outputs: Channels that go out.
        kernel: Odd side of the kernels.
        stride: Step between outputs.
        dilation: Step between the taps of the kernels.
        groups: Groups of channels that do not mix.
        bottleneck: Narrow, convolve, widen with 1x1 kernels at both ends, instead of two convolutions.
        norm: Form of the normalisation.
        activation: Form of the activation.
        bias: Whether convolutions add one.
        squeeze: Width of the squeeze gate before the sum, 0 for none.
        rank: Number of position axes.
        pre: Normalise and activate before each convolution, not after.
        shortcut: ``"none"``, ``"conv"`` or ``"pool"``: what the skip passes through.
        radix: Convolutions of the split attention in a bottleneck, 0 for a plain one.
        gate: Width of the split attention's gate.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        kernel: Size,
        stride: Size,
        dilation: Size,
        groups: int,
        bottleneck: bool,
        norm: str,
        activation: str,
        bias: bool,
        squeeze: int,
        rank: int,
        pre: bool,
        shortcut: str,
        radix: int,
        gate: int,
    ) -> None:
        super().__init__()
        Part = NormFirst if pre else ConvBlock

        def part(
            met: int, made: int, side: Size, step: Size, apart: Size, count: int, last: bool
        ) -> nn.Module:
            form = "none" if last and not pre else activation
            return Part(met, made, side, step, apart, count, bias, norm, form, rank)

        if bottleneck:
            middle: nn.Module = part(width, width, kernel, stride, dilation, groups, False)
            if radix and isinstance(stride, int):
                middle = SplitAttention(
                    width, radix, kernel, stride, dilation, groups, gate, norm, activation, rank
                )
            self.parts = nn.Sequential(
                part(inputs, width, 1, 1, 1, 1, False),
                middle,
                part(width, outputs, 1, 1, 1, 1, True),
            )
        else:
            self.parts = nn.Sequential(
                part(inputs, width, kernel, stride, dilation, groups, False),
                part(width, outputs, kernel, 1, dilation, groups, True),
            )
        self.gate = SqueezeGate(outputs, squeeze, "relu", rank) if squeeze else nn.Identity()
        self.skip: nn.Module = nn.Identity()
        after = "none" if pre else norm
        if shortcut == "conv":
            self.skip = ConvBlock(inputs, outputs, 1, stride, bias=bias, norm=after, rank=rank)
        elif shortcut == "pool" and isinstance(stride, int):
            self.skip = nn.Sequential(
                Pool("avg", stride if stride % 2 == 0 else 1, stride, rank),
                make_channel_map(inputs, outputs, rank, bias=bias),
                make_norm(after, outputs, rank=rank),
            )
        self.activation = make_activation("none" if pre else activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.gate(self.parts(x)) + self.skip(x))
