"""Views of inputs, embedded points and votes keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Logits, Points, Tokens, Vector, Volume
from nasplat.ops.views import (
    Average,
    ColourSplit,
    Extrude,
    FrequencySplit,
    FromAbove,
    PhasePosition,
    PointEmbed,
    VoteHead,
)
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(3, 5, 6)


class TestFrequencySplit(OpConformance):
    cases = (Case(FrequencySplit(), SMALL), Case(FrequencySplit(kernel=3), SMALL))
    refused = (Case(FrequencySplit(), Vector(3)), Case(FrequencySplit(kernel=2), SMALL))
    golden = ((Case(FrequencySplit(), SMALL), 0, 0),)


class TestColourSplit(OpConformance):
    cases = (Case(ColourSplit(), SMALL),)
    refused = (Case(ColourSplit(), Image(2, 5, 6)),)
    golden = ((Case(ColourSplit(), SMALL), 0, 0),)


class TestFromAbove(OpConformance):
    cases = (Case(FromAbove(), Volume(2, 3, 4, 5)),)
    refused = (Case(FromAbove(), SMALL),)
    golden = ((Case(FromAbove(), Volume(2, 3, 4, 5)), 0, 0),)


class TestExtrude(OpConformance):
    cases = (Case(Extrude(), Image(3, 4, 5), Volume(2, 3, 4, 5)),)
    refused = (
        Case(Extrude(), SMALL),
        Case(Extrude(), Image(3, 5, 5), Volume(2, 3, 4, 5)),
    )
    golden = ((Case(Extrude(), Image(3, 4, 5), Volume(2, 3, 4, 5)), 0, 0),)


class TestAverage(OpConformance):
    cases = (Case(Average(), Logits(4), Logits(4)), Case(Average(), SMALL))
    refused = (Case(Average(), SMALL, Logits(4)),)
    golden = ((Case(Average(), SMALL), 0, 0),)


class TestPhasePosition(OpConformance):
    cases = (Case(PhasePosition(), Tokens(5, 6)),)
    refused = (Case(PhasePosition(), SMALL),)
    golden = ((Case(PhasePosition(), Tokens(5, 6)), 162, 720),)


class TestPointEmbed(OpConformance):
    cases = (
        Case(PointEmbed(dim=6, neighbours=3), Points(10)),
        Case(PointEmbed(dim=6, tokens=4), Points(10)),
        Case(PointEmbed(dim=4, form="voxel", size=3), Points(10)),
        Case(PointEmbed(dim=4, form="projection", size=3), Points(10)),
    )
    refused = (
        Case(PointEmbed(dim=6), SMALL),
        Case(PointEmbed(dim=0), Points(10)),
        Case(PointEmbed(dim=6, form="x"), Points(10)),
        Case(PointEmbed(dim=6, tokens=11), Points(10)),
    )
    golden = ((Case(PointEmbed(dim=6, tokens=4), Points(10)), 84, 2304),)


class TestVoteHead(OpConformance):
    cases = (
        Case(VoteHead(count=3), Tokens(7, 6), Points(7)),
        Case(VoteHead(count=3, weighted=False), Tokens(7, 6), Points(7)),
    )
    refused = (
        Case(VoteHead(count=3), Tokens(7, 6)),
        Case(VoteHead(count=3), Tokens(7, 6), Points(8)),
        Case(VoteHead(count=0), Tokens(7, 6), Points(7)),
    )
    golden = ((Case(VoteHead(count=3), Tokens(7, 6), Points(7)), 96, 504),)


def test_brightness_of_grey_is_grey_and_has_no_colour() -> None:
    grey = torch.rand(2, 1, 4, 4).expand(-1, 3, -1, -1)
    brightness, colour = Case(ColourSplit(), Image(3, 4, 4)).module()(grey)
    torch.testing.assert_close(brightness, grey[:, :1])
    torch.testing.assert_close(colour, torch.zeros_like(colour), atol=1e-4, rtol=0)


def test_both_frequencies_together_are_the_image() -> None:
    x = SMALL.example(2)
    high, low = Case(FrequencySplit(), SMALL).module()(x)
    torch.testing.assert_close(high + low, x)


def test_points_do_not_depend_on_where_the_cloud_is_on_a_grid() -> None:
    case = Case(PointEmbed(dim=4, form="voxel", size=3), Points(10))
    module, (x,) = case.module(), case.examples(2)
    torch.testing.assert_close(module(x), module(3 * x + 1), atol=1e-4, rtol=1e-4)
