"""Mixers keep the contract of ops."""

from __future__ import annotations

import pytest
import torch

from nasplat.graph.types import Image, Tokens, Vector
from nasplat.ops.mixer import ConvMixer, FourierMixer, PoolMixer
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)


class TestConvMixer(OpConformance):
    cases = (Case(ConvMixer(), SMALL), Case(ConvMixer(ratio=1.5, kernel=3), SMALL))
    refused = (
        Case(ConvMixer(), Tokens(4, 4)),
        Case(ConvMixer(kernel=2), SMALL),
        Case(ConvMixer(ratio=0), SMALL),
    )
    larger = ((Case(ConvMixer(kernel=3), SMALL), Case(ConvMixer(kernel=7), EVEN)),)
    golden = ((Case(ConvMixer(), EVEN), 1040, 66560),)


class TestPoolMixer(OpConformance):
    cases = (Case(PoolMixer(), SMALL), Case(PoolMixer(kernel=5), Image(2, 1, 1)))
    refused = (Case(PoolMixer(), Vector(8)), Case(PoolMixer(kernel=2), SMALL))
    golden = ((Case(PoolMixer(), EVEN), 0, 0),)


class TestFourierMixer(OpConformance):
    cases = (
        Case(FourierMixer(), SMALL),
        Case(FourierMixer(axes="sequence_and_channel"), SMALL),
        Case(FourierMixer(), Tokens(9, 4)),
        Case(FourierMixer(axes="sequence_and_channel"), Tokens(9, 4)),
        Case(FourierMixer(axes="sequence_and_channel", mask="causal"), Tokens(9, 4)),
    )
    refused = (
        Case(FourierMixer(), Vector(8)),
        Case(FourierMixer(axes="channel"), SMALL),
        Case(FourierMixer(mask="x"), Tokens(9, 4)),
        Case(FourierMixer(mask="causal"), SMALL),
    )
    golden = (
        (Case(FourierMixer(), EVEN), 0, 16384),
        (Case(FourierMixer(axes="sequence_and_channel"), EVEN), 0, 32768),
    )

    @pytest.mark.parametrize("over", FourierMixer.AXES)
    def test_a_causal_transform_sees_no_later_token(self, over: str) -> None:
        module = FourierMixer(axes=over, mask="causal").module(Tokens(9, 4))
        x = Tokens(9, 4).example(2)
        later = x.clone()
        later[:, 5:] += 1.0
        torch.testing.assert_close(module(x)[:, :5], module(later)[:, :5])
        assert not torch.equal(module(x)[:, 5:], module(later)[:, 5:])

    def test_it_is_the_real_part_of_torchs_transform(self) -> None:
        for features, axes, over in (
            (SMALL, (-2, -1), "sequence"),
            (SMALL, (-3, -2, -1), "sequence_and_channel"),
            (Tokens(9, 4), (-2,), "sequence"),
            (Tokens(9, 4), (-2, -1), "sequence_and_channel"),
        ):
            x = features.example(2)
            wanted = torch.fft.fftn(x, dim=axes, norm="ortho").real
            module = FourierMixer(axes=over).module(features)
            torch.testing.assert_close(module(x), wanted, atol=1e-5, rtol=1e-5)
