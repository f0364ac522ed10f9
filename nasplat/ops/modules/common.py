"""The small layers that all other modules are made of; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``H`` height, ``W`` width, ``L`` tokens. An image is ``(B, C, H, W)``,
tokens are ``(B, L, C)``.
"""

from __future__ import annotations

import torch
from torch import nn


def make_activation(form: str) -> nn.Module:
    """Make the point-wise non-linearity called ``form``; ``"none"`` is the identity."""
    forms: dict[str, type[nn.Module]] = {
        "none": nn.Identity,
        "relu": nn.ReLU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "hardswish": nn.Hardswish,
    }
    return forms[form]()


def make_pointwise(inputs: int, outputs: int, image: bool, bias: bool = True) -> nn.Module:
    """Make a linear map of the channels: a 1x1 convolution on images, a linear layer on tokens."""
    if image:
        return nn.Conv2d(inputs, outputs, 1, bias=bias)
    return nn.Linear(inputs, outputs, bias=bias)


def make_norm(form: str, channels: int, image: bool) -> nn.Module:
    """Make the normalisation called ``form`` over the channels; ``"none"`` is the identity."""
    if form == "none":
        return nn.Identity()
    if form == "layer":
        return ChannelLayerNorm(channels) if image else nn.LayerNorm(channels)
    if form == "rms":
        return RMSNorm(channels, image)
    return nn.BatchNorm2d(channels) if image else TokenBatchNorm(channels)


class ChannelLayerNorm(nn.LayerNorm):
    """Layer normalisation of an image, ``(B, C, H, W)``, over its channels at each position."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class RMSNorm(nn.Module):
    """Divide the channels at each position by their root mean square, then scale them.

    Args:
        channels: Number of channels.
        image: Whether the channels are the first axis after the batch, else they are the last.
        eps: Added to the mean square.
    """

    def __init__(self, channels: int, image: bool, eps: float = 1e-6) -> None:
        super().__init__()
        self.axis = 1 if image else -1
        self.shape = (channels, 1, 1) if image else (channels,)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean_square = x.square().mean(self.axis, keepdim=True)
        return x * torch.rsqrt(mean_square + self.eps) * self.weight.view(self.shape)


class TokenBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of tokens, ``(B, L, C)``, over batch and positions, or of vectors, ``(B, C)``."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.dim() == 2:
            return super().forward(input)
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class LayerScale(nn.Module):
    """Multiply each channel by a learned number.

    Args:
        channels: Number of channels.
        initial: Value of every number before training.
        image: Whether the channels are the first axis after the batch, else they are the last.
    """

    def __init__(self, channels: int, initial: float, image: bool) -> None:
        super().__init__()
        self.shape = (channels, 1, 1) if image else (channels,)
        self.gamma = nn.Parameter(torch.full((channels,), initial))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma.view(self.shape)
