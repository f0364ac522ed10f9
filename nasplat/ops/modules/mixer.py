"""Mixers of positions without attention; they know nothing of ops.

Shapes: maps are ``(B, C, *axes)``, tokens are ``(B, L, C)``.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.common import make_activation
from nasplat.ops.modules.conv import make_conv
from nasplat.ops.modules.resample import Pool


class PoolMixer(nn.Module):
    """The mean around each position less the position itself."""

    def __init__(self, kernel: int, rank: int, tokens: bool) -> None:
        super().__init__()
        self.pool = Pool("avg", kernel, 1, rank, tokens)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(x) - x


class ConvMixer(nn.Module):
    """Widen, activate, convolve each channel, narrow."""

    def __init__(self, channels: int, hidden: int, kernel: int, activation: str, rank: int) -> None:
        super().__init__()
        self.expand = make_channel_map(channels, hidden, rank, bias=False)
        self.activation = make_activation(activation)
        self.spatial = make_conv(rank, hidden, hidden, kernel, groups=hidden, bias=False)
        self.project = make_channel_map(hidden, channels, rank, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(self.spatial(self.activation(self.expand(x))))


class FourierMixer(nn.Module):
    """The real part of a discrete Fourier transform over some axes, by matrices.

    Args:
        axes: The transformed axes, negative numbers.
        sizes: The length of each of them.
        causal: Whether no element of the axis -2 takes part in an earlier one.
    """

    def __init__(self, axes: tuple[int, ...], sizes: tuple[int, ...], causal: bool = False) -> None:
        super().__init__()
        self.axes = tuple(axes)
        for axis, size in zip(axes, sizes, strict=True):
            # Exponents are reduced modulo the length first: exact for long axes.
            phase = torch.arange(size)[:, None] * torch.arange(size)[None, :] % size
            angle = phase.double() * (2.0 * math.pi / size)
            scale = torch.full((size, size), 1.0 / math.sqrt(size), dtype=torch.double)
            if causal and axis == -2:
                scale = scale.triu()
            self.register_buffer(f"cos{-axis}", (angle.cos() * scale).float(), persistent=False)
            self.register_buffer(f"sin{-axis}", (angle.sin() * scale).float(), persistent=False)

    def _times(self, x: torch.Tensor, name: str, axis: int) -> torch.Tensor:
        matrix = self.get_buffer(f"{name}{-axis}")
        if axis == -1:
            return torch.matmul(x, matrix)
        return torch.matmul(x.transpose(axis, -1), matrix).transpose(axis, -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        real, imaginary = x, x
        for index, axis in enumerate(self.axes):
            last = index == len(self.axes) - 1
            if index == 0:
                real = self._times(x, "cos", axis)
                imaginary = x if last else -self._times(x, "sin", axis)
                continue
            new = self._times(real, "cos", axis) + self._times(imaginary, "sin", axis)
            if not last:
                imaginary = self._times(imaginary, "cos", axis) - self._times(real, "sin", axis)
            real = new
        return real
