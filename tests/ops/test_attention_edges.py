"""Attention taken apart keeps the contract of ops, and put together again it is attention."""

from __future__ import annotations

import pytest
import torch

from nasplat.graph.types import Image, KeyValues, Presence, Scores, Tokens
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_edges import (
    AttentionApply,
    AttentionScores,
    CachedAttention,
    KVProjection,
    ScoresMix,
)
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(9, 12)
WIDE = Tokens(6, 24)
CACHE = KeyValues(2, 9, 6)


class TestAttentionScores(OpConformance):
    cases = (
        Case(AttentionScores(mask="causal"), TOKENS),
        Case(AttentionScores(heads=3, normaliser="sparsemax", mask="causal"), TOKENS),
        Case(AttentionScores(heads=2, normaliser="relu", head_dim=5), TOKENS, WIDE),
        Case(AttentionScores(normaliser="layer_norm", bias=False, mask="causal"), TOKENS, TOKENS),
        Case(AttentionScores(normaliser="none"), TOKENS),
    )
    refused = (
        Case(AttentionScores(), Image(4, 2, 2)),
        Case(AttentionScores(), TOKENS, TOKENS, TOKENS),
        Case(AttentionScores(heads=0), TOKENS),
        Case(AttentionScores(head_dim=0), TOKENS),
        Case(AttentionScores(normaliser="x"), TOKENS),
        Case(AttentionScores(mask="x"), TOKENS),
        Case(AttentionScores(mask="causal"), TOKENS, WIDE),
    )
    larger = ((Case(AttentionScores(heads=2), TOKENS), Case(AttentionScores(), WIDE)),)
    golden = ((Case(AttentionScores(), TOKENS), 2 * 12 * 13, 2 * 144 * 9 + 12 * 81),)

    @pytest.mark.parametrize("normaliser", ["softmax", "sparsemax", "relu", "layer_norm"])
    def test_a_causal_mask_leaves_no_weight_to_later_keys(self, normaliser: str) -> None:
        module = AttentionScores(mask="causal", normaliser=normaliser).module(TOKENS)
        scores = module(TOKENS.example(2))
        assert not scores.triu(1).any() and scores.tril().any()

    @pytest.mark.parametrize("mask", ["none", "causal"])
    def test_scores_and_their_use_are_self_attention(self, mask: str) -> None:
        scores, apply = (
            AttentionScores(mask=mask).module(TOKENS),
            AttentionApply().module(Scores(4, 9, 9), TOKENS),
        )
        whole = SelfAttention(mask=mask).module(TOKENS)
        whole.load_state_dict({**scores.state_dict(), **apply.state_dict()})
        x = TOKENS.example(2)
        torch.testing.assert_close(apply(scores(x), x), whole(x))


class TestScoresMix(OpConformance):
    cases = (
        Case(ScoresMix(), Scores(3, 4, 5)),
        Case(ScoresMix(heads=2, normaliser="softmax", mask="causal"), Scores(3, 4, 4)),
    )
    refused = (
        Case(ScoresMix(), TOKENS),
        Case(ScoresMix(heads=0), Scores(3, 4, 5)),
        Case(ScoresMix(normaliser="x"), Scores(3, 4, 5)),
        Case(ScoresMix(mask="causal"), Scores(3, 4, 5)),
    )
    larger = ((Case(ScoresMix(), Scores(2, 4, 4)), Case(ScoresMix(heads=4), Scores(3, 4, 4))),)
    golden = ((Case(ScoresMix(heads=2), Scores(3, 4, 5)), 6, 120),)


class TestAttentionApply(OpConformance):
    cases = (
        Case(AttentionApply(), Scores(4, 5, 9), TOKENS),
        Case(AttentionApply(nonlinear=True, head_dim=2, bias=False), Scores(3, 9, 9), TOKENS),
    )
    refused = (
        Case(AttentionApply(), TOKENS),
        Case(AttentionApply(), TOKENS, TOKENS),
        Case(AttentionApply(), Scores(4, 5, 8), TOKENS),
        Case(AttentionApply(head_dim=0), Scores(4, 5, 9), TOKENS),
        Case(AttentionApply(nonlinear=True), Scores(4, 5, 9), TOKENS),
    )
    larger = (
        (
            Case(AttentionApply(nonlinear=True), Scores(2, 9, 9), TOKENS),
            Case(AttentionApply(nonlinear=True), Scores(2, 6, 6), WIDE),
        ),
    )
    golden = ((Case(AttentionApply(), Scores(4, 5, 9), TOKENS), 2 * 12 * 13, 144 * 14 + 12 * 45),)


