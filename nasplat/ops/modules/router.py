"""Routing between sub-networks; it knows nothing of ops.

Shapes: maps such as images ``(B, C, *axes)``, tokens ``(B, L, C)``.
"""

from __future__ import annotations

import torch
from torch import nn


class BlockRouter(nn.Module):
    """Weighs the outputs of modules at each position by what the position says.

    Args:
        channels: Of the position that decides.
        modules: Number of modules.
        top_k: How many count at a position; their weights sum to one.
        maps: Whether the channels are the axis behind the batch, else the last one.
    """

    def __init__(self, channels: int, modules: int, top_k: int, maps: bool) -> None:
        super().__init__()
        self.top_k, self.maps = top_k, maps
        self.score = nn.Linear(channels, modules, bias=False)

    def forward(self, x: torch.Tensor, *made: torch.Tensor) -> torch.Tensor:
        if self.maps:
            x = x.movedim(1, -1)
        scores = self.score(x)
        least = scores.topk(self.top_k, dim=-1).values[..., -1:]
        weights = scores.masked_fill(scores < least, float("-inf")).softmax(-1)
        if self.top_k == 1:  # so that the router learns: the weight is the probability among all
            weights = weights * scores.softmax(-1)
        if self.maps:
            weights = weights.movedim(-1, 1)
        total = torch.zeros_like(made[0])
        for index, output in enumerate(made):
            weight = weights[:, index : index + 1] if self.maps else weights[..., index : index + 1]
            total = total + weight * output
        return total
