"""Classifier heads on the similarities of channels; they know nothing of ops.

Shapes: ``B`` batch, ``N`` positions, ``C`` channels.

References:
    [Ryu2023] J. Ryu et al. Gramian attention heads are strong yet efficient vision learners. ICCV 2023.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.heads import attend, split_rows


class GramianBranch(nn.Module):
    """Logits of one head: a class token made from a Gram matrix asks all positions.

    Args:
        channels: Channels of a position.
        classes: Number of classes.
        rank: Channels whose products make the Gram matrix.
        heads: Heads of the attention; each is ``channels // heads`` wide, at least 1.
    """

    def __init__(self, channels: int, classes: int, rank: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * max(1, channels // heads)
        self.reduce = nn.Linear(channels, rank)
        self.token = nn.Linear(rank * rank, channels)
        self.query = nn.Linear(channels, inner)
        self.key = nn.Linear(channels, inner)
        self.value = nn.Linear(channels, inner)
        self.out = nn.Linear(inner, channels)
        self.norm = nn.LayerNorm(channels)
        self.classes = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        part = functional.normalize(self.reduce(x), dim=1)
        gram = torch.matmul(part.transpose(1, 2), part)
        token = self.token(gram.flatten(1)).unsqueeze(1)
        found = attend(
            split_rows(self.query(token), self.heads, 0),
            split_rows(self.key(x), self.heads, 0),
            split_rows(self.value(x), self.heads, 0),
            None,
        )
        token = token + self.out(found.transpose(1, 2).flatten(2))
        return self.classes(self.norm(token.squeeze(1)))


class GramianHead(nn.Module):
    """The mean of the logits of several heads [Ryu2023].

    Args:
        branches: Number of heads.
        channels_last: Whether the input is tokens, ``(B, N, C)``, else maps, ``(B, C, *axes)``.
        channels: As in :class:`GramianBranch`, like all that follow.
    """

    def __init__(
        self,
        branches: int,
        channels_last: bool,
        channels: int,
        classes: int,
        rank: int,
        heads: int,
    ) -> None:
        super().__init__()
        self.channels_last = channels_last
        self.branches = nn.ModuleList(
            GramianBranch(channels, classes, rank, heads) for _ in range(branches)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.channels_last:
            x = x.flatten(2).transpose(1, 2)
        return torch.stack([branch(x) for branch in self.branches]).mean(0)
