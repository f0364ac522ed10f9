"""Layers that make codes and counts out of features; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``L`` positions, ``K`` entries of a codebook. Tokens are ``(B, L, C)``,
maps ``(B, C, *axes)``.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class VectorQuantize(nn.Module):
    """Replaces each position by the nearest of learned entries, level after level.

    In training ``auxiliary_loss`` is the mean squared distance of entries from features and, times 0.25,
    of features from entries, of the last forward pass.

    Args:
        channels: Number of channels.
        dim: Channels in which entries are compared.
        codebook: Entries of each level.
        levels: Number of levels.
        maps: Whether the channels are the first axis after the batch, else they are the last.
    """

    COMMITMENT = 0.25

    def __init__(self, channels: int, dim: int, codebook: int, levels: int, maps: bool) -> None:
        super().__init__()
        self.maps = maps
        self.levels = levels
        self.enter = nn.Linear(channels, dim)
        self.leave = nn.Linear(dim, channels)
        self.entries = nn.Parameter(torch.randn(levels, codebook, dim) / math.sqrt(dim))
        self.auxiliary_loss: torch.Tensor | None = None

    def forward(
        self, x: torch.Tensor, known: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = x if known is None else x - known
        tokens = tokens.flatten(2).transpose(1, 2) if self.maps else tokens
        left = self.enter(tokens)
        if left.dim() == 2:
            left = left.unsqueeze(1)
        made, numbers, loss = torch.zeros_like(left), [], left.new_zeros(())
        for level in range(self.levels):
            entries = self.entries[level]
            distance = entries.square().sum(1) - 2 * (left @ entries.T)
            number = distance.argmin(2)
            chosen = functional.embedding(number, entries)
            if self.training:
                loss = loss + (chosen - left.detach()).square().mean()
                loss = loss + self.COMMITMENT * (chosen.detach() - left).square().mean()
            # Value of the entry; the gradient goes to the features and to the entry alike.
            passed = chosen + (left - left.detach())
            made = made + passed
            left = left - chosen.detach()
            numbers.append(number)
        self.auxiliary_loss = loss if self.training else None
        y = self.leave(made)
        y = y.squeeze(1) if tokens.dim() == 2 else y
        y = y.transpose(1, 2).reshape(x.shape) if self.maps else y
        return y if known is None else known + y, torch.cat(numbers, 1)

    def __getstate__(self) -> dict[str, Any]:
        """Without the loss of the last pass, which cannot be copied."""
        return {**self.__dict__, "auxiliary_loss": None}


class IntegrateAndFire(nn.Module):
    """Positions gather weight until it reaches 1, and fire.

    Args:
        channels: Number of channels.
        positions: Positions that come in.
        count: Most outputs.
        greatest: Largest weight of one position.
        series: Whether the channels are the first axis after the batch, else they are the last.
    """

    def __init__(
        self, channels: int, positions: int, count: int, greatest: float, series: bool
    ) -> None:
        super().__init__()
        self.series = series
        self.count = count
        self.greatest = greatest
        self.weigh = nn.Linear(channels, 1)
        # At first the weights add up to the number of places, or come as near to it as they can.
        share = min(0.9, max(0.1, count / positions / greatest))
        nn.init.constant_(self.weigh.bias, math.log(share / (1 - share)))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = x.transpose(1, 2) if self.series else x
        weight = self.greatest * self.weigh(tokens).sigmoid().squeeze(2)  # (B, L)
        after = weight.cumsum(1).unsqueeze(1)
        before = after - weight.unsqueeze(1)
        place = torch.arange(self.count, device=x.device, dtype=x.dtype)[:, None]
        # How much of each position lies between the cumulated weights of a place, (B, count, L).
        shares = torch.minimum(after, place + 1) - torch.maximum(before, place)
        fired = shares.clamp(min=0.0) @ tokens
        occupied = (after[:, :, -1] > place[:, 0]).to(x.dtype)
        return fired.transpose(1, 2) if self.series else fired, occupied
