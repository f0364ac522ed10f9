"""Ops of cells and of resolution keep the contract of ops, at every size."""

from __future__ import annotations

import pytest
import torch

from nasplat.errors import GraphTypeError
from nasplat.graph.types import Image, Logits, Tokens, Vector
from nasplat.ops.resample import (
    Identity,
    ImageToTokens,
    PatchMerging,
    Pool,
    PoolProjection,
    StridedConv,
    TokensToImage,
    Upsample,
    Zero,
)
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)


class TestIdentity(OpConformance):
    cases = (Case(Identity(), SMALL), Case(Identity(), Logits(4)))
    refused = (Case(Identity(), SMALL, SMALL), Case(Identity()))
    golden = ((Case(Identity(), SMALL), 0, 0),)


class TestZero(OpConformance):
    cases = (Case(Zero(), SMALL), Case(Zero(stride=2), SMALL), Case(Zero(), Tokens(3, 4)))
    refused = (Case(Zero(stride=2), Tokens(3, 4)), Case(Zero(stride=0), SMALL))
    golden = ((Case(Zero(), SMALL), 0, 0),)


class TestPool(OpConformance):
    cases = (
        Case(Pool(), SMALL),
        Case(Pool(mode="max", stride=2), SMALL),
        Case(Pool(kernel=1), SMALL),
        Case(Pool(kernel=5, stride=3), Image(2, 1, 1)),
    )
    refused = (
        Case(Pool(), Vector(4)),
        Case(Pool(mode="min"), SMALL),
        Case(Pool(kernel=2), SMALL),
        Case(Pool(stride=0), SMALL),
    )
    golden = ((Case(Pool(), SMALL), 0, 0),)

    def test_padding_does_not_count(self) -> None:
        ones = torch.ones(1, 6, 5, 7)
        for mode in Pool.MODES:
            torch.testing.assert_close(Pool(mode=mode).module(SMALL)(-ones), -ones)


class TestPatchMerging(OpConformance):
    cases = (
        Case(PatchMerging(), EVEN),
        Case(PatchMerging(channels=10, norm="batch"), SMALL),
        Case(PatchMerging(factor=4, norm="none"), SMALL),
    )
    refused = (
        Case(PatchMerging(), Tokens(4, 4)),
        Case(PatchMerging(), Image(4, 1, 8)),
        Case(PatchMerging(factor=1), SMALL),
        Case(PatchMerging(channels=0), SMALL),
    )
    larger = ((Case(PatchMerging(), SMALL), Case(PatchMerging(), EVEN)),)
    # Between the first two stages of Swin-T.
    golden = ((Case(PatchMerging(), Image(96, 56, 56)), 74496, 57802752),)


class TestStridedConv(OpConformance):
    cases = (Case(StridedConv(), SMALL), Case(StridedConv(channels=5, stride=4, norm="none"), EVEN))
    refused = (
        Case(StridedConv(), Tokens(4, 4)),
        Case(StridedConv(), Image(4, 1, 1)),
        Case(StridedConv(stride=1), SMALL),
        Case(StridedConv(kernel=2), SMALL),
    )
    larger = ((Case(StridedConv(), SMALL), Case(StridedConv(kernel=5), EVEN)),)
    golden = ((Case(StridedConv(), EVEN), 1184, 18432),)


class TestPoolProjection(OpConformance):
    cases = (
        Case(PoolProjection(), SMALL),
        Case(PoolProjection(channels=5, mode="avg", norm="none"), EVEN),
    )
    refused = (
        Case(PoolProjection(), Tokens(4, 4)),
        Case(PoolProjection(mode="min"), SMALL),
        Case(PoolProjection(stride=8), SMALL),
    )
    larger = ((Case(PoolProjection(), SMALL), Case(PoolProjection(), EVEN)),)
    golden = ((Case(PoolProjection(), EVEN), 160, 2048),)


class TestUpsample(OpConformance):
    cases = (
        Case(Upsample(), SMALL),
        Case(Upsample(factor=3, mode="bilinear"), SMALL),
        Case(Upsample(factor=1), SMALL),
    )
    refused = (Case(Upsample(), Tokens(4, 4)), Case(Upsample(factor=0), SMALL))
    golden = ((Case(Upsample(), SMALL), 0, 0),)


class TestImageToTokens(OpConformance):
    cases = (Case(ImageToTokens(), SMALL),)
    refused = (Case(ImageToTokens(), Tokens(4, 4)),)
    golden = ((Case(ImageToTokens(), SMALL), 0, 0),)


class TestTokensToImage(OpConformance):
    cases = (Case(TokensToImage(height=2), Tokens(6, 4)),)
    refused = (
        Case(TokensToImage(height=2), SMALL),
        Case(TokensToImage(height=4), Tokens(6, 4)),
        Case(TokensToImage(height=0), Tokens(6, 4)),
    )
    golden = ((Case(TokensToImage(height=2), Tokens(6, 4)), 0, 0),)

    def test_it_undoes_reading_an_image_as_tokens(self) -> None:
        x = SMALL.example(2)
        tokens = ImageToTokens().module(SMALL)(x)
        assert torch.equal(TokensToImage(height=5).module(Tokens(35, 6))(tokens), x)


def test_all_ways_down_give_the_same_type_at_every_size() -> None:
    for height in range(2, 10):
        for width in range(2, 10):
            image = Image(3, height, width)
            ways = (PatchMerging(), StridedConv(), PoolProjection())
            assert len({way.infer(image) for way in ways}) == 1


def test_an_image_smaller_than_a_step_is_refused_with_the_next_step() -> None:
    with pytest.raises(GraphTypeError, match=r"(?s)at least 4x4; met Image\(3, 2, 8\)\nUse fewer"):
        PatchMerging(factor=4).infer(Image(3, 2, 8))
