"""The Gramian head keeps the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Tokens, Vector
from nasplat.ops.gramian import GramianHead
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(9, 12)


class TestGramianHead(OpConformance):
    cases = (
        Case(GramianHead(classes=3), TOKENS),
        Case(GramianHead(classes=2, heads=1, rank=3, attention_heads=5), Image(6, 2, 3)),
    )
    refused = (
        Case(GramianHead(classes=3), Vector(4)),
        Case(GramianHead(classes=0), TOKENS),
        Case(GramianHead(classes=3, heads=0), TOKENS),
        Case(GramianHead(classes=3, rank=0), TOKENS),
        Case(GramianHead(classes=3, attention_heads=0), TOKENS),
    )
    larger = (
        (
            Case(GramianHead(classes=3, rank=4, attention_heads=2), TOKENS),
            Case(GramianHead(classes=3, heads=3), Tokens(5, 24)),
        ),
    )
    golden = (
        (
            Case(GramianHead(classes=3, rank=4), TOKENS),
            2 * (52 + 17 * 12 + 4 * 156 + 24 + 39),
            2 * (9 * 48 + 9 * 16 + 16 * 12 + 144 * 20 + 24 * 9 + 36),
        ),
    )

    def test_the_order_of_the_positions_is_irrelevant(self) -> None:
        module, x = GramianHead(classes=3).module(TOKENS), TOKENS.example(2)
        torch.testing.assert_close(module(x), module(x.flip(1)), atol=1e-5, rtol=1e-5)
