"""Reducing tokens, and putting them back, keeps the contract of ops."""

from __future__ import annotations

import pytest
import torch

from nasplat.graph.types import Ids, Image, Scores, Tokens
from nasplat.ops.token_reduction import TokenMerge, TokenPool, TokenPrune, TokenScatter
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(9, 6)


class TestTokenPrune(OpConformance):
    cases = (
        Case(TokenPrune(), TOKENS),
        Case(
            TokenPrune(keep=0.3, keep_first=1, score="attention", places=False),
            TOKENS,
            Scores(2, 4, 9),
        ),
        Case(TokenPrune(keep=1.0, score="change"), TOKENS, TOKENS),
    )
    refused = (
        Case(TokenPrune(), Image(4, 2, 2)),
        Case(TokenPrune(), TOKENS, TOKENS),
        Case(TokenPrune(keep=0.0), TOKENS),
        Case(TokenPrune(keep_first=9), TOKENS),
        Case(TokenPrune(score="x"), TOKENS),
        Case(TokenPrune(score="attention"), TOKENS),
        Case(TokenPrune(score="attention"), TOKENS, Scores(2, 9, 4)),
        Case(TokenPrune(score="change"), TOKENS, Tokens(9, 5)),
    )
    larger = ((Case(TokenPrune(), TOKENS), Case(TokenPrune(), Tokens(5, 8))),)
    golden = ((Case(TokenPrune(), TOKENS), 7, 54),)

    def test_the_best_are_kept_in_their_order(self) -> None:
        module = TokenPrune(keep=0.5, keep_first=1, score="attention").module(
            TOKENS, Scores(1, 1, 9)
        )
        scores = torch.tensor([0.0, 5, 1, 4, 3, 0, 0, 0, 2]).view(1, 1, 1, 9)
        x = TOKENS.example(1)
        kept, places = module(x, scores)
        assert places.tolist() == [[0, 1, 3, 4, 8]]
        assert torch.equal(kept, x[:, places[0]])

    def test_the_most_changed_are_kept(self) -> None:
        before = TOKENS.example(1)
        after = before.clone()
        after[0, [2, 7]] += 1.0
        _, places = TokenPrune(keep=0.2, score="change").module(TOKENS, TOKENS)(after, before)
        assert places.tolist() == [[2, 7]]


class TestTokenMerge(OpConformance):
    cases = (
        Case(TokenMerge(), TOKENS),
        Case(TokenMerge(keep=0.2, keep_first=2, members=True), Tokens(12, 6)),
        Case(TokenMerge(keep=0.4, match="cluster", keep_first=1, members=True), TOKENS),
        Case(TokenMerge(keep=0.4, match="knn"), TOKENS),
        Case(TokenMerge(match="knn"), Tokens(3, 4)),
    )
    refused = (
        Case(TokenMerge(), Image(4, 2, 2)),
        Case(TokenMerge(), TOKENS, TOKENS),
        Case(TokenMerge(keep=2.0), TOKENS),
        Case(TokenMerge(keep_first=-1), TOKENS),
        Case(TokenMerge(match="x"), TOKENS),
    )
    golden = (
        (Case(TokenMerge(), TOKENS), 0, 5 * 9 * 6 + 5 * 4 * 6 + 5 * 9 * 7),
        (Case(TokenMerge(match="cluster"), TOKENS), 0, 5 * 5 * 9 * 6),
        (Case(TokenMerge(match="knn"), TOKENS), 0, (5 + 9) * 9 * 6),
    )

    @pytest.mark.parametrize("match", ["bipartite", "cluster", "knn"])
    def test_a_token_is_the_mean_of_its_members(self, match: str) -> None:
        tokens, op = Tokens(17, 6), TokenMerge(keep=0.3, keep_first=1, match=match, members=True)
        x = tokens.example(2)
        merged, members = op.module(tokens)(x)
        assert merged.shape == (2, 6, 6)
        for example in range(2):
            assert members[example, 0] == 0 and (members[example, 1:] > 0).all()
            for place in set(members[example].tolist()):
                wanted = x[example, members[example] == place].mean(0)
                torch.testing.assert_close(merged[example, place], wanted)

    @pytest.mark.parametrize("match", ["bipartite", "cluster", "knn"])
    def test_copies_merge_with_each_other(self, match: str) -> None:
        kinds = 3.0 * torch.eye(4, 6)
        order = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
        op = TokenMerge(keep=0.5, match=match, members=True)
        _, members = op.module(Tokens(8, 6))(kinds[order].unsqueeze(0))
        pairs = members[0].unflatten(0, (4, 2))
        assert torch.equal(pairs[:, 0], pairs[:, 1]) and len(set(pairs[:, 0].tolist())) == 4


