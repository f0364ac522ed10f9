"""Fake quantisation: linear and convolution layers that compute as if their numbers were narrow.

Weights are rounded per output channel, symmetric about zero; the activations that enter a layer per
tensor, affine, over a range that follows the training batches. Gradients pass straight through the
rounding [Bengio2013] and stop where the range clips. Everything stays in floating point, so that a
quantised module trains, exports and runs wherever the plain one does. Besides torch this module knows
nothing, so that an export can carry its source.

References:
    [Bengio2013] Y. Bengio et al. Estimating or propagating gradients through stochastic neurons. 2013.
    [Ma2024] S. Ma et al. The era of 1-bit LLMs: all large language models are in 1.58 bits. 2024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from nasplat.graph.op import Bits


def _straight_through(value: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Exactly ``value``, with the gradient of ``source``."""
    return value.detach() + (source - source.detach())


def quantised_weight(weight: torch.Tensor, bits: int) -> torch.Tensor:
    """Round a weight, ``(out, ...)``, to ``2 ** bits - 1`` levels about zero in every output channel.

    The scale of a channel is its largest magnitude over the largest level; at 2 bits, where that would
    send most weights to zero, it is the mean magnitude [Ma2024].

    Args:
        weight: The floating-point weight, at least two axes.
        bits: 2, 4 or 8; 32 returns the weight unchanged.
    """
    if bits >= 32:
        return weight
    top = float(2 ** (bits - 1) - 1)
    magnitude = weight.detach().abs().flatten(1)
    extent = magnitude.mean(1) if bits == 2 else magnitude.amax(1) / top
    scale = extent.clamp(min=1e-8).view(-1, *[1] * (weight.dim() - 1))
    clipped = weight.clamp(-top * scale, top * scale)
    return _straight_through(torch.round(clipped / scale) * scale, clipped)


class ActivationQuantiser(nn.Module):
    """Round activations to ``2 ** bits`` levels over a range that follows the training batches.

    The range always holds zero and zero is always a level, so padding and ReLU stay exact. Before the
    first training batch it is ``[-3, 3]``, which suits normalised activations.

    Args:
        bits: 2, 4 or 8.
        momentum: Weight of a new batch in the moving range, in ``(0, 1]``; the first batch counts fully.
    """

    low: torch.Tensor
    high: torch.Tensor
    batches: torch.Tensor

    def __init__(self, bits: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.bits = bits
        self.momentum = momentum
        self.register_buffer("low", torch.tensor(-3.0))
        self.register_buffer("high", torch.tensor(3.0))
        self.register_buffer("batches", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            with torch.no_grad():
                self._follow(x)
        scale = (self.high - self.low).clamp(min=1e-8) / float(2**self.bits - 1)
        zero = torch.round(-self.low / scale)
        clipped = torch.maximum(torch.minimum(x, self.high), self.low)
        level = (torch.round(clipped / scale) + zero).clamp(0.0, float(2**self.bits - 1))
        return _straight_through((level - zero) * scale, clipped)

    def _follow(self, x: torch.Tensor) -> None:
        """Move the range towards this batch's; out of place, for a layer may run twice before backward."""
        share = torch.where(self.batches == 0, 1.0, self.momentum).to(self.low)
        self.low = torch.lerp(self.low, x.amin().clamp(max=0.0).to(self.low), share)
        self.high = torch.lerp(self.high, x.amax().clamp(min=0.0).to(self.high), share)
        self.batches = self.batches + 1

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


class QuantLinear(nn.Linear):
    """A linear layer, ``(..., in) -> (..., out)``, whose weights and inputs are rounded.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        bias: Whether a bias, kept in floating point, is added.
        weight_bits: 2, 4, 8 or 32.
        activation_bits: 2, 4, 8 or 32.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        weight_bits: int = 32,
        activation_bits: int = 32,
        device: str | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device=device)
        self.weight_bits = weight_bits
        self.quantise = (
            ActivationQuantiser(activation_bits) if activation_bits < 32 else nn.Identity()
        )

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight = quantised_weight(self.weight, self.weight_bits)
        return functional.linear(self.quantise(input), weight, self.bias)


class QuantConv2d(nn.Conv2d):
    """A convolution of planes, ``(B, C, H, W)``, whose weights and inputs are rounded.

    The arguments are those of :class:`torch.nn.Conv2d`, then the bits as in :class:`QuantLinear`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        weight_bits: int = 32,
        activation_bits: int = 32,
        device: str | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            device=device,
        )
        self.weight_bits = weight_bits
        self.quantise = (
            ActivationQuantiser(activation_bits) if activation_bits < 32 else nn.Identity()
        )

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight = quantised_weight(self.weight, self.weight_bits)
        return self._conv_forward(self.quantise(input), weight, self.bias)


def _quantised(layer: nn.Linear | nn.Conv2d, bits: Bits) -> nn.Module:
    """The narrow twin of a layer; it takes over the very parameters and draws no random numbers."""
    has_bias = layer.bias is not None
    twin: QuantLinear | QuantConv2d
    if isinstance(layer, nn.Linear):
        twin = QuantLinear(
            layer.in_features,
            layer.out_features,
            has_bias,
            bits.weight,
            bits.activation,
            device="meta",
        )
    else:
        twin = QuantConv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]  # torch types it as a tuple of any length
            layer.stride,  # type: ignore[arg-type]  # the same
            layer.padding,  # type: ignore[arg-type]  # the same
            layer.dilation,  # type: ignore[arg-type]  # the same
            layer.groups,
            has_bias,
            bits.weight,
            bits.activation,
            device="meta",
        )
    twin.weight, twin.bias = layer.weight, layer.bias
    return twin.train(layer.training)


def fake_quantise(module: nn.Module, bits: Bits) -> nn.Module:
    """Make every linear and 2-D convolution layer of a module compute at these bits.

    Names of parameters stay as they are; the module is changed in place.

    Args:
        module: Any module; layers of subclasses of ``Linear`` and ``Conv2d`` are left alone.
        bits: Width of weights and of the activations that enter a layer.

    Returns:
        The module, or its narrow twin when it is such a layer itself.
    """
    if type(module) in (nn.Linear, nn.Conv2d):
        return _quantised(module, bits)  # type: ignore[arg-type]  # narrowed by the exact types
    for name, child in list(module.named_children()):
        setattr(module, name, fake_quantise(child, bits))
    return module
