"""Latents that read positions keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Tokens, Vector
from nasplat.ops.latents import LatentResampler
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(9, 12)


class TestLatentResampler(OpConformance):
    cases = (
        Case(LatentResampler(layers=2, kv_heads=2), TOKENS),
        Case(LatentResampler(latents=2, heads=5, ratio=1.5), Image(6, 2, 3)),
    )
    refused = (
        Case(LatentResampler(), Vector(4)),
        Case(LatentResampler(latents=0), TOKENS),
        Case(LatentResampler(layers=0), TOKENS),
        Case(LatentResampler(ratio=0.0), TOKENS),
        Case(LatentResampler(heads=0), TOKENS),
        Case(LatentResampler(bias=False), TOKENS),
    )
    larger = (
        (
            Case(LatentResampler(heads=2, latents=3), TOKENS),
            Case(LatentResampler(layers=2), Tokens(5, 24)),
        ),
    )
    golden = (
        (
            Case(LatentResampler(latents=3), TOKENS),
            36 + 4 * 156 + 72 + 2 * 576 + 60,
            144 * (2 * 3 + 2 * 12) + 24 * 3 * 12 + 2 * 576 * 3,
        ),
    )

    def test_the_order_of_the_positions_is_irrelevant(self) -> None:
        module, x = LatentResampler(latents=2).module(TOKENS), TOKENS.example(2)
        torch.testing.assert_close(module(x), module(x.flip(1)), atol=1e-5, rtol=1e-5)
