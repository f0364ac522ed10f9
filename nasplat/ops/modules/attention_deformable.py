"""Queries look at a few places of maps, which they choose; they know nothing of ops.

Shapes: ``B`` batch, ``Q`` queries, ``D`` their channels, ``C`` channels of maps, ``h`` heads, ``p`` points.

References:
    [Zhu2021] X. Zhu et al. Deformable DETR: deformable transformers for end-to-end object detection.
        ICLR 2021.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


class DeformableAttention(nn.Module):
    """Values between the positions of maps, read at learned offsets from a place of each query [Zhu2021].

    Args:
        dim: Channels of the queries.
        channels: Channels of every map.
        levels: Number of maps.
        heads: Number of heads.
        head_dim: Width of a head.
        points: Places that a head reads in each map.
    """

    def __init__(
        self, dim: int, channels: int, levels: int, heads: int, head_dim: int, points: int
    ) -> None:
        super().__init__()
        self.levels, self.heads, self.points = levels, heads, points
        self.reference = nn.Linear(dim, 2)
        self.offset = nn.Linear(dim, heads * levels * points * 2)
        self.weight = nn.Linear(dim, heads * levels * points)
        self.value = nn.Conv2d(channels, heads * head_dim, 1)
        self.out = nn.Linear(heads * head_dim, dim)
        self._spread()

    def _spread(self) -> None:
        """Before training the heads look in all directions, each point farther than the last."""
        angle = torch.arange(self.heads) * (2.0 * math.pi / self.heads)
        way = torch.stack([angle.cos(), angle.sin()], -1).view(self.heads, 1, 1, 2)
        reach = (torch.arange(self.points) + 1.0).view(1, 1, self.points, 1) / self.points
        places = (way * reach).expand(-1, self.levels, -1, -1)
        with torch.no_grad():
            self.offset.weight.mul_(0.1)
            self.offset.bias.copy_(places.flatten())

    def forward(self, x: torch.Tensor, *maps: torch.Tensor) -> torch.Tensor:
        sizes = (self.heads, self.levels, self.points)
        # The upper left corner of a map is (-1, -1), the lower right one is (1, 1).
        reference = self.reference(x).tanh().unsqueeze(2).unsqueeze(2).unsqueeze(2)
        place = reference + 0.5 * self.offset(x).unflatten(2, (*sizes, 2)).tanh()
        place = place.permute(3, 0, 2, 1, 4, 5).flatten(1, 2)  # (levels, B * h, Q, p, 2)
        weight = self.weight(x).unflatten(2, (self.heads, -1)).softmax(3)
        weight = weight.unflatten(3, (self.levels, self.points))
        weight = weight.permute(3, 0, 2, 1, 4).flatten(1, 2).unsqueeze(2)
        parts = []
        for level, image in enumerate(maps):
            value = self.value(image).unflatten(1, (self.heads, -1)).flatten(0, 1)
            read = functional.grid_sample(value, place[level], align_corners=False)
            parts.append((read * weight[level]).sum(3))  # (B * h, d, Q)
        found = torch.stack(parts).sum(0).unflatten(0, (-1, self.heads))
        return self.out(found.permute(0, 3, 1, 2).flatten(2))
