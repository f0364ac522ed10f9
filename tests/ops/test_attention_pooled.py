"""Attention over pooled positions keeps the contract of ops."""

from __future__ import annotations

import pytest
import torch

from nasplat.graph.types import Grid, Image, Series, Tokens, Vector, Volume
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_pooled import PooledAttention
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(12, 5, 7)
EVEN = Image(16, 8, 8)
TOKENS = Tokens(9, 12)


class TestPooledAttention(OpConformance):
    cases = (
        Case(PooledAttention(), SMALL),
        Case(PooledAttention(query_stride=2, kv_stride=2, restore=True, kv_heads=2), SMALL),
        Case(PooledAttention(query_stride=2, kv_stride=1, pool="max"), TOKENS),
        Case(PooledAttention(query_stride=2, kv_stride=3, pool="avg", restore=True), TOKENS),
        Case(PooledAttention(pool="depthwise", query_stride=2, kv_stride=4, norm="rms"), EVEN),
        Case(PooledAttention(query_stride=3, pool="depthwise", restore=True), Series(8, 5)),
        Case(PooledAttention(kv_stride=(1, 2, 2), heads=2), Volume(4, 2, 3, 4)),
        Case(PooledAttention(query_stride=9, kv_stride=1), Image(8, 1, 3)),
    )
    refused = (
        Case(PooledAttention(), Vector(8)),
        Case(PooledAttention(), Grid(4, 2, 2, 2, 2)),
        Case(PooledAttention(kv_stride=0), SMALL),
        Case(PooledAttention(query_stride=(1, 2, 3)), SMALL),
        Case(PooledAttention(pool="x"), SMALL),
        Case(PooledAttention(norm="x"), SMALL),
    )
    larger = (
        (Case(PooledAttention(heads=2), SMALL), Case(PooledAttention(kv_stride=4), EVEN)),
        (
            Case(PooledAttention(heads=2, query_stride=2, kv_stride=2, restore=True), SMALL),
            Case(PooledAttention(query_stride=2, kv_stride=2, restore=True), EVEN),
        ),
    )
    # Global attention of the first stage of Twins-SVT-S: a convolution of 8 by 8 and a norm before the keys.
    golden = (
        (
            Case(PooledAttention(heads=2, kv_stride=8), Image(64, 56, 56)),
            4 * 64 * 65 + 64 * 64 * 64 + 64 + 128,
            2 * 64 * 64 * 3136 + 2 * 64 * 64 * 49 + 64**3 * 49 + 2 * 64 * 3136 * 49,
        ),
    )

    def test_the_output_has_the_positions_of_the_queries(self) -> None:
        op = PooledAttention(query_stride=2)
        assert op.infer(SMALL) == Image(12, 3, 4)
        assert op.infer(TOKENS) == Tokens(5, 12)
        assert PooledAttention(query_stride=2, restore=True).infer(SMALL) == SMALL

    @pytest.mark.parametrize("pool", ["avg", "max"])
    def test_pooling_by_one_is_self_attention(self, pool: str) -> None:
        pooled = PooledAttention(kv_stride=1, pool=pool).module(SMALL)
        whole = SelfAttention().module(SMALL)
        whole.load_state_dict(pooled.state_dict())
        x = SMALL.example(2)
        torch.testing.assert_close(pooled(x), whole(x))

    def test_a_map_of_equal_blocks_is_attended_and_restored_block_by_block(self) -> None:
        op = PooledAttention(query_stride=2, kv_stride=2, pool="avg", restore=True)
        coarse = Image(12, 3, 2).example(2)
        alone = SelfAttention().module(Image(12, 3, 2))
        module = op.module(Image(12, 6, 4))
        module.load_state_dict(alone.state_dict())
        blocks = torch.nn.Upsample(scale_factor=2)
        torch.testing.assert_close(module(blocks(coarse)), blocks(alone(coarse)))
