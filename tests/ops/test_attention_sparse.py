"""Attention to a part of the keys keeps the contract of ops."""

from __future__ import annotations

import pytest
import torch

from nasplat.graph.types import Image, Series, Tokens, Vector
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_sparse import (
    BlockSparseAttention,
    LocalSummaryAttention,
    TopKAttention,
)
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(12, 3, 5)
TOKENS = Tokens(9, 12)
LONG = Tokens(22, 8)


def seen(module: torch.nn.Module, length: int, place: int) -> str:
    """Which of some tokens of 8 channels one of them sees, by gradients."""
    x = Tokens(length, 8).example(1).requires_grad_()
    (found,) = torch.autograd.grad(module(x)[0, place].sum(), x)
    return "".join("x" if item.any() else "." for item in found[0])


class TestTopKAttention(OpConformance):
    cases = (
        Case(TopKAttention(keep=0.3, kv_heads=2), TOKENS),
        Case(TopKAttention(learned_k=True, mask="causal", rotary=1.0), TOKENS),
        Case(TopKAttention(over="channels", learned_k=True, heads=2), SMALL),
    )
    refused = (
        Case(TopKAttention(), Vector(4)),
        Case(TopKAttention(keep=0.0), TOKENS),
        Case(TopKAttention(keep=1.5), TOKENS),
        Case(TopKAttention(over="x"), TOKENS),
        Case(TopKAttention(mask="x"), TOKENS),
        Case(TopKAttention(over="channels", mask="causal"), TOKENS),
    )
    larger = ((Case(TopKAttention(heads=2), TOKENS), Case(TopKAttention(), Tokens(9, 24))),)
    golden = (
        (Case(TopKAttention(), TOKENS), 4 * 12 * 13, 4 * 144 * 9 + 24 * 81),
        (Case(TopKAttention(over="channels", heads=2), TOKENS), 626, 4 * 144 * 9 + 24 * 54),
    )

    def test_keeping_all_is_self_attention(self) -> None:
        few, whole = TopKAttention(keep=1.0).module(TOKENS), SelfAttention().module(TOKENS)
        whole.load_state_dict(few.state_dict())
        x = TOKENS.example(2)
        torch.testing.assert_close(few(x), whole(x))

    def test_a_query_sees_as_many_keys_as_are_kept(self) -> None:
        module = TopKAttention(keep=0.25, heads=1).module(Tokens(12, 8))
        with torch.no_grad():
            module.get_parameter("query.weight").zero_()
            module.get_parameter("query.bias").fill_(1.0)
        # All queries are equal, so all see the same three keys.
        x = Tokens(12, 8).example(1).requires_grad_()
        (found,) = torch.autograd.grad(module(x).sum(), x)
        assert int(found[0].any(1).sum()) == 3


