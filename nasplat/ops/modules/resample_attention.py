"""A finer map by attention of its places to a coarse one; it knows nothing of ops.

Shapes: maps are ``(B, C, *axes)``.

References:
    [Li2021] Y. Li et al. More than encoder: introducing transformer decoder to upsample. 2021.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import make_channel_map


def part_windows(x: torch.Tensor, window: tuple[int, ...], heads: int) -> torch.Tensor:
    """Cut a map into windows and heads, ``(B * windows, heads, places, width of a head)``."""
    rank = x.dim() - 2
    x = x.unflatten(1, (heads, -1))
    for axis, size in enumerate(window):
        x = x.unflatten(3 + 2 * axis, (-1, size))
    outer = [3 + 2 * axis for axis in range(rank)]
    inner = [4 + 2 * axis for axis in range(rank)]
    x = x.permute(0, *outer, 1, *inner, 2)
    return x.flatten(2 + rank, 1 + 2 * rank).flatten(0, rank)


def join_windows(x: torch.Tensor, window: tuple[int, ...], axes: tuple[int, ...]) -> torch.Tensor:
    """Undo :func:`part_windows` for a map with these axes."""
    rank = len(axes)
    counts = tuple(size // side for size, side in zip(axes, window, strict=True))
    x = x.unflatten(0, (-1, *counts)).unflatten(2 + rank, window)
    # Batch, windows, heads, places, width: each axis of windows goes before its places.
    order = [0, 1 + rank, 2 + 2 * rank]
    for axis in range(rank):
        order += [1 + axis, 2 + rank + axis]
    x = x.permute(order).flatten(1, 2)
    for axis in range(rank):
        x = x.flatten(2 + axis, 3 + axis)
    return x


class AttentionUpsample(nn.Module):
    """Places of a fine map ask the same window of a coarse map; the result is as fine [Li2021].

    Args:
        coarse: Channels of the coarse map.
        fine: Channels of the fine map, which go out.
        heads: Number of heads.
        window: Side of a window of the coarse map along each axis.
        axes: Axes of the fine map.
        factor: How much finer it is along each axis.
        residual: Whether a linear map of the coarse map, interpolated, is added.
    """

    def __init__(
        self,
        coarse: int,
        fine: int,
        heads: int,
        window: tuple[int, ...],
        axes: tuple[int, ...],
        factor: tuple[int, ...],
        residual: bool,
    ) -> None:
        super().__init__()
        rank = len(axes)
        self.heads, self.window, self.axes = heads, tuple(window), tuple(axes)
        self.wide = tuple(side * many for side, many in zip(window, factor, strict=True))
        self.query = make_channel_map(fine, fine, rank)
        self.key = make_channel_map(coarse, fine, rank)
        self.value = make_channel_map(coarse, fine, rank)
        self.project = make_channel_map(fine, fine, rank)
        self.skip = make_channel_map(coarse, fine, rank) if residual else None
        self.mode = ("linear", "bilinear", "trilinear")[rank - 1]

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        query = part_windows(self.query(like), self.wide, self.heads)
        key = part_windows(self.key(x), self.window, self.heads)
        value = part_windows(self.value(x), self.window, self.heads)
        y = functional.scaled_dot_product_attention(query, key, value)
        y = self.project(join_windows(y, self.wide, self.axes))
        if self.skip is None:
            return y
        return y + functional.interpolate(self.skip(x), list(self.axes), mode=self.mode)
