"""Convolutions with several branches or very large kernels, ``(B, C, *axes)``; they know nothing of ops.

References:
    [Chen2018] L.-C. Chen et al. Encoder-decoder with atrous separable convolution. ECCV 2018.
    [Ding2024] X. Ding et al. UniRepLKNet. CVPR 2024.
    [Guo2023] M.-H. Guo et al. Visual attention network. Computational Visual Media 9, 2023.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import channel_shape, make_channel_map
from nasplat.ops.modules.common import make_activation
from nasplat.ops.modules.conv import ConvBlock, SeparableConv, make_conv
from nasplat.ops.modules.norm import make_norm, make_pooled_norm


class MultiKernelConv(nn.Module):
    """Convolutions with kernels of several sizes side by side, summed or concatenated.

    Args:
        inputs: Channels that come in.
        widths: Channels that go out of each branch.
        kernels: Side of each kernel.
        pads: Zeros before and after each axis for each kernel, the last axis first; ``None``: half a
            kernel all around.
        stride: Step between outputs.
        depthwise: Whether each channel is convolved by itself.
        concat: Whether the branches stand side by side in the channels, else they are summed.
        bias: Whether the convolutions add one.
        norm: Form of the normalisation after the join.
        activation: Form of the activation at the end.
        rank: Number of position axes.
    """

    def __init__(
        self,
        inputs: int,
        widths: tuple[int, ...],
        kernels: tuple[int, ...],
        pads: tuple[tuple[int, ...] | None, ...],
        stride: int,
        depthwise: bool,
        concat: bool,
        bias: bool,
        norm: str,
        activation: str,
        rank: int,
    ) -> None:
        super().__init__()
        self.concat = concat
        self.branches = nn.ModuleList(
            ConvBlock(
                inputs,
                width,
                kernel,
                stride,
                groups=inputs if depthwise else 1,
                bias=bias,
                rank=rank,
                pad=pad,
            )
            for width, kernel, pad in zip(widths, kernels, pads, strict=True)
        )
        self.norm = make_norm(norm, sum(widths) if concat else widths[0], rank=rank)
        self.activation = make_activation(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [branch(x) for branch in self.branches]
        if self.concat:
            return self.activation(self.norm(torch.cat(parts, 1)))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return self.activation(self.norm(total))


def dilated(
    inputs: int,
    outputs: int,
    kernel: int,
    rate: int,
    separable: bool,
    norm: str,
    activation: str,
    rank: int,
) -> nn.Module:
    """A dilated convolution, normalised and activated, of one or of two steps."""
    if separable:
        return SeparableConv(inputs, outputs, kernel, 1, norm, activation, rank, rate)
    bias = norm == "none"
    return ConvBlock(
        inputs, outputs, kernel, 1, rate, 1, bias, norm=norm, activation=activation, rank=rank
    )


class DilatedPyramid(nn.Module):
    """Dilated convolutions side by side, with a 1x1 one and the mean of the map, then a map [Chen2018].

    Args:
        inputs: Channels that come in.
        width: Channels of each branch.
        outputs: Channels that go out.
        kernel: Odd side of the kernels.
        rates: Dilation of each.
        pooled: Whether the mean of the whole map is a branch.
        separable: Whether the dilated convolutions are separable.
        norm: Form of the normalisation.
        activation: Form of the activation.
        rank: Number of position axes.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        kernel: int,
        rates: tuple[int, ...],
        pooled: bool,
        separable: bool,
        norm: str,
        activation: str,
        rank: int,
    ) -> None:
        super().__init__()
        bias = norm == "none"
        self.axes = tuple(range(2, 2 + rank))
        self.branches = nn.ModuleList(
            [ConvBlock(inputs, width, 1, 1, 1, 1, bias, norm, activation, rank)]
        )
        for rate in rates:
            self.branches.append(
                dilated(inputs, width, kernel, rate, separable, norm, activation, rank)
            )
        self.pooled: nn.Module | None = None
        if pooled:
            self.pooled = nn.Sequential(
                make_channel_map(inputs, width, rank, bias),
                make_pooled_norm(norm, width, rank),
                make_activation(activation),
            )
        count = 1 + len(rates) + pooled
        self.project = ConvBlock(width * count, outputs, 1, 1, 1, 1, bias, norm, activation, rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [branch(x) for branch in self.branches]
        if self.pooled is not None:
            mean = self.pooled(x.mean(self.axes, keepdim=True))
            parts.append(mean.expand_as(parts[0]))
        return self.project(torch.cat(parts, 1))


class DilatedChain(nn.Sequential):
    """Dilated convolutions one after the other; the last has the channels that go out.

    The arguments are those of :class:`DilatedPyramid`.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        kernel: int,
        rates: tuple[int, ...],
        separable: bool,
        norm: str,
        activation: str,
        rank: int,
    ) -> None:
        ends = [inputs, *(width for _ in rates[1:]), outputs]
        super().__init__(
            *(
                dilated(ends[at], ends[at + 1], kernel, rate, separable, norm, activation, rank)
                for at, rate in enumerate(rates)
            )
        )


class LargeKernel(nn.Module):
    """A large kernel over each channel, with small dilated ones beside it while training [Ding2024].

    Each has a normalisation of its own. In evaluation they are one convolution: the small kernels are
    laid into the large one, and batch normalisation is folded into weights.

    Args:
        channels: Number of channels.
        kernel: Odd side of the large kernel.
        small_kernels: Odd sides of the small ones.
        small_dilations: Their dilations; none reaches beyond the large kernel.
        norm: ``"batch"`` or ``"none"``.
        rank: Number of position axes.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        small_kernels: tuple[int, ...],
        small_dilations: tuple[int, ...],
        norm: str,
        rank: int,
    ) -> None:
        super().__init__()
        self.rank, self.kernel = rank, kernel
        self.dilations = [1, *small_dilations]
        bias = norm == "none"
        self.convs = nn.ModuleList(
            make_conv(rank, channels, channels, side, 1, step, channels, bias and not index)
            for index, (side, step) in enumerate(
                zip((kernel, *small_kernels), self.dilations, strict=True)
            )
        )
        self.norms = nn.ModuleList(make_norm(norm, channels, rank=rank) for _ in self.convs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # A quantised convolution rounds its own weights: nothing can be laid together then.
        plain = all(type(conv) in (nn.Conv1d, nn.Conv2d, nn.Conv3d) for conv in self.convs)
        if not self.training and plain:
            return self._folded(x)
        total = self.norms[0](self.convs[0](x))
        for conv, norm in zip(self.convs[1:], self.norms[1:], strict=True):
            total = total + norm(conv(x))
        return total

    def _folded(self, x: torch.Tensor) -> torch.Tensor:
        weights, shifts = [], []
        for index, norm in enumerate(self.norms):
            conv = self.convs[index]
            kernel = conv.get_parameter("weight")
            scale, shift = affine(norm, kernel)
            weight = kernel * scale.view(-1, *channel_shape(1, self.rank))
            weights.append(self._spread(weight, self.dilations[index]))
            if "bias" in dict(conv.named_parameters()):
                shift = shift + scale * conv.get_parameter("bias")
            shifts.append(shift)
        weight, bias = torch.stack(weights).sum(0), torch.stack(shifts).sum(0)
        kinds: list[Any] = [functional.conv1d, functional.conv2d, functional.conv3d]
        return kinds[self.rank - 1](x, weight, bias, 1, self.kernel // 2, 1, weight.shape[0])

    def _spread(self, weight: torch.Tensor, dilation: int) -> torch.Tensor:
        """A dilated kernel as a plain one of the large side."""
        for axis in range(2, 2 + self.rank):
            if dilation > 1:
                holes = weight.new_zeros(weight.shape).unsqueeze(axis + 1)
                holes = holes.repeat_interleave(dilation - 1, axis + 1)
                pieces = torch.cat([weight.unsqueeze(axis + 1), holes], axis + 1)
                spread = pieces.flatten(axis, axis + 1)
                weight = spread.narrow(axis, 0, spread.shape[axis] - dilation + 1)
        rim = (self.kernel - weight.shape[-1]) // 2
        return functional.pad(weight, [rim] * (2 * self.rank)) if rim else weight


def affine(norm: nn.Module, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift of each channel that a batch normalisation, or none, has in evaluation."""
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        return like.new_ones(like.shape[0]), like.new_zeros(like.shape[0])
    scale = norm.weight * torch.rsqrt(norm.get_buffer("running_var") + norm.eps)
    return scale, norm.bias - norm.get_buffer("running_mean") * scale


class LargeKernelConv(nn.Module):
    """A large kernel over each channel, whole or in two steps, that may gate its input [Guo2023].

    Args:
        channels: Number of channels.
        kernel: Odd side of the kernel.
        small_kernels: As in :class:`LargeKernel`.
        small_dilations: As in :class:`LargeKernel`.
        inner: Sides of the two kernels that stand for the large one, or ``None``.
        dilation: Of the second of them.
        norm: As in :class:`LargeKernel`.
        gate: Whether a linear map of the channels follows and the result multiplies the input.
        rank: Number of position axes.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        small_kernels: tuple[int, ...],
        small_dilations: tuple[int, ...],
        inner: tuple[int, int] | None,
        dilation: int,
        norm: str,
        gate: bool,
        rank: int,
    ) -> None:
        super().__init__()
        if inner is None:
            self.spatial: nn.Module = LargeKernel(
                channels, kernel, small_kernels, small_dilations, norm, rank
            )
        else:
            near, far = inner
            self.spatial = nn.Sequential(
                make_conv(rank, channels, channels, near, groups=channels),
                make_conv(rank, channels, channels, far, 1, dilation, channels),
            )
        self.mix = make_channel_map(channels, channels, rank) if gate else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.spatial(x)
        return y if self.mix is None else x * self.mix(y)
