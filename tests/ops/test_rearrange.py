"""Rearrangements and wavelets keep the contract of ops and undo each other."""

from __future__ import annotations

import pytest
import torch

from nasplat.graph.types import Grid, Image, Series, TensorType, Tokens, Vector, Volume
from nasplat.ops.patch import PatchEmbed
from nasplat.ops.rearrange import AxisPermute, SpaceToDepth, Unpatchify, WaveletTransform
from nasplat.testing.ops import Case, OpConformance

EVEN = Image(4, 8, 4)
PLACED = (EVEN, Series(4, 8), Volume(2, 4, 4, 8), Tokens(8, 4))


class TestSpaceToDepth(OpConformance):
    cases = (
        *(Case(SpaceToDepth(), item) for item in PLACED),
        Case(SpaceToDepth(inverse=True), Image(8, 3, 5)),
        Case(SpaceToDepth(factor=3, inverse=True), Tokens(4, 6)),
    )
    refused = (
        Case(SpaceToDepth(), Vector(4)),
        Case(SpaceToDepth(), Image(4, 5, 4)),
        Case(SpaceToDepth(inverse=True), Image(6, 3, 3)),
        Case(SpaceToDepth(factor=1), EVEN),
    )
    golden = ((Case(SpaceToDepth(), EVEN), 0, 0),)

    @pytest.mark.parametrize("item", PLACED, ids=str)
    def test_the_inverse_puts_everything_back(self, item: TensorType) -> None:
        folded = SpaceToDepth().infer(item)
        assert isinstance(folded, TensorType)
        x = item.example(2)
        y = SpaceToDepth().module(item)(x)
        assert torch.equal(SpaceToDepth(inverse=True).module(folded)(y), x)


class TestAxisPermute(OpConformance):
    cases = (
        Case(AxisPermute(order=(0, 2, 1)), EVEN),
        Case(AxisPermute(order=(1, 0)), Tokens(8, 4)),
        Case(AxisPermute(order=(3, 0, 2, 1, 4)), Grid(2, 3, 4, 1, 2)),
        Case(AxisPermute(order=(0, 1)), Series(4, 8)),
    )
    refused = (
        Case(AxisPermute(order=(0, 1)), EVEN),
        Case(AxisPermute(order=(0, 1, 1)), EVEN),
        Case(AxisPermute(order=(0,)), Vector(4)),
    )
    golden = ((Case(AxisPermute(order=(0, 2, 1)), EVEN), 0, 0),)


class TestUnpatchify(OpConformance):
    cases = (
        Case(Unpatchify(channels=3, patch=2, axes=(5, 4)), Tokens(6, 4)),
        Case(Unpatchify(channels=2, axes=(7,)), Tokens(2, 4)),
        Case(Unpatchify(channels=2, patch=2), Tokens(6, 4), Image(1, 4, 6)),
        Case(Unpatchify(channels=1, patch=3, axes=(3, 2, 4)), Tokens(2, 4)),
    )
    refused = (
        Case(Unpatchify(channels=3), EVEN),
        Case(Unpatchify(channels=3), Tokens(6, 4)),
        Case(Unpatchify(channels=3, axes=(4, 4)), Tokens(6, 4)),
        Case(Unpatchify(channels=3, axes=(4,)), Tokens(1, 4), Series(2, 4)),
        Case(Unpatchify(channels=0, axes=(4,)), Tokens(1, 4)),
    )
    larger = (
        (
            Case(Unpatchify(channels=3, patch=2, axes=(4, 4)), Tokens(4, 4)),
            Case(Unpatchify(channels=3, patch=2, axes=(4, 4)), Tokens(4, 8)),
        ),
    )
    # The last map of DiT-S/2 for four channels of 32x32.
    golden = (
        (Case(Unpatchify(channels=4, patch=2, axes=(32, 32)), Tokens(256, 384)), 6160, 1572864),
    )

    def test_patches_lie_where_a_patch_embedding_reads_them(self) -> None:
        image, tokens = Image(1, 4, 6), Tokens(6, 4)
        embed = PatchEmbed(dim=4, patch=2).module(image)
        back = Unpatchify(channels=1, patch=2).module(tokens, image)
        with torch.no_grad():
            for module, name in ((embed, "project"), (back, "project")):
                weight = module.get_submodule(name).get_parameter("weight")
                weight.copy_(torch.eye(4).reshape(weight.shape))
                module.get_submodule(name).get_parameter("bias").zero_()
        x = image.example(2)
        assert torch.equal(back(embed(x), x), x)


class TestWaveletTransform(OpConformance):
    cases = (
        Case(WaveletTransform(), EVEN),
        Case(WaveletTransform(levels=2, basis="db2"), EVEN),
        Case(WaveletTransform(basis="db2", inverse=True), Volume(8, 1, 2, 3)),
        Case(WaveletTransform(inverse=True), Series(4, 3)),
    )
    refused = (
        Case(WaveletTransform(), Tokens(4, 4)),
        Case(WaveletTransform(levels=3), EVEN),
        Case(WaveletTransform(basis="sym4"), EVEN),
        Case(WaveletTransform(inverse=True), Image(6, 2, 2)),
    )
    golden = ((Case(WaveletTransform(), EVEN), 0, 0),)

    @pytest.mark.parametrize("basis", WaveletTransform.BASES)
    def test_it_keeps_lengths_and_the_inverse_undoes_it(self, basis: str) -> None:
        for item in (EVEN, Series(2, 8), Volume(1, 4, 4, 4)):
            there = WaveletTransform(levels=2, basis=basis)
            back = WaveletTransform(levels=2, basis=basis, inverse=True)
            x = item.example(2)
            y = there.module(item)(x)
            torch.testing.assert_close(y.norm(), x.norm())
            torch.testing.assert_close(back.module(there.infer(item))(y), x, atol=1e-5, rtol=1e-5)

    def test_a_constant_map_is_in_the_low_band_alone(self) -> None:
        for basis in WaveletTransform.BASES:
            y = WaveletTransform(basis=basis).module(Image(1, 4, 4))(torch.ones(1, 1, 4, 4))
            torch.testing.assert_close(y[:, 0], torch.full((1, 2, 2), 2.0))
            torch.testing.assert_close(y[:, 1:], torch.zeros(1, 3, 2, 2), atol=1e-6, rtol=0)