class TestBlockSparseAttention(OpConformance):
    cases = (
        Case(BlockSparseAttention(block=4, density=0.5, kv_heads=2), LONG),
        Case(BlockSparseAttention(block=4, mask="causal", select_by="fixed", rotary=1.0), LONG),
        Case(BlockSparseAttention(block=3, mask="causal", select_by="chunk_adapter"), SMALL),
        Case(BlockSparseAttention(), SMALL),
    )
    refused = (
        Case(BlockSparseAttention(), Vector(4)),
        Case(BlockSparseAttention(block=0), LONG),
        Case(BlockSparseAttention(density=0.0), LONG),
        Case(BlockSparseAttention(select_by="x"), LONG),
        Case(BlockSparseAttention(adapter=0), LONG),
        Case(BlockSparseAttention(mask="x"), LONG),
    )
    larger = (
        (
            Case(BlockSparseAttention(heads=2, select_by="chunk_adapter"), LONG),
            Case(BlockSparseAttention(select_by="chunk_adapter"), Tokens(22, 32)),
        ),
    )
    golden = (
        (
            Case(BlockSparseAttention(block=4, density=0.5), LONG),
            4 * 8 * 9,
            4 * 64 * 22 + 16 * 4 * 12 * 6 + 8 * 36,
        ),
    )

    @pytest.mark.parametrize("mask", ["none", "causal"])
    @pytest.mark.parametrize("form", ["score", "fixed"])
    def test_all_blocks_are_self_attention(self, form: str, mask: str) -> None:
        op = BlockSparseAttention(block=4, density=1.0, select_by=form, mask=mask)
        sparse, whole = op.module(LONG), SelfAttention(mask=mask).module(LONG)
        whole.load_state_dict(sparse.state_dict())
        x = LONG.example(2)
        torch.testing.assert_close(sparse(x), whole(x))

    def test_a_block_sees_whole_blocks_and_its_own(self) -> None:
        op = BlockSparseAttention(block=4, density=0.5, heads=1)
        parts = seen(op.module(Tokens(16, 8)), 16, 5)
        assert parts[4:8] == "xxxx" and sorted(parts[i : i + 4] for i in (0, 8, 12)) == [
            "....",
            "....",
            "xxxx",
        ]

    def test_fixed_blocks_are_evenly_spread(self) -> None:
        op = BlockSparseAttention(block=2, density=0.5, heads=1, select_by="fixed")
        assert seen(op.module(Tokens(12, 8)), 12, 5) == "xx..xx....xx"
        early = BlockSparseAttention(
            block=2, density=0.5, heads=1, select_by="fixed", mask="causal"
        ).module(Tokens(12, 8))
        assert seen(early, 12, 0) == "x..........."
        assert seen(early, 12, 10) == "xx......xxx."


class TestLocalSummaryAttention(OpConformance):
    cases = (
        Case(LocalSummaryAttention(learned_tokens=2, summary_stride=2), SMALL),
        Case(LocalSummaryAttention(radius=2, mask="causal", kv_heads=2), TOKENS),
        Case(LocalSummaryAttention(radius=(1, 9), summary_stride=(2, 3), heads=3), SMALL),
        Case(LocalSummaryAttention(radius=1), Series(8, 24)),
    )
    refused = (
        Case(LocalSummaryAttention(), Vector(4)),
        Case(LocalSummaryAttention(radius=0), SMALL),
        Case(LocalSummaryAttention(summary_stride=0), SMALL),
        Case(LocalSummaryAttention(learned_tokens=-1), SMALL),
        Case(LocalSummaryAttention(mask="causal"), SMALL),
        Case(LocalSummaryAttention(mask="x"), TOKENS),
    )
    larger = (
        (
            Case(LocalSummaryAttention(heads=2, learned_tokens=1), TOKENS),
            Case(LocalSummaryAttention(learned_tokens=3), Tokens(9, 32)),
        ),
    )
    golden = (
        (
            Case(LocalSummaryAttention(learned_tokens=2), Tokens(16, 8)),
            4 * 72 + 32,
            4 * 64 * 16 + 16 * 16 * (3 + 4 + 2),
        ),
    )

    def test_a_causal_one_sees_near_keys_and_regions_that_have_ended(self) -> None:
        op = LocalSummaryAttention(radius=1, summary_stride=4, heads=1, mask="causal")
        module = op.module(Tokens(12, 8))
        assert seen(module, 12, 2) == ".xx........."
        assert seen(module, 12, 6) == "xxxx.xx....."
        assert seen(module, 12, 11) == "x" * 12

    def test_regions_of_one_position_add_nothing_where_all_are_near(self) -> None:
        """Every key stands twice, which changes no weight."""
        op = LocalSummaryAttention(radius=9, summary_stride=1)
        module, whole = op.module(TOKENS), SelfAttention().module(TOKENS)
        whole.load_state_dict(module.state_dict())
        x = TOKENS.example(2)
        torch.testing.assert_close(module(x), whole(x))
