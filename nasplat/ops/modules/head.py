"""Heads: from features to logits; they know nothing of ops."""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.common import make_norm


class ClassifierHead(nn.Module):
    """Normalise, average over all positions, map to classes.

    Args:
        channels: Channels of the features.
        classes: Number of classes.
        norm: Form of the normalisation.
        axes: The axes of the positions: ``(2, 3)`` of an image, ``(1,)`` of tokens, none of a vector.
    """

    def __init__(self, channels: int, classes: int, norm: str, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = tuple(axes)
        self.norm = make_norm(norm, channels, image=len(self.axes) == 2)
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        return self.linear(x.mean(self.axes) if self.axes else x)
