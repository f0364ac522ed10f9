"""Fake quantisation: linear, convolution and embedding layers that compute as if numbers were narrow.

Weights are rounded per output channel, symmetric about zero; the activations that enter a layer per
tensor, affine, over a range that follows the training batches. Gradients pass straight through the
rounding [Bengio2013] and stop where the range clips. Everything stays in floating point, so that a
quantised module trains, exports and runs wherever the plain one does. Besides torch this module knows
nothing, so that an export can carry its source.

References:
    [Bengio2013] Y. Bengio et al. Estimating or propagating gradients through stochastic neurons. 2013.
    [Wang2023] H. Wang et al. BitNet: scaling 1-bit transformers for large language models. 2023.
    [Ma2024] S. Ma et al. The era of 1-bit LLMs: all large language models are in 1.58 bits. 2024.
    [Tu2022] Z. Tu et al. AdaBin: improving binary neural networks with adaptive binary sets. ECCV 2022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from nasplat.graph.op import Bits


def _straight_through(value: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Exactly ``value``, with the gradient of ``source``."""
    if not torch.is_grad_enabled():
        return value
    return value.detach() + (source - source.detach())


def weight_scale(weight: torch.Tensor, bits: float) -> tuple[torch.Tensor, float]:
    """The step between two levels in every output channel, shape ``(out,)``, and the largest level."""
    top = float(2 ** (round(bits) - 1) - 1) if bits > 1 else 1.0
    magnitude = weight.detach().abs().flatten(1)
    extent = magnitude.mean(1) if bits <= 2 else magnitude.amax(1) / top
    return extent.clamp(min=1e-8), top


def quantised_weight(weight: torch.Tensor, bits: float) -> torch.Tensor:
    """Round a weight, ``(out, ...)``, to ``2 ** bits - 1`` levels about zero in every output channel.

    The scale of a channel is its largest magnitude over the largest level; below 3 bits, where that would
    send most weights to zero, it is the mean magnitude [Ma2024]. One bit leaves the sign [Wang2023].

    Args:
        weight: The floating-point weight, at least two axes.
        bits: A width of ``Bits.WIDTHS``; 32 returns the weight unchanged.
    """
    if bits >= 32:
        return weight
    step, top = weight_scale(weight, bits)
    scale = step.view(-1, *[1] * (weight.dim() - 1))
    if bits == 1:
        return _straight_through(torch.where(weight < 0, -scale, scale), weight)
    clipped = weight.clamp(-top * scale, top * scale)
    return _straight_through(torch.round(clipped / scale) * scale, clipped)


class ActivationQuantiser(nn.Module):
    """Round activations to ``2 ** bits`` levels over a range that follows the training batches.

    The range always holds zero and zero is always a level, so padding and ReLU stay exact. Before the
    first training batch it is ``[-3, 3]``, which suits normalised activations. With one bit there are two
    levels, the mean less and plus the mean distance from it [Tu2022].

    Args:
        bits: A width of ``Bits.ACTIVATION_WIDTHS`` below 32.
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
        if self.bits == 1:
            clipped = torch.maximum(torch.minimum(x, self.high), self.low)
            above = x > 0.5 * (self.low + self.high)
            return _straight_through(torch.where(above, self.high, self.low), clipped)
        scale = (self.high - self.low).clamp(min=1e-8) / float(2**self.bits - 1)
        zero = torch.round(-self.low / scale)
        clipped = torch.maximum(torch.minimum(x, self.high), self.low)
        level = (torch.round(clipped / scale) + zero).clamp(0.0, float(2**self.bits - 1))
        return _straight_through((level - zero) * scale, clipped)

    def _follow(self, x: torch.Tensor) -> None:
        """Move the range towards this batch's; out of place, for a layer may run twice before backward."""
        share = torch.where(self.batches == 0, 1.0, self.momentum).to(self.low)
        low, high = x.amin().clamp(max=0.0), x.amax().clamp(min=0.0)
        if self.bits == 1:
            mean = x.mean()
            distance = (x - mean).abs().mean()
            low, high = mean - distance, mean + distance
        self.low = torch.lerp(self.low, low.to(self.low), share)
        self.high = torch.lerp(self.high, high.to(self.high), share)
        self.batches = self.batches + 1

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


