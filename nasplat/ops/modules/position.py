"""Encodings of position, added to images ``(B, C, H, W)`` or tokens ``(B, L, C)``; no op is known."""

from __future__ import annotations

import torch
from torch import nn


class ConvPosition(nn.Module):
    """Add to each position a convolution of each channel around it."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x)


class LearnedPosition(nn.Module):
    """Add a learned number to each element of the input, whatever its shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(tuple(shape)))
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.position


class SinusoidalPosition(nn.Module):
    """Add sines and cosines of the coordinates at wavelengths from 2 pi to 20000 pi.

    Args:
        channels: Number of channels; each coordinate has an equal share of them, what is left over
            stays zero.
        sizes: Length of each coordinate: one for tokens, two for an image.
        image: Whether the channels are the first axis after the batch, else they are the last.
    """

    position: torch.Tensor

    def __init__(self, channels: int, sizes: tuple[int, ...], image: bool) -> None:
        super().__init__()
        rates = channels // (2 * len(sizes))
        table = torch.zeros(*sizes, channels, dtype=torch.double)
        first = 0
        for axis, size in enumerate(sizes):
            rate = 10000.0 ** (-torch.arange(rates, dtype=torch.double) / max(rates, 1))
            angle = torch.arange(size, dtype=torch.double)[:, None] * rate
            shape = [size if other == axis else 1 for other in range(len(sizes))]
            angle = angle.view(*shape, rates).expand(*sizes, rates)
            table[..., first : first + rates] = angle.sin()
            table[..., first + rates : first + 2 * rates] = angle.cos()
            first += 2 * rates
        if image:
            table = table.movedim(-1, 0)
        self.register_buffer("position", table.float().contiguous(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.position
