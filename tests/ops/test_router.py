"""Routing between modules keeps the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Tokens, Vector
from nasplat.ops.router import BlockRouter
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(5, 6)
SMALL = Image(4, 3, 2)


class TestBlockRouter(OpConformance):
    cases = (
        Case(BlockRouter(), TOKENS, TOKENS, TOKENS),
        Case(BlockRouter(top_k=2), SMALL, SMALL, SMALL, SMALL),
    )
    refused = (
        Case(BlockRouter(), TOKENS),
        Case(BlockRouter(), TOKENS, SMALL),
        Case(BlockRouter(), Vector(6), Vector(6)),
        Case(BlockRouter(top_k=3), TOKENS, TOKENS, TOKENS),
        Case(BlockRouter(top_k=0), TOKENS, TOKENS),
    )
    larger = (
        (
            Case(BlockRouter(), TOKENS, TOKENS),
            Case(BlockRouter(), Tokens(5, 8), Tokens(5, 8), Tokens(5, 8)),
        ),
    )
    golden = ((Case(BlockRouter(), TOKENS, TOKENS, TOKENS), 12, 60),)

    def test_a_module_that_is_not_chosen_has_no_say(self) -> None:
        module = BlockRouter(top_k=1).module(TOKENS, TOKENS, TOKENS)
        x, one, two = (torch.randn(1, *TOKENS.shape) for _ in range(3))
        best = module.score(x).argmax(-1, keepdim=True)
        met = module(x, one, two) / torch.where(best == 0, one, two)
        assert torch.allclose(met, met[..., :1].expand_as(met), atol=1e-4)
        assert ((met > 0.5) & (met <= 1)).all()