class TestKVProjection(OpConformance):
    cases = (
        Case(KVProjection(heads=2), TOKENS),
        Case(KVProjection(heads=3, head_dim=4, rank=2, rotary=0.5, bias=False), TOKENS),
    )
    refused = (
        Case(KVProjection(), Image(4, 2, 2)),
        Case(KVProjection(heads=0), TOKENS),
        Case(KVProjection(rank=0), TOKENS),
        Case(KVProjection(rotary=2.0), TOKENS),
    )
    larger = (
        (Case(KVProjection(heads=2, rank=3), TOKENS), Case(KVProjection(rank=4), WIDE)),
        (Case(KVProjection(heads=2), TOKENS), Case(KVProjection(), WIDE)),
    )
    golden = ((Case(KVProjection(rank=2), TOKENS), 2 * (24 + 2 * 12 + 12), 2 * 9 * 48),)


class TestCachedAttention(OpConformance):
    cases = (
        Case(CachedAttention(), TOKENS, CACHE),
        Case(CachedAttention(heads=4, mask="none", bias=False), WIDE, CACHE, Presence(9)),
        Case(CachedAttention(recent=3, rotary=1.0), TOKENS, CACHE, CACHE),
        Case(CachedAttention(recent=3, out_bias=False), Tokens(4, 8), CACHE, CACHE, Presence(9)),
    )
    refused = (
        Case(CachedAttention(), TOKENS),
        Case(CachedAttention(), Presence(9)),
        Case(CachedAttention(), CACHE, CACHE),
        Case(CachedAttention(), TOKENS, CACHE, KeyValues(2, 9, 5)),
        Case(CachedAttention(), TOKENS, CACHE, CACHE, CACHE),
        Case(CachedAttention(), TOKENS, CACHE, Presence(8)),
        Case(CachedAttention(heads=1), TOKENS, CACHE),
        Case(CachedAttention(recent=0), TOKENS, CACHE, CACHE),
        Case(CachedAttention(mask="x"), TOKENS, CACHE),
        Case(CachedAttention(rotary=-1.0), TOKENS, CACHE),
        Case(CachedAttention(), Tokens(10, 4), CACHE),
    )
    larger = (
        (
            Case(CachedAttention(heads=2), TOKENS, CACHE),
            Case(CachedAttention(heads=4), Tokens(6, 24), KeyValues(4, 6, 8)),
        ),
    )
    golden = ((Case(CachedAttention(), TOKENS, CACHE), 2 * 12 * 13, 2 * 144 * 9 + 24 * 81),)

    @pytest.mark.parametrize("rotary", [0.0, 1.0])
    def test_a_cache_and_its_reader_are_self_attention(self, rotary: float) -> None:
        cache = KVProjection(heads=2, head_dim=4, rotary=rotary).module(TOKENS)
        op = CachedAttention(heads=4, rotary=rotary)
        reader = op.module(TOKENS, KeyValues(2, 9, 4))
        attention = SelfAttention(kv_heads=2, head_dim=4, mask="causal", rotary=rotary)
        whole = attention.module(TOKENS)
        whole.load_state_dict({**cache.state_dict(), **reader.state_dict()})
        x = TOKENS.example(2)
        torch.testing.assert_close(reader(x, cache(x)), whole(x))

    def test_two_equal_caches_are_one(self) -> None:
        twice = CachedAttention(recent=3).module(TOKENS, CACHE, CACHE)
        once = CachedAttention().module(TOKENS, CACHE)
        once.load_state_dict(twice.state_dict())
        x, cache = TOKENS.example(2), CACHE.example(2)
        torch.testing.assert_close(twice(x, cache, cache), once(x, cache))

    def test_each_cache_gives_its_own_positions(self) -> None:
        module = CachedAttention(recent=3).module(TOKENS, CACHE, CACHE)
        caches = [CACHE.example(1).requires_grad_() for _ in range(2)]
        found = torch.autograd.grad(module(TOKENS.example(1), *caches)[0, 6].sum(), caches)
        seen = [[bool(part[0, :, :, place].any()) for place in range(9)] for part in found]
        assert seen == [[False] * 4 + [True] * 3 + [False] * 2, [True] * 4 + [False] * 5]
