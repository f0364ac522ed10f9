"""Stems keep the contract of ops."""

from __future__ import annotations

from nasplat.graph.types import Image, Tokens
from nasplat.ops.patch import ConvStem, PatchEmbed, PatchStem
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(3, 9, 11)
PHOTO = Image(3, 224, 224)


class TestPatchStem(OpConformance):
    cases = (
        Case(PatchStem(channels=8), SMALL),
        Case(PatchStem(channels=8, patch=1, norm="batch"), SMALL),
        Case(PatchStem(channels=8, patch=3, norm="none"), SMALL),
    )
    refused = (
        Case(PatchStem(channels=8), Tokens(4, 4)),
        Case(PatchStem(channels=8, patch=16), SMALL),
        Case(PatchStem(channels=0), SMALL),
        Case(PatchStem(channels=8, norm="x"), SMALL),
    )
    larger = ((Case(PatchStem(channels=4, patch=2), SMALL), Case(PatchStem(channels=8), SMALL)),)
    # The stem of Swin-T.
    golden = ((Case(PatchStem(channels=96), PHOTO), 4896, 14450688),)


class TestPatchEmbed(OpConformance):
    cases = (
        Case(PatchEmbed(dim=8), SMALL),
        Case(PatchEmbed(dim=8, patch=3, norm="layer"), SMALL),
        Case(PatchEmbed(dim=8, patch=3, norm="batch"), SMALL),
    )
    refused = (
        Case(PatchEmbed(dim=8), Tokens(4, 4)),
        Case(PatchEmbed(dim=8, patch=0), SMALL),
        Case(PatchEmbed(dim=8, patch=10), SMALL),
    )
    larger = ((Case(PatchEmbed(dim=4, patch=2), SMALL), Case(PatchEmbed(dim=8), SMALL)),)
    # The stem of ViT-Tiny.
    golden = ((Case(PatchEmbed(dim=192, patch=16), PHOTO), 147648, 28901376),)


class TestConvStem(OpConformance):
    cases = (
        Case(ConvStem(channels=8), SMALL),
        Case(ConvStem(channels=8, stride=1, norm="none"), SMALL),
        Case(ConvStem(channels=1, stride=2, kernel=5, norm="layer", activation="relu"), SMALL),
        Case(ConvStem(channels=6, stride=8, norm="rms"), SMALL),
    )
    refused = (
        Case(ConvStem(channels=8), Tokens(4, 4)),
        Case(ConvStem(channels=8, stride=3), SMALL),
        Case(ConvStem(channels=8, stride=16), SMALL),
        Case(ConvStem(channels=8, kernel=2), SMALL),
    )
    larger = ((Case(ConvStem(channels=4), SMALL), Case(ConvStem(channels=8, kernel=5), SMALL)),)
    golden = ((Case(ConvStem(channels=32), PHOTO), 5136, 19869696),)
