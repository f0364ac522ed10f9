"""Convolutions along sequences keep the contract of ops."""

from __future__ import annotations

import pytest
import torch

from nasplat.graph.op import Op
from nasplat.graph.types import Image, Series, Tokens
from nasplat.ops.conv_long import ConformerConv, LongConv
from nasplat.ops.modules.conv_long import long_convolution
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(9, 4)
SERIES = Series(6, 8)


class TestLongConv(OpConformance):
    cases = (
        Case(LongConv(), TOKENS),
        Case(LongConv(filter="explicit", gated=False, causal=True), SERIES),
        Case(LongConv(filter_heads=2, causal=True), TOKENS),
        Case(LongConv(filter="explicit", filter_heads=1), Tokens(1, 4)),
    )
    refused = (
        Case(LongConv(), Image(4, 3, 3)),
        Case(LongConv(filter="fixed"), TOKENS),
        Case(LongConv(filter_heads=3), TOKENS),
        Case(LongConv(hidden=0), TOKENS),
    )
    larger = (
        (
            Case(LongConv(filter="explicit"), TOKENS),
            Case(LongConv(filter="explicit"), Tokens(11, 6)),
        ),
    )
    golden = ((Case(LongConv(filter="explicit", causal=True), TOKENS), 168, 900),)

    def test_transforms_equal_the_sum_over_taps(self) -> None:
        x = torch.randn(2, 3, 7)
        for causal, taps in ((True, torch.randn(3, 7)), (False, torch.randn(3, 13))):
            wanted = torch.zeros_like(x)
            for at in range(7):
                for source in range(at + 1 if causal else 7):
                    tap = at - source if causal else at - source + 6
                    wanted[..., at] += taps[:, tap] * x[..., source]
            torch.testing.assert_close(long_convolution(x, taps, causal), wanted)


class TestConformerConv(OpConformance):
    cases = (
        Case(ConformerConv(), TOKENS),
        Case(ConformerConv(kernel=3, gate="none", expand=2, norm="layer"), SERIES),
        Case(ConformerConv(kernel=4, causal=True, bias=False), TOKENS),
    )
    refused = (
        Case(ConformerConv(), Image(4, 3, 3)),
        Case(ConformerConv(kernel=4), TOKENS),
        Case(ConformerConv(gate="tanh"), TOKENS),
        Case(ConformerConv(expand=0), TOKENS),
    )
    larger = ((Case(ConformerConv(kernel=3), TOKENS), Case(ConformerConv(kernel=5), SERIES)),)
    # The module of Conformer S: 144 channels, 32 taps, here 31.
    golden = ((Case(ConformerConv(kernel=31), Tokens(10, 144)), 67536, 666720),)


@pytest.mark.parametrize(
    "op", [LongConv(causal=True), ConformerConv(causal=True, norm="layer")], ids=str
)
def test_no_output_sees_a_later_position(op: Op) -> None:
    module, x = op.module(TOKENS), TOKENS.example(1)
    later = x.clone()
    later[:, 5:] += 1
    torch.testing.assert_close(module(x)[:, :5], module(later)[:, :5], atol=1e-5, rtol=1e-5)
