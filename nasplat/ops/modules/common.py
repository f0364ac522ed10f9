"""The makers of small layers that all other modules are made of; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``H`` height, ``W`` width, ``L`` tokens. An image is ``(B, C, H, W)``,
tokens are ``(B, L, C)``. Normalisations are made by :func:`nasplat.ops.modules.norm.make_norm`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.activation import Polynomial, Spike, SquaredReLU, StarReLU, Swoosh

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "spiking": Spike,
    "squared_relu": SquaredReLU,
    "star_relu": StarReLU,
}
"""The non-linearities without settings."""


def make_activation(form: str) -> nn.Module:
    """Make the point-wise non-linearity called ``form``; ``"none"`` is the identity."""
    if form == "gelu_tanh":
        return nn.GELU(approximate="tanh")
    if form in ("swoosh_l", "swoosh_r"):
        return Swoosh(4.0 if form == "swoosh_l" else 1.0)
    if form == "polynomial":
        return Polynomial(3)
    return ACTIVATIONS[form]()


def make_pointwise(inputs: int, outputs: int, image: bool, bias: bool = True) -> nn.Module:
    """Make a linear map of the channels: a 1x1 convolution on images, a linear layer on tokens."""
    if image:
        return nn.Conv2d(inputs, outputs, 1, bias=bias)
    return nn.Linear(inputs, outputs, bias=bias)


def linear_with(layer: nn.Linear, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """What a linear layer computes with another weight, ``(out, in)``; rounded if the layer is narrow."""
    narrow: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None
    narrow = getattr(layer, "with_weight", None)
    return functional.linear(x, weight, layer.bias) if narrow is None else narrow(x, weight)
