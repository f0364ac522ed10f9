"""Layers on the variables of a series; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``V`` places (variables), ``T`` columns (time), ``h`` heads, ``d`` width
of a head.
"""

from __future__ import annotations

import torch
from torch import nn


class NeighbourAttention(nn.Module):
    """Attention among ``V`` places along the edges of a learned graph, ``(B, C, V[, T])``.

    Args:
        channels: Number of channels.
        heads: Number of heads.
        head_dim: Width of a head.
        places: Places, ``V``.
        neighbours: Heaviest edges of each place that are kept.
        dim: Length of the vectors by which edges are weighed.
    """

    def __init__(
        self, channels: int, heads: int, head_dim: int, places: int, neighbours: int, dim: int
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = head_dim
        self.neighbours = neighbours
        self.enter = nn.Linear(channels, 3 * heads * head_dim)
        self.out = nn.Linear(heads * head_dim, channels)
        self.source = nn.Parameter(torch.randn(places, dim) / dim**0.5)
        self.target = nn.Parameter(torch.randn(places, dim) / dim**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns = x.unsqueeze(3) if x.dim() == 3 else x
        tokens = columns.permute(0, 3, 2, 1)  # (B, T, V, C)
        query, key, value = (
            part.unflatten(3, (self.heads, self.head_dim)).transpose(2, 3)
            for part in self.enter(tokens).chunk(3, 3)
        )
        scores = query @ key.transpose(3, 4) * self.head_dim**-0.5 + self._edges()
        mixed = (scores.softmax(4) @ value).transpose(2, 3).flatten(3)
        y = self.out(mixed).permute(0, 3, 2, 1)
        return y.squeeze(3) if x.dim() == 3 else y

    def _edges(self) -> torch.Tensor:
        """Logarithms of the weights of edges, ``(V, V)``; very low where an edge is left out."""
        weights = (self.source @ self.target.T).log_softmax(1)
        least = weights.topk(self.neighbours, 1).values[:, -1:]
        return torch.where(weights >= least, weights, torch.full_like(weights, -1e4))


class SymbolEmbed(nn.Module):
    """Values become symbols, and these vectors, ``(B, V, T) -> (B, D, length, V)``.

    Args:
        dim: Width of a vector, ``D``.
        symbols: Number of symbols.
        length: Last samples that are read.
    """

    def __init__(self, dim: int, symbols: int, length: int) -> None:
        super().__init__()
        self.symbols = symbols
        self.length = length
        self.embedding = nn.Embedding(symbols, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(2, keepdim=True)
        spread = (x - mean).square().mean(2, keepdim=True)
        values = (x - mean) * torch.rsqrt(spread + 1e-5)
        place = (values[:, :, x.shape[2] - self.length :] / 6 + 0.5) * self.symbols
        symbols = place.clamp(0, self.symbols - 1).to(torch.int64)
        return self.embedding(symbols).permute(0, 3, 2, 1)