class QuantLinear(nn.Linear):
    """A linear layer, ``(..., in) -> (..., out)``, whose weights and inputs are rounded.

    Like all layers here it is made as torch's and then told its widths by :func:`fake_quantise`; the
    bias stays in floating point. While ``rounding`` is off it computes in floating point.
    """

    weight_bits: float = 32
    rounding: bool = True
    quantise: nn.Module

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.with_weight(input, self.weight)

    def with_weight(self, input: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The same with another weight, such as one that is made of several."""
        weight = quantised_weight(weight, self.weight_bits if self.rounding else 32)
        x = self.quantise(input) if self.rounding else input
        return functional.linear(x, weight, self.bias)


class QuantConv1d(nn.Conv1d):
    """A convolution of series, ``(B, C, L)``, whose weights and inputs are rounded."""

    weight_bits: float = 32
    rounding: bool = True
    quantise: nn.Module

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.rounding:
            return super().forward(input)
        weight = quantised_weight(self.weight, self.weight_bits)
        return self._conv_forward(self.quantise(input), weight, self.bias)


class QuantConv2d(nn.Conv2d):
    """A convolution of planes, ``(B, C, H, W)``, whose weights and inputs are rounded."""

    weight_bits: float = 32
    rounding: bool = True
    quantise: nn.Module

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.rounding:
            return super().forward(input)
        weight = quantised_weight(self.weight, self.weight_bits)
        return self._conv_forward(self.quantise(input), weight, self.bias)


class QuantConv3d(nn.Conv3d):
    """A convolution of volumes, ``(B, C, D, H, W)``, whose weights and inputs are rounded."""

    weight_bits: float = 32
    rounding: bool = True
    quantise: nn.Module

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.rounding:
            return super().forward(input)
        weight = quantised_weight(self.weight, self.weight_bits)
        return self._conv_forward(self.quantise(input), weight, self.bias)


class QuantEmbedding(nn.Embedding):
    """A table of vectors, ``(...) -> (..., dim)``, whose rows are rounded each by itself."""

    weight_bits: float = 32
    rounding: bool = True
    quantise: nn.Module

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.rounding:
            return super().forward(input)
        weight = quantised_weight(self.weight, self.weight_bits)
        return functional.embedding(input, weight, self.padding_idx)


QuantLayer = QuantLinear | QuantConv1d | QuantConv2d | QuantConv3d | QuantEmbedding
"""A layer whose numbers are narrow."""
_CONVOLUTIONS: dict[type[nn.Module], Any] = {
    nn.Conv1d: QuantConv1d,
    nn.Conv2d: QuantConv2d,
    nn.Conv3d: QuantConv3d,
}
LAYERS: tuple[type[nn.Module], ...] = (nn.Linear, nn.Embedding, *_CONVOLUTIONS)
"""The layers of torch that have a narrow twin."""


def _twin(layer: nn.Module) -> QuantLayer:
    """The narrow twin of a layer, without weights."""
    if isinstance(layer, nn.Linear):
        has_bias = layer.bias is not None
        return QuantLinear(layer.in_features, layer.out_features, has_bias, device="meta")
    if isinstance(layer, nn.Embedding):
        rows, width = layer.num_embeddings, layer.embedding_dim
        return QuantEmbedding(rows, width, layer.padding_idx, device="meta")
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    twin: QuantLayer = _CONVOLUTIONS[type(layer)](
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        layer.bias is not None,
        device="meta",
    )
    return twin


def _quantised(layer: nn.Module, bits: Bits) -> nn.Module:
    """The narrow twin of a layer; it takes over the very parameters and draws no random numbers."""
    twin = _twin(layer)
    twin.weight_bits = bits.weight
    wide = bits.activation >= 32 or isinstance(twin, QuantEmbedding)
    twin.quantise = nn.Identity() if wide else ActivationQuantiser(bits.activation)
    for name, parameter in layer.named_parameters(recurse=False):
        setattr(twin, name, parameter)
    return twin.train(layer.training)


def fake_quantise(module: nn.Module, bits: Bits) -> nn.Module:
    """Make every linear, convolution and embedding layer of a module compute at these bits.

    Names of parameters stay as they are; the module is changed in place.

    Args:
        module: Any module; layers of subclasses of torch's are left alone, and so are transposed
            convolutions.
        bits: Width of weights and of the activations that enter a layer; what enters an embedding are
            numbers of rows.

    Returns:
        The module, or its narrow twin when it is such a layer itself.
    """
    if type(module) in LAYERS:
        return _quantised(module, bits)
    for name, child in list(module.named_children()):
        setattr(module, name, fake_quantise(child, bits))
    return module
