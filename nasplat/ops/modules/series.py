"""Layers between series and spectra, variables, frames; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``T`` samples, ``F`` frequencies, ``L`` positions. A series is
``(B, C, T)``.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


def fourier_kernels(half: int) -> torch.Tensor:
    """Windowed cosines, then sines, of ``half`` frequencies over ``2 * half`` samples, ``(2 half, 2 half)``.

    They are orthonormal up to the window, but for the frequency 0.
    """
    size = 2 * half
    time = torch.arange(size, dtype=torch.float64)
    angle = 2 * math.pi / size * torch.arange(half, dtype=torch.float64)[:, None] * time
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * (time + 0.5) / size)
    return torch.cat([angle.cos(), -angle.sin()]) * window / math.sqrt(half)


def mel_bands(half: int, bins: int) -> torch.Tensor:
    """Triangles that are even on the mel scale, ``(bins, half)``; frequencies as parts of 8 kHz."""
    top = 2595 * math.log10(1 + 8000 / 700)
    mels = torch.linspace(0.0, top, bins + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1) / 8000 * half
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    place = torch.arange(half, dtype=torch.float64)
    # A triangle narrower than two frequencies still catches the nearest one.
    rising = (place - low) / torch.clamp(middle - low, min=1.0)
    falling = (high - place) / torch.clamp(high - middle, min=1.0)
    nearest = (place == middle.round().clamp(max=half - 1)).double()
    return torch.maximum(torch.minimum(rising, falling).clamp(min=0.0), nearest)


class Spectrogram(nn.Module):
    """The short-time Fourier transform of each channel, ``(B, C, T) -> (B, C', F, frames)``.

    Args:
        half: Half the samples of a window, the number of frequencies.
        hop: Samples from one window to the next.
        frames: Number of windows.
        form: ``stft``, ``magnitude`` or ``mel``.
        bins: Frequencies or mel bands that go out.
    """

    kernels: torch.Tensor
    bands: torch.Tensor

    def __init__(self, half: int, hop: int, frames: int, form: str, bins: int) -> None:
        super().__init__()
        self.frequencies = half
        self.hop = hop
        self.form = form
        self.left = (2 * half - hop + 1) // 2
        self.total = (frames - 1) * hop + 2 * half
        self.register_buffer("kernels", fourier_kernels(half).float()[:, None], persistent=False)
        if form == "mel":
            bands = mel_bands(half, bins).float()[:, :, None]
            self.register_buffer("bands", bands, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        channels = x.shape[1]
        x = functional.pad(x, (self.left, max(0, self.total - self.left - x.shape[2])))
        x = x[:, :, : self.total].reshape(-1, 1, self.total)
        parts = functional.conv1d(x, self.kernels, stride=self.hop)  # (B C, 2 F, frames)
        if self.form == "stft":
            return parts.reshape(-1, 2 * channels, self.frequencies, parts.shape[2])
        power = parts[:, : self.frequencies].square() + parts[:, self.frequencies :].square()
        if self.form == "mel":
            power = functional.conv1d(power, self.bands)
        return (power + 1e-5).log().reshape(-1, channels, power.shape[1], power.shape[2])


class InverseSpectrogram(nn.Module):
    """A series from the parts of its Fourier transform, ``(B, 2 C, F, frames) -> (B, C, length)``.

    Args:
        half: Number of frequencies, half the samples of a window.
        hop: Samples from one window to the next.
        frames: Number of windows.
        length: Samples that go out.
    """

    kernels: torch.Tensor
    scale: torch.Tensor

    def __init__(self, half: int, hop: int, frames: int, length: int) -> None:
        super().__init__()
        self.frequencies = half
        self.hop = hop
        self.length = length
        self.left = (2 * half - hop + 1) // 2
        kernels = fourier_kernels(half)
        kernels[0] = kernels[0] / 2  # the frequency 0 stands once, all others for two of one size
        self.register_buffer("kernels", kernels.float()[:, None], persistent=False)
        time = torch.arange(2 * half, dtype=torch.float64)
        window = (0.5 - 0.5 * torch.cos(2 * math.pi * (time + 0.5) / (2 * half))).square()
        ones = torch.ones(1, 1, frames, dtype=torch.float64)
        overlap = functional.conv_transpose1d(ones, window[None, None], stride=hop)
        scale = (1 / overlap.clamp(min=1e-2))[:, :, self.left : self.left + length]
        self.register_buffer("scale", scale.float(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        channels = x.shape[1] // 2
        parts = x.reshape(-1, 2 * self.frequencies, x.shape[3])
        series = functional.conv_transpose1d(parts, self.kernels, stride=self.hop)
        series = series[:, :, self.left : self.left + self.length] * self.scale
        return series.reshape(-1, channels, self.length)


class VariableEmbed(nn.Module):
    """Each channel's patches become positions, ``(B, C, T) -> (B, D, C, L)``, or ``(B, D, C)`` if flat.

    Args:
        patch: Samples of a patch.
        outputs: Channels of a position, ``D``.
        missing: Zeros added at the end.
        flat: Whether there is one patch and no axis for it.
    """

    def __init__(self, patch: int, outputs: int, missing: int, flat: bool) -> None:
        super().__init__()
        self.patch = patch
        self.missing = missing
        self.flat = flat
        self.linear = nn.Linear(patch, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.missing:
            x = functional.pad(x, (0, self.missing))
        if self.flat:
            return self.linear(x).transpose(1, 2)
        return self.linear(x.unflatten(2, (-1, self.patch))).permute(0, 3, 1, 2)


class Flatten(nn.Module):
    """A map as a series: all positions in a row, or all axes but the last in the channels."""

    def __init__(self, positions: bool) -> None:
        super().__init__()
        self.positions = positions

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2) if self.positions else x.flatten(1, -2)


class SwapAxes(nn.Module):
    """The two axes after the batch change places."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2)


class ToTokens(nn.Module):
    """Every position of a map is a token, ``(B, C, *axes) -> (B, L, C)``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).transpose(1, 2)


class PadEnd(nn.Module):
    """Zeros behind the position axes.

    Args:
        missing: How many for each axis.
    """

    def __init__(self, missing: tuple[int, ...]) -> None:
        super().__init__()
        self.pads = [side for count in reversed(missing) for side in (0, count)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(x, self.pads)


class CTCHead(nn.Module):
    """Logits of symbols for each frame, ``(B, frames, V)``.

    Args:
        channels: Channels of the features.
        vocabulary: Number of symbols.
        frames: Frames that go out; 0: as many as come in.
        series: Whether the channels are the first axis after the batch, else they are the last.
    """

    def __init__(self, channels: int, vocabulary: int, frames: int, series: bool) -> None:
        super().__init__()
        self.frames = frames
        self.series = series
        self.linear = nn.Linear(channels, vocabulary)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.transpose(1, 2) if self.series else x
        # Linear maps and interpolation commute: the map runs where there are fewer positions.
        if self.frames and x.shape[1] < self.frames:
            return self._stretched(self.linear(x))
        return self.linear(self._stretched(x) if self.frames else x)

    def _stretched(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.interpolate(x.transpose(1, 2), size=self.frames, mode="linear")
        return x.transpose(1, 2)


class PatchSeriesHead(nn.Module):
    """Each position gives some of the samples, ``(B, C, L) -> (B, S, length)``.

    Args:
        inputs: Channels of the features.
        outputs: Channels that go out, ``S``.
        positions: Number of positions, ``L``.
        length: Samples that go out.
        series: Whether the channels are the first axis after the batch, else they are the last.
    """

    def __init__(
        self, inputs: int, outputs: int, positions: int, length: int, series: bool
    ) -> None:
        super().__init__()
        self.outputs = outputs
        self.length = length
        self.series = series
        self.linear = nn.Linear(inputs, outputs * -(-length // positions))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.linear(x.transpose(1, 2) if self.series else x)
        x = x.unflatten(2, (self.outputs, -1)).transpose(1, 2).flatten(2)
        return x[:, :, : self.length]


class LinearSeriesHead(nn.Module):
    """A linear map of channels, then one of positions, ``(B, C, L) -> (B, S, length)``.

    Args:
        inputs: Channels of the features.
        outputs: Channels that go out, ``S``.
        positions: Number of positions, ``L``.
        length: Samples that go out.
        series: Whether the channels are the first axis after the batch, else they are the last.
    """

    def __init__(
        self, inputs: int, outputs: int, positions: int, length: int, series: bool
    ) -> None:
        super().__init__()
        self.series = series
        self.mix = nn.Linear(inputs, outputs)
        self.spread = nn.Linear(positions, length)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.mix(x.transpose(1, 2) if self.series else x)
        return self.spread(x.transpose(1, 2))
