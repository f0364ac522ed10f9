"""Convolutions along whole sequences, and the convolution module of Conformers; they know nothing of ops.

Shapes: tokens are ``(B, L, C)``, a series is ``(B, C, L)``.

References:
    [Poli2023] M. Poli et al. Hyena hierarchy: towards larger convolutional language models. ICML 2023.
    [Massaroli2023] S. Massaroli et al. Laughing Hyena distillery. NeurIPS 2023.
    [Gulati2020] A. Gulati et al. Conformer. Interspeech 2020.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.common import make_activation
from nasplat.ops.modules.norm import make_norm


class ImplicitFilter(nn.Module):
    """A filter as a small network of the place of its taps, under a window that decays [Poli2023].

    Args:
        heads: Number of filters.
        length: Taps on one side.
        sides: 1: the taps lie before the position; 2: also behind it.
        hidden: Width of the network.
        waves: Number of frequencies by which the network knows a place.
    """

    places: torch.Tensor
    window: torch.Tensor

    def __init__(self, heads: int, length: int, sides: int, hidden: int, waves: int = 4) -> None:
        super().__init__()
        taps = sides * length - (sides - 1)
        time = torch.arange(taps, dtype=torch.float) - (length - 1) * (sides - 1)
        phase = time[:, None] / max(1, length) * torch.pi * torch.arange(1, waves + 1)
        places = torch.cat([time[:, None] / length, phase.sin(), phase.cos()], 1)
        self.register_buffer("places", places, persistent=False)
        # Every filter decays at a rate of its own: from a tenth of the length to all of it.
        reach = torch.logspace(-1, 0, heads) * length
        self.register_buffer(
            "window", torch.exp(-time.abs() / reach.clamp(min=1.0)[:, None]), persistent=False
        )
        self.network = nn.Sequential(
            nn.Linear(2 * waves + 1, hidden), nn.GELU(), nn.Linear(hidden, heads)
        )

    def forward(self) -> torch.Tensor:
        return self.network(self.places).T * self.window


class ExplicitFilter(nn.Module):
    """A filter of learned taps; the arguments are those of :class:`ImplicitFilter`."""

    def __init__(self, heads: int, length: int, sides: int) -> None:
        super().__init__()
        taps = sides * length - (sides - 1)
        self.taps = nn.Parameter(torch.randn(heads, taps) / length**0.5)

    def forward(self) -> torch.Tensor:
        return self.taps


def long_convolution(x: torch.Tensor, taps: torch.Tensor, causal: bool) -> torch.Tensor:
    """Convolve a series with filters as long as itself, ``(B, C, L) -> (B, C, L)``.

    By Fourier transforms, which cost ``L log L``; while a program is exported as a plain convolution,
    for files of other formats have no complex numbers.

    Args:
        x: The series.
        taps: ``(C, L)``, the first for the position itself, where ``causal``; else ``(C, 2 L - 1)``, the
            middle one for the position itself.
        causal: Whether taps lie before the position only.
    """
    length = x.shape[-1]
    if torch.compiler.is_exporting():
        padded = functional.pad(x, [length - 1, 0 if causal else length - 1])
        return functional.conv1d(padded, taps.flip(-1).unsqueeze(1), groups=taps.shape[0])
    size = length + taps.shape[-1] - 1
    spectrum = torch.fft.rfft(x.float(), size) * torch.fft.rfft(taps.float(), size)
    whole = torch.fft.irfft(spectrum, size).to(x.dtype)
    return whole[..., :length] if causal else whole[..., length - 1 : 2 * length - 1]


class LongConv(nn.Module):
    """A convolution along a whole sequence between two maps of the channels, gated or not [Poli2023].

    Gated, ``g * conv(k * v)`` of three short convolutions of maps of the input.

    Args:
        channels: Channels of the input and of the output.
        length: Length of the sequence.
        heads: Filters that the channels share; divides them [Massaroli2023].
        implicit: Whether the filter is a small network, else learned taps.
        gated: Whether the convolution stands between two products.
        causal: Whether no output sees a later position.
        hidden: Width of the network.
        tokens: Whether the input is tokens, else a series.
    """

    def __init__(
        self,
        channels: int,
        length: int,
        heads: int,
        implicit: bool,
        gated: bool,
        causal: bool,
        hidden: int,
        tokens: bool,
    ) -> None:
        super().__init__()
        self.causal, self.gated, self.tokens = causal, gated, tokens
        self.repeat = channels // heads
        parts = 3 if gated else 1
        self.entry = make_channel_map(channels, parts * channels, 1)
        self.short = nn.Conv1d(parts * channels, parts * channels, 3, groups=parts * channels)
        sides = 1 if causal else 2
        self.filter = (
            ImplicitFilter(heads, length, sides, hidden)
            if implicit
            else ExplicitFilter(heads, length, sides)
        )
        self.skip = nn.Parameter(torch.ones(channels))
        self.exit = make_channel_map(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.tokens:
            x = x.transpose(1, 2)
        x = self.short(functional.pad(self.entry(x), [2, 0] if self.causal else [1, 1]))
        taps = self.filter().repeat_interleave(self.repeat, 0)
        if self.gated:
            gate, key, value = x.chunk(3, 1)
            x = key * value
            x = gate * (long_convolution(x, taps, self.causal) + x * self.skip[:, None])
        else:
            x = long_convolution(x, taps, self.causal) + x * self.skip[:, None]
        x = self.exit(x)
        return x.transpose(1, 2) if self.tokens else x


class ConformerConv(nn.Module):
    """Widen and gate, convolve each channel, normalise, activate, map [Gulati2020].

    Args:
        channels: Channels of the input and of the output.
        kernel: Side of the kernel.
        glu: Whether half of the widened channels gates the other half, else they are activated.
        hidden: Channels inside.
        causal: Whether no output sees a later position.
        norm: Form of the normalisation.
        activation: Form of the activation.
        bias: Whether maps and convolution have biases.
        tokens: Whether the input is tokens, else a series.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        glu: bool,
        hidden: int,
        causal: bool,
        norm: str,
        activation: str,
        bias: bool,
        tokens: bool,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        reach = kernel - 1
        self.pad = [reach, 0] if causal else [reach // 2, reach - reach // 2]
        self.entry = make_channel_map(channels, 2 * hidden if glu else hidden, 1, bias)
        self.gate: nn.Module = nn.GLU(1) if glu else make_activation(activation)
        self.spatial = nn.Conv1d(hidden, hidden, kernel, groups=hidden, bias=bias)
        self.norm = make_norm(norm, hidden, rank=1)
        self.activation = make_activation(activation)
        self.exit = make_channel_map(hidden, channels, 1, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.tokens:
            x = x.transpose(1, 2)
        x = self.spatial(functional.pad(self.gate(self.entry(x)), self.pad))
        x = self.exit(self.activation(self.norm(x)))
        return x.transpose(1, 2) if self.tokens else x
