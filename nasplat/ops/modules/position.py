"""Encodings of position, added to maps ``(B, C, *axes)`` or tokens ``(B, L, C)``; no op is known."""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.conv import Size, make_conv


class ConvPosition(nn.Module):
    """Add to each position a convolution of each channel around it, or around that of another input."""

    def __init__(self, channels: int, kernel: Size, rank: int, tokens: bool) -> None:
        super().__init__()
        self.tokens = tokens
        self.conv = make_conv(rank, channels, channels, kernel, groups=channels)

    def forward(self, x: torch.Tensor, source: torch.Tensor | None = None) -> torch.Tensor:
        source = x if source is None else source
        if self.tokens:
            return x + self.conv(source.transpose(1, 2)).transpose(1, 2)
        return x + self.conv(source)


class LearnedPosition(nn.Module):
    """Add a learned number to each element of the input, whatever its shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(tuple(shape)))
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.position


class PeriodicPosition(nn.Module):
    """Add a learned block of vectors that repeats along every axis.

    Args:
        channels: Number of channels.
        sizes: Length of each axis.
        period: Side of the block.
        first: Whether the channels are the first axis after the batch, else the last.
    """

    def __init__(self, channels: int, sizes: tuple[int, ...], period: int, first: bool) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.times = [-(-size // period) for size in self.sizes]
        self.first = first
        self.position = nn.Parameter(torch.zeros(channels, *(period for _ in self.sizes)))
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tiled = self.position.repeat(1, *self.times)
        for axis, size in enumerate(self.sizes, 1):
            tiled = tiled.narrow(axis, 0, size)
        return x + (tiled if self.first else tiled.flatten(1).transpose(0, 1))


class MappedPosition(nn.Module):
    """Add sines and cosines of the coordinates, mapped to the channels by learned weights.

    Args:
        channels: Number of channels.
        waves: Sines and cosines of all coordinates together.
        sizes: Length of each coordinate.
        first: As in :class:`SinusoidalPosition`.
    """

    def __init__(self, channels: int, waves: int, sizes: tuple[int, ...], first: bool) -> None:
        super().__init__()
        self.first, self.sizes = first, tuple(sizes)
        self.waves = SinusoidalPosition(waves, sizes, first=False)
        self.map = nn.Linear(waves, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        position = self.map(self.waves.position)
        return x + (position.transpose(0, 1).unflatten(1, self.sizes) if self.first else position)


class SinusoidalPosition(nn.Module):
    """Add sines and cosines of the coordinates at wavelengths from 2 pi to 20000 pi.

    Args:
        channels: Number of channels; each coordinate has an equal share of them, what is left over
            stays zero.
        sizes: Length of each coordinate.
        first: Whether the channels are the first axis after the batch and the coordinates axes of
            their own; else the channels are the last axis and the coordinates one.
    """

    position: torch.Tensor

    def __init__(self, channels: int, sizes: tuple[int, ...], first: bool) -> None:
        super().__init__()
        rates = channels // (2 * len(sizes))
        table = torch.zeros(*sizes, channels, dtype=torch.double)
        start = 0
        for axis, size in enumerate(sizes):
            rate = 10000.0 ** (-torch.arange(rates, dtype=torch.double) / max(rates, 1))
            angle = torch.arange(size, dtype=torch.double)[:, None] * rate
            shape = [size if other == axis else 1 for other in range(len(sizes))]
            angle = angle.view(*shape, rates).expand(*sizes, rates)
            table[..., start : start + rates] = angle.sin()
            table[..., start + rates : start + 2 * rates] = angle.cos()
            start += 2 * rates
        table = table.movedim(-1, 0) if first else table.flatten(0, -2)
        self.register_buffer("position", table.float().contiguous(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.position
