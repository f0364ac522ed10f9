"""Convolution blocks over any one to three position axes; they know nothing of ops.

Shapes: maps are ``(B, C, *axes)`` with ``rank`` position axes. Paddings give ``ceil(axis / stride)``
positions on every axis, or ``axis * stride`` where a convolution is transposed.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.common import make_activation
from nasplat.ops.modules.norm import make_norm

Size = int | tuple[int, ...]
"""One number for every position axis, or one for each."""


def spread(size: Size, rank: int) -> tuple[int, ...]:
    """A size for each axis."""
    return (size,) * rank if isinstance(size, int) else tuple(size)


def make_conv(
    rank: int,
    inputs: int,
    outputs: int,
    kernel: Size,
    stride: Size = 1,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    padded: bool = True,
) -> nn.Module:
    """Make a convolution; ``padded`` ones with odd kernels have ``ceil(axis / stride)`` outputs."""
    kinds: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    sides, steps = spread(kernel, rank), spread(dilation, rank)
    padding = tuple(step * (side // 2) for side, step in zip(sides, steps, strict=True))
    return kinds[rank](
        inputs,
        outputs,
        sides,
        spread(stride, rank),
        padding if padded else 0,
        steps,
        groups=groups,
        bias=bias,
    )


def make_transposed(
    rank: int, inputs: int, outputs: int, kernel: Size, stride: Size, groups: int, bias: bool
) -> nn.Module:
    """Make a transposed convolution that has ``axis * stride`` outputs on every axis."""
    kinds: dict[int, type[nn.Module]] = {
        1: nn.ConvTranspose1d,
        2: nn.ConvTranspose2d,
        3: nn.ConvTranspose3d,
    }
    sides, strides = spread(kernel, rank), spread(stride, rank)
    padding = tuple(max(0, side - step + 1) // 2 for side, step in zip(sides, strides, strict=True))
    extra = tuple(
        step + 2 * pad - side for side, step, pad in zip(sides, strides, padding, strict=True)
    )
    return kinds[rank](inputs, outputs, sides, strides, padding, extra, groups=groups, bias=bias)


class ConvBlock(nn.Module):
    """Convolution, normalisation, activation.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: Side of the kernel; odd, or ``pad`` says what is added around the input.
        stride: Step between outputs.
        dilation: Step between the taps of the kernel.
        groups: Number of groups of channels that do not mix.
        bias: Whether the convolution adds one.
        norm: Form of the normalisation.
        activation: Form of the activation.
        rank: Number of position axes.
        pad: Zeros before and after each axis, the last axis first; ``None``: half a kernel all around.
        transposed: Whether the convolution enlarges by its stride.
        tokens: Whether the input is tokens, ``(B, L, C)``; then ``rank`` is 1.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size,
        stride: Size = 1,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        norm: str = "none",
        activation: str = "none",
        rank: int = 2,
        pad: tuple[int, ...] | None = None,
        transposed: bool = False,
        tokens: bool = False,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.pad = None if pad is None else list(pad)
        if transposed:
            self.conv = make_transposed(rank, inputs, outputs, kernel, stride, groups, bias)
        else:
            padded = pad is None
            self.conv = make_conv(
                rank, inputs, outputs, kernel, stride, dilation, groups, bias, padded
            )
        self.norm = make_norm(norm, outputs, rank=rank)
        self.activation = make_activation(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.tokens:
            x = x.transpose(1, 2)
        if self.pad is not None:
            x = functional.pad(x, self.pad)
        x = self.activation(self.norm(self.conv(x)))
        return x.transpose(1, 2) if self.tokens else x


class PreActivationConv(nn.Module):
    """Activation, convolution without bias, normalisation: the convolution of NAS-Bench-201's cells."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        activation: str,
        norm: str,
        rank: int = 2,
    ) -> None:
        super().__init__()
        self.activation = make_activation(activation)
        self.conv = make_conv(rank, inputs, outputs, kernel, stride, bias=norm == "none")
        self.norm = make_norm(norm, outputs, rank=rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(self.activation(x)))


class SeparableConv(nn.Module):
    """A convolution of each channel, then a mix of the channels; with norms, then activated.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: Odd side of the kernel.
        stride: Step between outputs.
        norm: Form of the normalisation after each of the two.
        activation: Form of the activation at the end.
        rank: Number of position axes.
        dilation: Step between the taps of the kernel.
        inner_norm: Whether there is a normalisation between the two.
        pad: As in :class:`ConvBlock`.
        tokens: As in :class:`ConvBlock`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size,
        stride: Size,
        norm: str,
        activation: str,
        rank: int = 2,
        dilation: Size = 1,
        inner_norm: bool = True,
        pad: tuple[int, ...] | None = None,
        tokens: bool = False,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        bias = norm == "none"
        self.depthwise = ConvBlock(
            inputs,
            inputs,
            kernel,
            stride,
            dilation,
            groups=inputs,
            bias=bias,
            norm=norm if inner_norm else "none",
            rank=rank,
            pad=pad,
        )
        self.pointwise = ConvBlock(
            inputs, outputs, 1, bias=bias, norm=norm, activation=activation, rank=rank
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.tokens:
            return self.pointwise(self.depthwise(x.transpose(1, 2))).transpose(1, 2)
        return self.pointwise(self.depthwise(x))


class SeparableCell(nn.Module):
    """Activation and separable convolution, one or more times; only the first takes steps.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: Odd side of the kernels.
        stride: Step between outputs.
        norm: Form of the normalisation at the end of each.
        activation: Form of the activation before each.
        rank: Number of position axes.
        dilation: Step between the taps of the kernels.
        inner_norm: Whether there is a normalisation between the two convolutions.
        repeats: How many times.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size,
        stride: Size,
        norm: str,
        activation: str,
        rank: int,
        dilation: Size,
        inner_norm: bool,
        repeats: int,
    ) -> None:
        super().__init__()
        self.activations = nn.ModuleList(make_activation(activation) for _ in range(repeats))
        self.steps = nn.ModuleList(
            SeparableConv(
                inputs,
                inputs if index < repeats - 1 else outputs,
                kernel,
                1 if index else stride,
                norm,
                "none",
                rank,
                dilation,
                inner_norm,
            )
            for index in range(repeats)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for activation, step in zip(self.activations, self.steps, strict=True):
            x = step(activation(x))
        return x


class SqueezeGate(nn.Module):
    """Scale each channel, or each position, by a number in (0, 1) that the channels say.

    Args:
        channels: Number of channels.
        hidden: Width of the squeeze; 0: one map of the means is all there is.
        activation: Form of the activation after the squeeze.
        rank: Number of position axes of maps; 0: the input is tokens.
        hard: Whether the sigmoid is piecewise linear.
        norm: Form of the normalisation after the squeeze.
        places: Whether each position is scaled by what its own channels say, else each channel by what
            the means of all channels say.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        activation: str,
        rank: int,
        hard: bool = False,
        norm: str = "none",
        places: bool = False,
    ) -> None:
        super().__init__()
        self.places = places
        self.axes = tuple(range(2, 2 + rank)) if rank else (1,)
        self.squeeze: nn.Module = nn.Identity()
        self.norm: nn.Module = nn.Identity()
        self.activation: nn.Module = nn.Identity()
        if hidden:
            self.squeeze = make_channel_map(channels, hidden, rank)
            self.norm = make_norm(norm, hidden, rank=rank)
            self.activation = make_activation(activation)
        self.excite = make_channel_map(hidden or channels, 1 if places else channels, rank)
        self.gate: nn.Module = nn.Hardsigmoid() if hard else nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        said = x if self.places else x.mean(self.axes, keepdim=True)
        return x * self.gate(self.excite(self.activation(self.norm(self.squeeze(said)))))


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
        rank: Number of position axes.
        pre_norm: Whether the input is normalised, and not activated, first.
        out_norm: Whether the last map is normalised; if not, it has a bias.
        squeeze_activation: Form of the activation inside the gate.
        hard_gate: Whether the gate's sigmoid is piecewise linear.
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
        rank: int,
        pre_norm: bool,
        out_norm: bool,
        squeeze_activation: str,
        hard_gate: bool,
    ) -> None:
        super().__init__()
        bias = norm == "none"
        self.before = make_norm(norm if pre_norm else "none", inputs, rank=rank)
        self.expand: nn.Module = nn.Identity()
        if hidden != inputs and not fused:
            self.expand = ConvBlock(
                inputs, hidden, 1, bias=bias, norm=norm, activation=activation, rank=rank
            )
        self.spatial = ConvBlock(
            inputs if fused else hidden,
            hidden,
            kernel,
            stride,
            groups=1 if fused else hidden,
            bias=bias,
            norm=norm,
            activation=activation,
            rank=rank,
        )
        self.gate: nn.Module = nn.Identity()
        if squeeze:
            self.gate = SqueezeGate(hidden, squeeze, squeeze_activation, rank, hard_gate)
        last = norm if out_norm else "none"
        self.project = ConvBlock(hidden, outputs, 1, bias=last == "none", norm=last, rank=rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(self.gate(self.spatial(self.expand(self.before(x)))))
