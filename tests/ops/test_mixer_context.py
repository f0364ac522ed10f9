"""Mixers by context and by waves keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Logits, Series, Tokens, Vector, Volume
from nasplat.ops.mixer_context import FocalModulation, WaveChannelMixer
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)


class TestFocalModulation(OpConformance):
    cases = (
        Case(FocalModulation(), SMALL),
        Case(FocalModulation(levels=3, norm=True, scale=True), Series(4, 9)),
        Case(FocalModulation(levels=1, growth=0), Volume(4, 2, 3, 4)),
    )
    refused = (
        Case(FocalModulation(), Tokens(4, 4)),
        Case(FocalModulation(kernel=2), SMALL),
        Case(FocalModulation(growth=1), SMALL),
        Case(FocalModulation(levels=0), SMALL),
    )
    larger = ((Case(FocalModulation(), SMALL), Case(FocalModulation(kernel=5, levels=3), EVEN)),)
    # The first stage of FocalNet-T: two levels, kernels of 3 and 5.
    golden = ((Case(FocalModulation(), Image(96, 56, 56)), 40803, 126744576),)

    def test_without_gates_nothing_is_left_but_biases(self) -> None:
        module = FocalModulation().module(SMALL)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if name.startswith("entry.") or name.endswith("bias"):
                    parameter.zero_()
        assert not module(SMALL.example(2)).any()


class TestWaveChannelMixer(OpConformance):
    cases = (
        Case(WaveChannelMixer(), SMALL),
        Case(WaveChannelMixer(ratio=1.5), Tokens(5, 6)),
        Case(WaveChannelMixer(), Vector(4)),
    )
    refused = (Case(WaveChannelMixer(), Logits(4)), Case(WaveChannelMixer(ratio=0), SMALL))
    larger = ((Case(WaveChannelMixer(), SMALL), Case(WaveChannelMixer(), EVEN)),)
    golden = ((Case(WaveChannelMixer(), EVEN), 552, 32768),)