class TestTokenPool(OpConformance):
    cases = (
        Case(TokenPool(), TOKENS),
        Case(TokenPool(mode="max", factor=4), TOKENS),
        Case(TokenPool(mode="attention", factor=4), TOKENS),
        Case(TokenPool(mode="random_pick", factor=12), TOKENS),
    )
    refused = (
        Case(TokenPool(), Image(4, 2, 2)),
        Case(TokenPool(factor=0), TOKENS),
        Case(TokenPool(mode="x"), TOKENS),
    )
    golden = ((Case(TokenPool(mode="attention", factor=4), TOKENS), 7, 72),)

    def test_the_mean_of_those_that_are_there(self) -> None:
        x = TOKENS.example(2)
        pooled = TokenPool(factor=4).module(TOKENS)(x)
        torch.testing.assert_close(pooled[:, 1], x[:, 4:8].mean(1))
        torch.testing.assert_close(pooled[:, 2], x[:, 8])

    def test_a_random_one_in_training_and_the_middle_one_later(self) -> None:
        module, x = TokenPool(mode="random_pick", factor=4).module(TOKENS), TOKENS.example(1)
        torch.manual_seed(0)
        picked = torch.stack([module(x)[0] for _ in range(64)])
        for place in range(9):
            assert (picked[:, place // 4] == x[0, place]).all(1).any()
        assert torch.equal(module.eval()(x)[0], x[0, [2, 6, 8]])


class TestTokenScatter(OpConformance):
    cases = (
        Case(TokenScatter(), Tokens(4, 6), Ids(4, 9), TOKENS),
        Case(TokenScatter(fill="learned"), Tokens(4, 6), Ids(4, 9)),
        Case(TokenScatter(fill="zero"), Tokens(4, 6), Ids(4, 9)),
        Case(TokenScatter(fill="broadcast"), Tokens(4, 6), Ids(9, 4)),
    )
    refused = (
        Case(TokenScatter(), Tokens(4, 6)),
        Case(TokenScatter(), Tokens(4, 6), Ids(4, 9)),
        Case(TokenScatter(), Tokens(4, 6), Ids(4, 9), Tokens(8, 6)),
        Case(TokenScatter(fill="zero"), Tokens(4, 6), Ids(5, 9)),
        Case(TokenScatter(fill="broadcast"), Tokens(4, 6), Ids(4, 9)),
        Case(TokenScatter(fill="x"), Tokens(4, 6), Ids(4, 9)),
        Case(TokenScatter(), Image(4, 2, 2), Ids(4, 9)),
    )
    golden = ((Case(TokenScatter(fill="learned"), Tokens(4, 6), Ids(4, 9)), 6, 0),)

    def test_it_undoes_pruning(self) -> None:
        x = TOKENS.example(2)
        kept, places = TokenPrune().module(TOKENS)(x)
        back = TokenScatter().module(Tokens(5, 6), Ids(5, 9), TOKENS)
        torch.testing.assert_close(back(kept, places, x), x)
        empty = TokenScatter(fill="zero").module(Tokens(5, 6), Ids(5, 9))(kept, places)
        assert (empty.any(2).sum(1) == 5).all()

    def test_it_hands_merged_tokens_back_to_their_members(self) -> None:
        x = TOKENS.example(2)
        merged, members = TokenMerge(members=True).module(TOKENS)(x)
        spread = TokenScatter(fill="broadcast").module(Tokens(5, 6), Ids(9, 5))(merged, members)
        for place in range(9):
            torch.testing.assert_close(spread[0, place], merged[0, members[0, place]])
