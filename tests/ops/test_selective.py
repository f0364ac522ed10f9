"""Fusions that look at whole inputs, and memory along depth, keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Grid, Image, Logits, Series, Tokens, Vector, Volume
from nasplat.ops.modules import selective as modules
from nasplat.ops.selective import (
    AttentionMerge,
    LayerMemory,
    RetrievalMerge,
    ReversibleCoupling,
    SelectiveMerge,
)
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 3, 2)
SERIES = Series(6, 4)
TOKENS = Tokens(5, 6)
VOLUME = Volume(4, 2, 2, 2)
GRID = Grid(4, 2, 1, 2, 2)


class TestSelectiveMerge(OpConformance):
    cases = (
        Case(SelectiveMerge(), SMALL, SMALL),
        Case(SelectiveMerge(), TOKENS, TOKENS, TOKENS),
        Case(SelectiveMerge(), Vector(6), Vector(6)),
        Case(SelectiveMerge(), GRID, GRID),
        Case(SelectiveMerge(), SERIES),
        Case(SelectiveMerge(groups=2, norm="batch"), SMALL, SMALL),
        Case(SelectiveMerge(shared_gate=True, min_squeezed=2), VOLUME, VOLUME, VOLUME),
    )
    refused = (
        Case(SelectiveMerge(), SMALL, SERIES),
        Case(SelectiveMerge()),
        Case(SelectiveMerge(), Logits(4), Logits(4)),
        Case(SelectiveMerge(groups=4), SMALL, SMALL),
        Case(SelectiveMerge(norm="layer"), SMALL),
        Case(SelectiveMerge(ratio=0), SMALL),
        Case(SelectiveMerge(min_squeezed=0), SMALL),
    )
    larger = (
        (
            Case(SelectiveMerge(shared_gate=True), SMALL, SMALL),
            Case(SelectiveMerge(shared_gate=True), Image(8, 3, 2), Image(8, 3, 2)),
        ),
        (
            Case(SelectiveMerge(), SMALL, SMALL),
            Case(SelectiveMerge(), Image(8, 3, 2), Image(8, 3, 2)),
        ),
    )
    golden = (
        (Case(SelectiveMerge(), SMALL, SMALL), 4 * 6 + 4 + 12 * 4 + 12, 72),
        (Case(SelectiveMerge(shared_gate=True), SMALL, SMALL), 4 * 6 + 4 + 6 * 4 + 6, 96),
    )

    def test_the_shares_of_each_channel_add_up_to_one(self) -> None:
        module = SelectiveMerge().module(SMALL, SMALL)
        x = SMALL.example(2)
        torch.testing.assert_close(module(x, x), x)

    def test_split_attention_has_the_width_of_its_paper(self) -> None:
        """64 channels, radix 2: squeezed to 64 * 2 / 4 = 32."""
        wide = Image(64, 2, 2)
        op = SelectiveMerge(min_squeezed=32, divisor=8, norm="batch")
        assert op.cost(wide, wide).params == 64 * 32 + 32 + 64 + 32 * 128 + 128


class TestAttentionMerge(OpConformance):
    cases = (
        Case(AttentionMerge(), SMALL, SMALL),
        Case(AttentionMerge(heads=2), TOKENS, TOKENS, TOKENS),
        Case(AttentionMerge(heads=3), Vector(6), Vector(6)),
        Case(AttentionMerge(heads=2), GRID, GRID),
    )
    refused = (
        Case(AttentionMerge(), SMALL, TOKENS),
        Case(AttentionMerge(heads=4), SMALL, SMALL),
        Case(AttentionMerge(heads=0), SMALL, SMALL),
    )
    larger = (
        (
            Case(AttentionMerge(), SMALL, SMALL),
            Case(AttentionMerge(), Image(8, 3, 2), Image(8, 3, 2)),
        ),
    )
    golden = ((Case(AttentionMerge(), SMALL, SMALL), 6 * 42, 6 * 36 * 6),)


class TestRetrievalMerge(OpConformance):
    cases = (Case(RetrievalMerge(), TOKENS, Tokens(5, 4)), Case(RetrievalMerge(), TOKENS, TOKENS))
    refused = (
        Case(RetrievalMerge(), TOKENS, Tokens(4, 6)),
        Case(RetrievalMerge(), TOKENS),
        Case(RetrievalMerge(), SMALL, SMALL),
    )
    larger = (
        (
            Case(RetrievalMerge(), TOKENS, TOKENS),
            Case(RetrievalMerge(), Tokens(5, 8), Tokens(5, 8)),
        ),
    )
    golden = ((Case(RetrievalMerge(), TOKENS, Tokens(5, 4)), 124, 5 * 104 + 2 * 5 * 24),)


class TestLayerMemory(OpConformance):
    cases = (
        Case(LayerMemory(), TOKENS, Tokens(3, 4)),
        Case(LayerMemory(update="additive"), SMALL, Tokens(2, 4)),
        Case(LayerMemory(), GRID, Tokens(2, 4)),
    )
    refused = (
        Case(LayerMemory(), TOKENS),
        Case(LayerMemory(), TOKENS, SMALL),
        Case(LayerMemory(), Vector(4), TOKENS),
        Case(LayerMemory(update="none"), TOKENS, TOKENS),
    )
    larger = (
        (
            Case(LayerMemory(), TOKENS, Tokens(3, 4)),
            Case(LayerMemory(), Tokens(5, 8), Tokens(3, 8)),
        ),
    )
    golden = (
        (Case(LayerMemory(update="additive"), TOKENS, Tokens(3, 4)), 114, 5 * 96 + 4 * 60),
        (Case(LayerMemory(), TOKENS, Tokens(3, 4)), 134, 5 * 96 + 4 * 60 + 48),
    )


class TestReversibleCoupling(OpConformance):
    cases = (
        Case(ReversibleCoupling(), SMALL, SMALL),
        Case(ReversibleCoupling(ratio=0.5), TOKENS, TOKENS, TOKENS),
        Case(ReversibleCoupling(), Vector(4), Vector(4)),
    )
    refused = (
        Case(ReversibleCoupling(), SMALL),
        Case(ReversibleCoupling(), SMALL, SERIES),
        Case(ReversibleCoupling(), *[TOKENS] * 9),
        Case(ReversibleCoupling(ratio=0), SMALL, SMALL),
    )
    larger = (
        (
            Case(ReversibleCoupling(), SMALL, SMALL),
            Case(ReversibleCoupling(), Image(8, 3, 2), Image(8, 3, 2)),
        ),
    )
    golden = ((Case(ReversibleCoupling(), SMALL, SMALL), 168, 6 * 144),)

    def test_the_inputs_follow_from_the_outputs(self) -> None:
        module = ReversibleCoupling().module(TOKENS, TOKENS, TOKENS)
        assert isinstance(module, modules.ReversibleCoupling)
        inputs = [TOKENS.example(2) for _ in range(3)]
        for got, wanted in zip(module.inverse(*module(*inputs)), inputs, strict=True):
            torch.testing.assert_close(got, wanted)
