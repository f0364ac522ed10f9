"""Linear maps of channels on tensors of any layout; they know nothing of ops.

Shapes: maps are ``(B, C, *axes)`` with ``rank`` position axes, tokens ``(B, L, C)`` and vectors ``(B, C)``
have rank 0 here: their channels are the last axis.
"""

from __future__ import annotations

import torch
from torch import nn


class FlatConv(nn.Conv1d):
    """A linear map of the channels of maps with any number of position axes."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        out = super().forward(input.flatten(2))
        return out.unflatten(2, input.shape[2:])


def make_channel_map(inputs: int, outputs: int, rank: int, bias: bool = True) -> nn.Module:
    """Make a linear map of the channels.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        rank: Number of position axes behind the channels; 0: the channels are the last axis.
        bias: Whether it adds a learned shift.
    """
    if rank == 0:
        return nn.Linear(inputs, outputs, bias=bias)
    kinds = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    return kinds.get(rank, FlatConv)(inputs, outputs, 1, bias=bias)


def channel_shape(channels: int, rank: int) -> tuple[int, ...]:
    """The shape in which one number for each channel multiplies a tensor with ``rank`` position axes."""
    return (channels, *(1 for _ in range(rank)))
