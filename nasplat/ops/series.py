"""Ops between a series and what networks compute on: spectra, variables as positions, frames as outputs.

References:
    [Defossez2021] A. Defossez. Hybrid spectrogram and waveform source separation. MDX workshop 2021.
    [Liu2024] Y. Liu et al. iTransformer: inverted transformers are effective for time series
        forecasting. ICLR 2024.
    [Graves2006] A. Graves et al. Connectionist temporal classification. ICML 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, Series, TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import known, whole
from nasplat.ops.layout import Maps, axes, channels, maps_of, positions, rank, resized
from nasplat.ops.modules import series as modules


def series_of(op: Op, inputs: Sequence[TensorType]) -> Series:
    """The only input, a series.

    Raises:
        GraphTypeError: There are several inputs, or the one is no series.
    """
    if len(inputs) == 1 and isinstance(inputs[0], Series):
        return inputs[0]
    expect(False, op, "takes one Series", *inputs)
    raise AssertionError


def sequence_of(op: Op, inputs: Sequence[TensorType]) -> Series | Tokens:
    """The only input, a series or tokens.

    Raises:
        GraphTypeError: There are several inputs, or the one is of another type.
    """
    if len(inputs) == 1 and isinstance(inputs[0], Series | Tokens):
        return inputs[0]
    expect(False, op, "takes one Series or Tokens", *inputs)
    raise AssertionError


@dataclass(frozen=True, kw_only=True)
class Spectrogram(Op):
    """The short-time Fourier transform of each channel, ``Series(C, T) -> Image(C', bins, T / hop)``.

    Windows are ``2 * bins`` samples long (Hann), one begins every ``hop`` samples; the highest frequency is
    left out so that the bins are a round number, as in [Defossez2021]. The transform is a convolution
    with fixed weights.

    Attributes:
        form: ``stft``: real and imaginary parts, ``C' = 2 C``, the exact input of
            :class:`InverseSpectrogram`. ``magnitude``: logarithm of the power, ``C' = C``. ``mel``: the
            same summed within bands that are even on the mel scale.
        bins: Frequencies, or mel bands.
        hop: Samples from one window to the next, at most ``2 * bins``.
        window: Half the length of a window where that is not ``bins`` (mel bands are fewer); None: ``bins``.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("stft", "magnitude", "mel")

    form: str = "stft"
    bins: int = 64
    hop: int = 32
    window: int | None = None

    def infer(self, *inputs: TensorType) -> Image:
        series = series_of(self, inputs)
        known(self, inputs, self.FORMS, form=self.form)
        whole(self, inputs, 1, bins=self.bins, hop=self.hop)
        if self.window is not None:
            whole(self, inputs, 1, window=self.window)
        half = self._half
        rule = "needs hop <= 2 * window, and window = bins unless they are mel bands"
        good = self.hop <= 2 * half and (self.form == "mel" or half == self.bins)
        expect(good and self.bins <= half, self, rule, *inputs)
        parts = 2 * series.channels if self.form == "stft" else series.channels
        return Image(parts, self.bins, -(-series.length // self.hop))

    @property
    def _half(self) -> int:
        return self.window or self.bins

    def call(self, *inputs: TensorType) -> Call:
        image = self.infer(*inputs)
        arguments = {
            "half": self._half,
            "hop": self.hop,
            "frames": image.width,
            "form": self.form,
            "bins": self.bins,
        }
        return Call(modules.Spectrogram, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, series, half = self.infer(*inputs), series_of(self, inputs), self._half
        macs = series.channels * image.width * 2 * half * 2 * half
        if self.form == "mel":
            macs += series.channels * image.width * half * self.bins
        return OpCost(0, macs, 0)


@dataclass(frozen=True, kw_only=True)
class InverseSpectrogram(Op):
    """A series from real and imaginary parts, ``Image(2 C, bins, frames) -> Series(C, length)``.

    It undoes :class:`Spectrogram` of form ``stft`` with the same ``hop``, up to the highest frequency.

    Attributes:
        length: Samples that go out, at most ``frames * hop``.
        hop: Samples from one window to the next, at most ``bins``, so that windows overlap by half.
    """

    length: int
    hop: int = 32

    def infer(self, *inputs: TensorType) -> Series:
        image = inputs[0] if len(inputs) == 1 else None
        good = isinstance(image, Image) and image.channels % 2 == 0
        expect(good, self, "takes one Image with an even number of channels", *inputs)
        assert isinstance(image, Image)
        whole(self, inputs, 1, length=self.length, hop=self.hop)
        rule = "needs hop <= bins and length <= frames * hop"
        good = self.hop <= image.height and self.length <= image.width * self.hop
        expect(good, self, rule, *inputs)
        return Series(image.channels // 2, self.length)

    def call(self, *inputs: TensorType) -> Call:
        (image,) = inputs
        assert isinstance(image, Image)
        arguments = {
            "half": image.height,
            "hop": self.hop,
            "frames": image.width,
            "length": self.length,
        }
        return Call(modules.InverseSpectrogram, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        (image,) = inputs
        assert isinstance(image, Image)
        return OpCost(0, image.channels // 2 * image.width * 4 * image.height**2, 0)


@dataclass(frozen=True, kw_only=True)
class VariableEmbed(Op):
    """Each variable of a series as a position of its own [Liu2024].

    Attributes:
        channels: Channels of each position.
        patch: Samples of each position; None: the whole series of a variable is one,
            ``Series(C, T) -> Series(channels, C)``; else ``Series(C, T) -> Image(channels, C, T / patch)``,
            the last patch filled up with zeros.
    """

    channels: int
    patch: int | None = None

    def infer(self, *inputs: TensorType) -> Series | Image:
        series = series_of(self, inputs)
        whole(self, inputs, 1, channels=self.channels)
        if self.patch is None:
            return Series(self.channels, series.channels)
        whole(self, inputs, 1, patch=self.patch)
        return Image(self.channels, series.channels, -(-series.length // self.patch))

    def call(self, *inputs: TensorType) -> Call:
        series = series_of(self, inputs)
        size = series.length if self.patch is None else self.patch
        arguments = {
            "patch": size,
            "outputs": self.channels,
            "missing": -series.length % size,
            "flat": self.patch is None,
        }
        return Call(modules.VariableEmbed, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        series = series_of(self, inputs)
        size = series.length if self.patch is None else self.patch
        count = series.channels * -(-series.length // size)
        return counts.pointwise(size, self.channels, count)


@dataclass(frozen=True, kw_only=True)
class Flatten(Op):
    """A map as a series: all its positions in a row, or all axes but the last in the channels.

    Attributes:
        into: ``positions``: ``Image(C, H, W) -> Series(C, H W)``; ``channels``: ``Series(C H, W)``.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    into: str = "positions"

    def infer(self, *inputs: TensorType) -> Series:
        item = maps_of(self, inputs)
        known(self, inputs, ("positions", "channels"), into=self.into)
        last = axes(item)[-1]
        if self.into == "positions":
            return Series(item.channels, positions(item))
        return Series(item.channels * positions(item) // last, last)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Flatten, {"positions": self.into == "positions"})

    def is_identity(self, *inputs: TensorType) -> bool:
        return isinstance(inputs[0], Series)


@dataclass(frozen=True, kw_only=True)
class ToTokens(Op):
    """Every position of a map is a token, in order: ``Series(C, T) -> Tokens(T, C)``."""

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> Tokens:
        item = maps_of(self, inputs)
        return Tokens(positions(item), item.channels)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.ToTokens)


@dataclass(frozen=True, kw_only=True)
class ToSeries(Op):
    """Tokens as a series: ``Tokens(T, C) -> Series(C, T)``."""

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> Series:
        if len(inputs) == 1 and isinstance(inputs[0], Tokens):
            return Series(inputs[0].dim, inputs[0].length)
        expect(False, self, "takes one Tokens", *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.SwapAxes)


@dataclass(frozen=True, kw_only=True)
class PadTo(Op):
    """Zeros behind every position axis until its length is a multiple of a number.

    Attributes:
        multiple: The number.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    multiple: int = 2

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_of(self, inputs)
        whole(self, inputs, 1, multiple=self.multiple)
        made = resized(item, channels(item), [size + self._missing(size) for size in axes(item)])
        assert isinstance(made, Maps)
        return made

    def _missing(self, size: int) -> int:
        return -size % self.multiple

    def call(self, *inputs: TensorType) -> Call:
        missing = tuple(self._missing(size) for size in axes(maps_of(self, inputs)))
        return Call(modules.PadEnd, {"missing": missing})

    def is_identity(self, *inputs: TensorType) -> bool:
        return all(size % self.multiple == 0 for size in axes(maps_of(self, inputs)))


@dataclass(frozen=True, kw_only=True)
class CTCHead(Op):
    """Unnormalised log-probabilities of symbols for each frame, for a loss such as CTC [Graves2006].

    Features at another frame rate are interpolated linearly along time.

    Attributes:
        frames: Frames that go out.
        vocabulary: Symbols, the blank among them.
    """

    kind: ClassVar[str] = "ctc_head"

    frames: int
    vocabulary: int

    def infer(self, *inputs: TensorType) -> Tokens:
        sequence_of(self, inputs)
        whole(self, inputs, 1, frames=self.frames, vocabulary=self.vocabulary)
        return Tokens(self.frames, self.vocabulary)

    def call(self, *inputs: TensorType) -> Call:
        item = sequence_of(self, inputs)
        arguments = {
            "channels": channels(item),
            "vocabulary": self.vocabulary,
            "frames": 0 if axes(item)[0] == self.frames else self.frames,
            "series": rank(item) > 0,
        }
        return Call(modules.CTCHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = sequence_of(self, inputs)
        places = min(axes(item)[0], self.frames)
        return counts.pointwise(channels(item), self.vocabulary, places)


@dataclass(frozen=True, kw_only=True)
class SeriesHead(Op):
    """A series of given channels and length from features: waveforms of sources, values of a forecast.

    Attributes:
        channels: Channels that go out.
        length: Samples that go out.
        form: ``patch``: each position gives the next ``ceil(length / positions)`` samples (unpatchify).
            ``linear``: a linear map of the positions to samples, one for all channels.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("patch", "linear")

    channels: int
    length: int
    form: str = "patch"

    def infer(self, *inputs: TensorType) -> Series:
        sequence_of(self, inputs)
        whole(self, inputs, 1, channels=self.channels, length=self.length)
        known(self, inputs, self.FORMS, form=self.form)
        return Series(self.channels, self.length)

    def call(self, *inputs: TensorType) -> Call:
        item = sequence_of(self, inputs)
        arguments = {
            "inputs": channels(item),
            "outputs": self.channels,
            "positions": axes(item)[0],
            "length": self.length,
            "series": rank(item) > 0,
        }
        linear = self.form == "linear"
        return Call(modules.LinearSeriesHead if linear else modules.PatchSeriesHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = sequence_of(self, inputs)
        places = axes(item)[0]
        if self.form == "patch":
            patch = -(-self.length // places)
            return counts.pointwise(channels(item), self.channels * patch, places)
        mixed = counts.pointwise(channels(item), self.channels, places)
        return mixed + counts.pointwise(places, self.length, self.channels)
