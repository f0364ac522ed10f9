"""Norms, activations and scales keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Logits, Tokens, Vector
from nasplat.ops.norm import Activation, BatchNorm, LayerNorm, LayerScale, RMSNorm
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
TOKENS = Tokens(9, 6)
VECTOR = Vector(6)


class TestLayerNorm(OpConformance):
    cases = (Case(LayerNorm(), SMALL), Case(LayerNorm(), TOKENS), Case(LayerNorm(), VECTOR))
    refused = (Case(LayerNorm(), Logits(4)), Case(LayerNorm(), SMALL, SMALL))
    larger = ((Case(LayerNorm(), SMALL), Case(LayerNorm(), Image(8, 5, 7))),)
    golden = ((Case(LayerNorm(), SMALL), 12, 0),)

    def test_each_position_of_an_image_has_zero_mean_and_unit_variance(self) -> None:
        y = LayerNorm().module(SMALL)(SMALL.example(2))
        torch.testing.assert_close(y.mean(1), torch.zeros(2, 5, 7), atol=1e-5, rtol=0)
        torch.testing.assert_close(y.var(1, correction=0), torch.ones(2, 5, 7), atol=1e-3, rtol=0)


class TestRMSNorm(OpConformance):
    cases = (Case(RMSNorm(), SMALL), Case(RMSNorm(), TOKENS), Case(RMSNorm(), VECTOR))
    refused = (Case(RMSNorm(), Logits(4)),)
    larger = ((Case(RMSNorm(), SMALL), Case(RMSNorm(), Image(8, 5, 7))),)
    golden = ((Case(RMSNorm(), SMALL), 6, 0),)

    def test_each_position_has_unit_mean_square(self) -> None:
        for features, axis in ((SMALL, 1), (TOKENS, -1)):
            y = RMSNorm().module(features)(features.example(2))
            power = y.square().mean(axis)
            torch.testing.assert_close(power, torch.ones_like(power), atol=1e-4, rtol=0)


class TestBatchNorm(OpConformance):
    cases = (Case(BatchNorm(), SMALL), Case(BatchNorm(), TOKENS), Case(BatchNorm(), VECTOR))
    refused = (Case(BatchNorm(), Logits(4)),)
    larger = ((Case(BatchNorm(), SMALL), Case(BatchNorm(), Image(8, 5, 7))),)
    golden = ((Case(BatchNorm(), SMALL), 12, 0),)

    def test_each_channel_of_tokens_has_zero_mean_over_batch_and_positions(self) -> None:
        y = BatchNorm().module(TOKENS).train()(TOKENS.example(4))
        torch.testing.assert_close(y.mean((0, 1)), torch.zeros(6), atol=1e-5, rtol=0)


class TestActivation(OpConformance):
    cases = tuple(
        Case(Activation(form=form), SMALL) for form in ("gelu", "relu", "silu", "hardswish", "none")
    )
    refused = (Case(Activation(form="tanh"), SMALL), Case(Activation(), Logits(4)))
    golden = ((Case(Activation(), SMALL), 0, 0),)


class TestLayerScale(OpConformance):
    cases = (
        Case(LayerScale(), SMALL),
        Case(LayerScale(initial=1e-5), TOKENS),
        Case(LayerScale(initial=1), VECTOR),
    )
    refused = (Case(LayerScale(), Logits(4)),)
    larger = ((Case(LayerScale(), SMALL), Case(LayerScale(), Image(8, 5, 7))),)
    golden = ((Case(LayerScale(), SMALL), 6, 0),)
