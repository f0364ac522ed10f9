"""Heads: from features to logits; they know nothing of ops."""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.common import make_activation
from nasplat.ops.modules.norm import make_norm


class ClassifierHead(nn.Module):
    """Normalise, average over all positions or take the first, map to classes.

    Args:
        channels: Channels of the features.
        classes: Number of classes.
        norm: Form of the normalisation.
        axes: The axes of the positions: ``(2, 3)`` of an image, ``(1,)`` of tokens, none of a vector.
        pool: ``mean``, or ``class_token``: the first of the tokens alone goes on.
        hidden: Width of a layer before the last map; 0: there is none.
        activation: Form of the activation after that layer.
        hidden_norm: Form of the normalisation after that activation.
        hidden_bias: Whether that layer has a bias.
        norm_first: Whether that normalisation stands before the activation instead.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        norm: str,
        axes: tuple[int, ...],
        pool: str = "mean",
        hidden: int = 0,
        activation: str = "none",
        hidden_norm: str = "none",
        hidden_bias: bool = True,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        self.axes = tuple(axes)
        self.norm_first = norm_first
        self.first = pool == "class_token"
        self.norm = make_norm(norm, channels, rank=2 if len(self.axes) == 2 else 0)
        self.hidden: nn.Module | None = None
        if hidden:
            self.hidden = nn.Linear(channels, hidden, bias=hidden_bias)
            self.activation = nn.Tanh() if activation == "tanh" else make_activation(activation)
            self.hidden_norm = make_norm(hidden_norm, hidden, rank=0)
        self.linear = nn.Linear(hidden or channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        if self.first:
            x = x[:, 0]
        elif self.axes:
            x = x.mean(self.axes)
        if self.hidden is not None:
            x = self.hidden(x)
            if self.norm_first:
                x = self.activation(self.hidden_norm(x))
            else:
                x = self.hidden_norm(self.activation(x))
        return self.linear(x)
