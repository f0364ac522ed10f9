"""Ops between series and spectra, variables and frames keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Grid, Image, Logits, Series, Tokens
from nasplat.ops.series import (
    CTCHead,
    Flatten,
    InverseSpectrogram,
    PadTo,
    SeriesHead,
    Spectrogram,
    ToSeries,
    ToTokens,
    VariableEmbed,
)
from nasplat.testing.ops import Case, OpConformance

WAVE = Series(2, 30)
IMAGE = Image(4, 3, 5)
TOKENS = Tokens(6, 4)


class TestSpectrogram(OpConformance):
    cases = (
        Case(Spectrogram(bins=4, hop=2), WAVE),
        Case(Spectrogram(form="magnitude", bins=8, hop=4), WAVE),
        Case(Spectrogram(form="mel", bins=4, hop=5, window=8), WAVE),
        Case(Spectrogram(bins=2, hop=3), Series(1, 1)),
    )
    refused = (
        Case(Spectrogram(), IMAGE),
        Case(Spectrogram(form="cepstrum"), WAVE),
        Case(Spectrogram(bins=4, hop=9), WAVE),
        Case(Spectrogram(bins=4, hop=2, window=8), WAVE),
        Case(Spectrogram(form="mel", bins=9, hop=2, window=8), WAVE),
        Case(Spectrogram(bins=0), WAVE),
    )
    golden = (
        (Case(Spectrogram(bins=4, hop=2), WAVE), 0, 2 * 15 * 64),
        (Case(Spectrogram(form="mel", bins=4, hop=2, window=8), WAVE), 0, 2 * 15 * (256 + 32)),
    )

    def test_a_tone_is_strongest_in_its_bin(self) -> None:
        time = torch.arange(256.0)
        wave = torch.cos(2 * torch.pi * 5 * time / 32)[None, None]
        power = Spectrogram(form="magnitude", bins=16, hop=8).module(Series(1, 256))(wave)
        assert int(power[0, 0, :, 16].argmax()) == 5


class TestInverseSpectrogram(OpConformance):
    cases = (
        Case(InverseSpectrogram(length=9, hop=2), Image(4, 4, 5)),
        Case(InverseSpectrogram(length=10, hop=3), Image(2, 3, 4)),
    )
    refused = (
        Case(InverseSpectrogram(length=9, hop=2), Image(3, 4, 5)),
        Case(InverseSpectrogram(length=11, hop=2), Image(4, 4, 5)),
        Case(InverseSpectrogram(length=9, hop=5), Image(4, 4, 5)),
        Case(InverseSpectrogram(length=9), WAVE),
    )
    golden = ((Case(InverseSpectrogram(length=9, hop=2), Image(4, 4, 5)), 0, 2 * 5 * 64),)

    def test_it_undoes_the_transform_of_a_smooth_series(self) -> None:
        wave = Series(2, 250)
        time = torch.arange(250.0)
        x = torch.stack([torch.sin(time / 9) + 0.3, torch.cos(time / 4) * time / 250])[None]
        there = Spectrogram(bins=16, hop=8)
        image = there.infer(wave)
        back = InverseSpectrogram(length=250, hop=8).module(image)
        got = back(there.module(wave)(x))
        inner = slice(16, 234)  # the step to the zeros around has the highest frequency
        torch.testing.assert_close(got[..., inner], x[..., inner], atol=5e-3, rtol=0)


class TestVariableEmbed(OpConformance):
    cases = (
        Case(VariableEmbed(channels=4), WAVE),
        Case(VariableEmbed(channels=4, patch=8), WAVE),
    )
    refused = (
        Case(VariableEmbed(channels=4), TOKENS),
        Case(VariableEmbed(channels=0), WAVE),
        Case(VariableEmbed(channels=4, patch=0), WAVE),
    )
    larger = ((Case(VariableEmbed(channels=4), WAVE), Case(VariableEmbed(channels=6), WAVE)),)
    golden = (
        (Case(VariableEmbed(channels=4), WAVE), 124, 240),
        (Case(VariableEmbed(channels=4, patch=8), WAVE), 36, 2 * 4 * 32),
    )


class TestFlatten(OpConformance):
    cases = (
        Case(Flatten(), IMAGE),
        Case(Flatten(into="channels"), IMAGE),
        Case(Flatten(into="channels"), Grid(2, 3, 1, 2, 2)),
        Case(Flatten(), WAVE),
    )
    refused = (Case(Flatten(), TOKENS), Case(Flatten(into="time"), IMAGE))
    golden = ((Case(Flatten(), IMAGE), 0, 0),)


class TestToTokens(OpConformance):
    cases = (Case(ToTokens(), WAVE), Case(ToTokens(), IMAGE))
    refused = (Case(ToTokens(), TOKENS),)
    golden = ((Case(ToTokens(), WAVE), 0, 0),)


class TestToSeries(OpConformance):
    cases = (Case(ToSeries(), TOKENS),)
    refused = (Case(ToSeries(), WAVE),)
    golden = ((Case(ToSeries(), TOKENS), 0, 0),)


class TestPadTo(OpConformance):
    cases = (Case(PadTo(multiple=8), WAVE), Case(PadTo(), IMAGE), Case(PadTo(multiple=5), WAVE))
    refused = (Case(PadTo(), TOKENS), Case(PadTo(multiple=0), WAVE))
    golden = ((Case(PadTo(), IMAGE), 0, 0),)

    def test_zeros_come_last(self) -> None:
        x = WAVE.example(1)
        padded = PadTo(multiple=8).module(WAVE)(x)
        assert torch.equal(padded[:, :, :30], x) and not padded[:, :, 30:].any()


class TestCTCHead(OpConformance):
    cases = (
        Case(CTCHead(frames=9, vocabulary=5), Series(4, 6)),
        Case(CTCHead(frames=3, vocabulary=5), TOKENS),
        Case(CTCHead(frames=6, vocabulary=5), TOKENS),
    )
    refused = (
        Case(CTCHead(frames=9, vocabulary=5), IMAGE),
        Case(CTCHead(frames=0, vocabulary=5), TOKENS),
        Case(CTCHead(frames=9, vocabulary=5), Logits(4)),
    )
    larger = (
        (
            Case(CTCHead(frames=6, vocabulary=5), TOKENS),
            Case(CTCHead(frames=6, vocabulary=6), Tokens(6, 8)),
        ),
    )
    golden = (
        (Case(CTCHead(frames=9, vocabulary=5), TOKENS), 25, 120),
        (Case(CTCHead(frames=3, vocabulary=5), TOKENS), 25, 60),
    )


class TestSeriesHead(OpConformance):
    cases = (
        Case(SeriesHead(channels=2, length=11), Series(4, 6)),
        Case(SeriesHead(channels=2, length=3), TOKENS),
        Case(SeriesHead(channels=3, length=11, form="linear"), Series(4, 6)),
        Case(SeriesHead(channels=3, length=5, form="linear"), TOKENS),
    )
    refused = (
        Case(SeriesHead(channels=2, length=11), IMAGE),
        Case(SeriesHead(channels=0, length=11), TOKENS),
        Case(SeriesHead(channels=2, length=11, form="conv"), TOKENS),
    )
    larger = (
        (
            Case(SeriesHead(channels=2, length=6, form="linear"), TOKENS),
            Case(SeriesHead(channels=3, length=8, form="linear"), Tokens(6, 8)),
        ),
    )
    golden = (
        (Case(SeriesHead(channels=2, length=11), TOKENS), 20, 6 * 16),
        (Case(SeriesHead(channels=2, length=11, form="linear"), TOKENS), 10 + 77, 48 + 132),
    )
