"""Ops of cells and of resolution keep the contract of ops, at every size."""

from __future__ import annotations

import pytest
import torch

from nasplat.errors import GraphTypeError
from nasplat.graph.types import Grid, Image, Logits, Series, Tokens, Vector, Volume
from nasplat.ops.modules.resample import fold_positions, unfold_positions
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
SERIES = Series(4, 9)
VOLUME = Volume(4, 3, 4, 5)


class TestIdentity(OpConformance):
    cases = (Case(Identity(), SMALL), Case(Identity(), Logits(4)))
    refused = (Case(Identity(), SMALL, SMALL), Case(Identity()))
    golden = ((Case(Identity(), SMALL), 0, 0),)


class TestZero(OpConformance):
    cases = (
        Case(Zero(), SMALL),
        Case(Zero(stride=2), SMALL),
        Case(Zero(), Tokens(3, 4)),
        Case(Zero(stride=2), VOLUME),
    )
    refused = (Case(Zero(stride=2), Tokens(3, 4)), Case(Zero(stride=0), SMALL))
    golden = ((Case(Zero(), SMALL), 0, 0),)


class TestPool(OpConformance):
    cases = (
        Case(Pool(), SMALL),
        Case(Pool(mode="max", stride=2), SMALL),
        Case(Pool(kernel=1), SMALL),
        Case(Pool(kernel=5, stride=3), Image(2, 1, 1)),
        Case(Pool(kernel=2, stride=2), SMALL),
        Case(Pool(kernel=4, stride=2, mode="max"), VOLUME),
        Case(Pool(kernel=3, stride=2), Tokens(7, 4)),
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
        Case(PatchMerging(factor=2, bias=True), SMALL),
        Case(PatchMerging(), VOLUME),
        Case(PatchMerging(factor=4, norm="rms"), SERIES),
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
    cases = (
        Case(StridedConv(), SMALL),
        Case(StridedConv(channels=5, stride=4, norm="none"), EVEN),
        Case(StridedConv(norm="instance"), VOLUME),
    )
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
        Case(PoolProjection(channels=5, mode="avg", kernel=2, norm="none"), EVEN),
        Case(PoolProjection(), SERIES),
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
        Case(Upsample(factor=2.5, mode="linear"), SMALL),
        Case(Upsample(factor=0.5, mode="linear"), VOLUME),
        Case(Upsample(factor=3, mode="linear"), SERIES),
    )
    refused = (
        Case(Upsample(), Tokens(4, 4)),
        Case(Upsample(factor=0), SMALL),
        Case(Upsample(factor=0.1), SMALL),
        Case(Upsample(mode="bilinear"), SERIES),
    )
    golden = ((Case(Upsample(), SMALL), 0, 0),)


class TestImageToTokens(OpConformance):
    cases = (
        Case(ImageToTokens(), SMALL),
        Case(ImageToTokens(), SERIES),
        Case(ImageToTokens(), Grid(2, 3, 2, 1, 2)),
    )
    refused = (Case(ImageToTokens(), Tokens(4, 4)),)
    golden = ((Case(ImageToTokens(), SMALL), 0, 0),)


class TestTokensToImage(OpConformance):
    cases = (
        Case(TokensToImage(height=2), Tokens(6, 4)),
        Case(TokensToImage(axes=(6,)), Tokens(6, 4)),
        Case(TokensToImage(axes=(1, 3, 2)), Tokens(6, 4)),
        Case(TokensToImage(), Tokens(6, 4), Image(2, 3, 2)),
    )
    refused = (
        Case(TokensToImage(), Tokens(6, 4)),
        Case(TokensToImage(axes=(4,)), Tokens(6, 4)),
        Case(TokensToImage(axes=()), Tokens(6, 4)),
        Case(TokensToImage(height=2), Tokens(6, 4), SMALL),
        Case(TokensToImage(height=2), SMALL),
        Case(TokensToImage(height=4), Tokens(6, 4)),
        Case(TokensToImage(height=0), Tokens(6, 4)),
    )
    golden = ((Case(TokensToImage(height=2), Tokens(6, 4)), 0, 0),)

    def test_it_undoes_reading_an_image_as_tokens(self) -> None:
        x = SMALL.example(2)
        tokens = ImageToTokens().module(SMALL)(x)
        assert torch.equal(TokensToImage(height=5).module(Tokens(35, 6))(tokens), x)


def test_folded_positions_unfold_again_and_lie_as_torch_lays_them() -> None:
    x = torch.randn(2, 3, 4, 6)
    torch.testing.assert_close(fold_positions(x, 2), torch.pixel_unshuffle(x, 2))
    for item in (Series(3, 8), EVEN, Volume(2, 4, 2, 6)):
        x = item.example(2)
        assert torch.equal(unfold_positions(fold_positions(x, 2), 2), x)


def test_all_ways_down_give_the_same_type_at_every_size() -> None:
    for height in range(2, 10):
        for width in range(2, 10):
            image = Image(3, height, width)
            ways = (PatchMerging(), StridedConv(), PoolProjection())
            assert len({way.infer(image) for way in ways}) == 1


def test_an_image_smaller_than_a_step_is_refused_with_the_next_step() -> None:
    with pytest.raises(GraphTypeError, match=r"(?s)at least 4x4; met Image\(3, 2, 8\)\nUse fewer"):
        PatchMerging(factor=4).infer(Image(3, 2, 8))
