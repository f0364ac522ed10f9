"""Features compared with features; they know nothing of ops."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def rows(x: torch.Tensor) -> torch.Tensor:
    """Positions as rows: tokens as they are, maps read row by row, ``(B, N, C)``."""
    return x if x.dim() == 3 else x.flatten(2).transpose(1, 2)


class CorrelationVolume(nn.Module):
    """How alike every position of one input is to every position of another, ``(B, 1, N, M)``.

    Args:
        softmax: Whether likeness becomes a share, over rows and over columns at once.
    """

    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self.softmax = softmax

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        left, right = rows(one), rows(other)
        scores = torch.matmul(left, right.transpose(1, 2)) * left.shape[2] ** -0.5
        if self.softmax:
            scores = scores.softmax(1) * scores.softmax(2)
        return scores.unsqueeze(1)


class MatchingFlow(nn.Module):
    """For each position of one map how far its like is away in the other, and how sure that is.

    Args:
        size: Position axes.
    """

    places: torch.Tensor

    def __init__(self, size: tuple[int, ...]) -> None:
        super().__init__()
        lines = [torch.arange(length).float() for length in size]
        places = torch.stack(torch.meshgrid(*lines, indexing="ij"), 0).flatten(1)
        self.register_buffer("places", places, persistent=False)

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        left, right = rows(one), rows(other)
        shares = (torch.matmul(left, right.transpose(1, 2)) * left.shape[2] ** -0.5).softmax(2)
        there = torch.matmul(shares, self.places.t().expand(shares.shape[0], -1, -1))
        away = there.transpose(1, 2) - self.places
        made = torch.cat((away, shares.amax(2).unsqueeze(1)), 1)
        return made.unflatten(2, one.shape[2:])


class PrototypeHead(nn.Module):
    """Classes by likeness to prototypes that are gathered from the features themselves, in one step.

    Args:
        channels: Channels of the features.
        classes: Channels that go out.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.look = nn.Linear(channels, classes)
        self.refine = nn.Linear(channels, channels)
        self.kept = nn.Parameter(0.02 * torch.randn(classes, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = rows(x)
        shares = self.look(features).softmax(1)
        gathered = torch.matmul(shares.transpose(1, 2), features)
        prototypes = self.refine(functional.relu(gathered + self.kept)) + self.kept
        scores = torch.matmul(prototypes, features.transpose(1, 2))
        return (scores * features.shape[2] ** -0.5).unflatten(2, x.shape[2:])
