"""Learned tokens, ``(count, C)``, beside tokens ``(B, L, C)``; they know nothing of ops."""

from __future__ import annotations

import torch
from torch import nn


class LearnedTokens(nn.Module):
    """Learned tokens before those of the input, behind them, or alone.

    Args:
        count: How many.
        dim: Their channels.
        place: ``first``, ``last`` or ``alone``.
    """

    def __init__(self, count: int, dim: int, place: str) -> None:
        super().__init__()
        self.place = place
        self.tokens = nn.Parameter(torch.zeros(count, dim))
        nn.init.trunc_normal_(self.tokens, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.tokens.unsqueeze(0).expand(x.shape[0], -1, -1)
        if self.place == "alone":
            return tokens.clone()
        return torch.cat([tokens, x] if self.place == "first" else [x, tokens], 1)
