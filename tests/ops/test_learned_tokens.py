"""Learned tokens keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Tokens
from nasplat.ops.learned_tokens import LearnedTokens
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(5, 6)


class TestLearnedTokens(OpConformance):
    cases = (
        Case(LearnedTokens(), TOKENS),
        Case(LearnedTokens(count=3, place="last"), TOKENS),
        Case(LearnedTokens(count=2, place="alone"), TOKENS),
        Case(LearnedTokens(count=2, place="alone", dim=4), TOKENS),
    )
    refused = (
        Case(LearnedTokens(), Image(6, 2, 2)),
        Case(LearnedTokens(count=0), TOKENS),
        Case(LearnedTokens(place="x"), TOKENS),
        Case(LearnedTokens(dim=4), TOKENS),
        Case(LearnedTokens(place="alone", dim=0), TOKENS),
    )
    larger = ((Case(LearnedTokens(count=2), TOKENS), Case(LearnedTokens(count=3), Tokens(5, 8))),)
    golden = ((Case(LearnedTokens(count=2), TOKENS), 12, 0),)

    def test_tokens_of_the_input_pass_unchanged(self) -> None:
        x = torch.randn(2, 5, 6)
        assert torch.equal(LearnedTokens(count=2).module(TOKENS)(x)[:, 2:], x)
        assert torch.equal(LearnedTokens(count=2, place="last").module(TOKENS)(x)[:, :5], x)
