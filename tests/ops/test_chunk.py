"""Blocks and chunks of tokens keep the contract of ops, and of causality."""

from __future__ import annotations

import torch

from nasplat.graph.types import Ids, Tokens, Vector
from nasplat.ops.chunk import DeChunk, DynamicChunk, FoldTokens, ShiftTokens, UnfoldTokens
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(7, 4)


class TestFoldTokens(OpConformance):
    cases = (
        Case(FoldTokens(block=3), TOKENS),
        Case(FoldTokens(block=1), TOKENS),
        Case(FoldTokens(block=7), TOKENS),
    )
    refused = (Case(FoldTokens(), Vector(4)), Case(FoldTokens(block=0), TOKENS))
    golden = ((Case(FoldTokens(), TOKENS), 0, 0),)

    def test_unfolding_takes_back_what_folding_does(self) -> None:
        x = TOKENS.example(2)
        folded = FoldTokens(block=3).module(TOKENS)(x)
        back = UnfoldTokens(length=7, block=3).module(Tokens(3, 12))(folded)
        assert torch.equal(back, x)


class TestUnfoldTokens(OpConformance):
    cases = (
        Case(UnfoldTokens(length=7, block=2), Tokens(4, 4)),
        Case(UnfoldTokens(length=3, block=1), Tokens(3, 4)),
    )
    refused = (
        Case(UnfoldTokens(length=7), Ids(2, 4)),
        Case(UnfoldTokens(length=7, block=3), Tokens(3, 4)),
        Case(UnfoldTokens(length=9, block=2), Tokens(4, 4)),
        Case(UnfoldTokens(length=0), Tokens(4, 4)),
    )
    golden = ((Case(UnfoldTokens(length=7, block=2), Tokens(4, 4)), 0, 0),)


class TestShiftTokens(OpConformance):
    cases = (Case(ShiftTokens(), TOKENS), Case(ShiftTokens(by=7), TOKENS))
    refused = (
        Case(ShiftTokens(), Vector(4)),
        Case(ShiftTokens(by=0), TOKENS),
        Case(ShiftTokens(by=8), TOKENS),
    )
    larger = ((Case(ShiftTokens(), TOKENS), Case(ShiftTokens(), Tokens(7, 6))),)
    golden = ((Case(ShiftTokens(), TOKENS), 4, 0),)

    def test_tokens_are_some_places_later(self) -> None:
        x = TOKENS.example(1)
        module = ShiftTokens(by=2).module(TOKENS)
        y = module(x)
        assert torch.equal(y[:, 2:], x[:, :5])
        assert torch.equal(y[0, 0], module.get_parameter("start"))


class TestDynamicChunk(OpConformance):
    cases = (
        Case(DynamicChunk(), TOKENS),
        Case(DynamicChunk(room=1, balance=0, target_ratio=2), TOKENS),
    )
    refused = (
        Case(DynamicChunk(), Vector(4)),
        Case(DynamicChunk(), Tokens(1, 4)),
        Case(DynamicChunk(target_ratio=1), TOKENS),
        Case(DynamicChunk(room=0), TOKENS),
        Case(DynamicChunk(balance=-1), TOKENS),
    )
    larger = ((Case(DynamicChunk(), TOKENS), Case(DynamicChunk(), Tokens(7, 6))),)
    golden = ((Case(DynamicChunk(), TOKENS), 32, 192),)

    def test_chunks_are_the_tokens_at_which_they_begin(self) -> None:
        module = DynamicChunk(room=1).module(TOKENS).eval()
        x = TOKENS.example(4)
        chunks, presence, probability = module(x)
        for row in range(4):
            begins = x[row, probability[row, :, 0] >= 0.5]
            assert int(presence[row].sum()) == len(begins) >= 1
            assert torch.equal(chunks[row, : len(begins)], begins)
            assert not chunks[row, len(begins) :].any()

    def test_the_loss_pulls_to_the_ratio(self) -> None:
        module = DynamicChunk(target_ratio=4, balance=1).module(TOKENS).train()
        module(TOKENS.example(3))
        loss = module.auxiliary_loss
        assert isinstance(loss, torch.Tensor) and loss.item() > 1.0
        torch.autograd.backward(loss)
        module.eval()(TOKENS.example(3))
        assert module.auxiliary_loss is None


class TestDeChunk(OpConformance):
    cases = (
        Case(DeChunk(), Tokens(4, 3), Tokens(7, 1)),
        Case(DeChunk(smoothing=False), Tokens(4, 3), Tokens(7, 1)),
    )
    refused = (
        Case(DeChunk(), Tokens(4, 3)),
        Case(DeChunk(), Tokens(4, 3), Tokens(7, 2)),
        Case(DeChunk(), Tokens(8, 3), Tokens(7, 1)),
        Case(DeChunk(), Vector(3), Tokens(7, 1)),
    )
    golden = ((Case(DeChunk(), Tokens(4, 3), Tokens(7, 1)), 0, 48),)

    def test_every_token_has_the_state_of_its_chunk(self) -> None:
        chunks = torch.randn(1, 3, 2)
        chance = torch.tensor([[1.0, 0.2, 0.9, 0.1, 0.1, 0.7, 0.9]]).unsqueeze(-1)
        plain = DeChunk(smoothing=False).module(Tokens(3, 2), Tokens(7, 1))(chunks, chance)
        torch.testing.assert_close(plain[0], chunks[0, [0, 0, 1, 1, 1, 2, 2]])
        smooth = DeChunk().module(Tokens(3, 2), Tokens(7, 1))(chunks, chance)
        second = 0.9 * chunks[0, 1] + 0.1 * chunks[0, 0]
        third = 0.7 * chunks[0, 2] + 0.3 * second
        torch.testing.assert_close(smooth[0, 2], second, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(smooth[0, 5], third, atol=1e-3, rtol=1e-3)


def test_chunking_and_back_is_causal() -> None:
    torch.manual_seed(0)
    chunk = DynamicChunk(room=0.5).module(TOKENS).eval()
    back = DeChunk().module(Tokens(4, 4), Tokens(7, 1))
    x = TOKENS.example(5)
    later = x.clone()
    later[:, 4:] = torch.randn_like(later[:, 4:])

    def both(tokens: torch.Tensor) -> torch.Tensor:
        chunks, _, probability = chunk(tokens)
        found: torch.Tensor = back(chunks, probability)
        return found

    torch.testing.assert_close(both(x)[:, :4], both(later)[:, :4])
    assert not torch.equal(both(x), both(later))
