"""Encodings of position keep the contract of ops."""

from __future__ import annotations

import math

import pytest
import torch

from nasplat.graph.types import Image, Tokens, Vector
from nasplat.ops.position import AbsolutePosition, ConvPosition
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
TOKENS = Tokens(9, 6)


class TestAbsolutePosition(OpConformance):
    cases = (
        Case(AbsolutePosition(), SMALL),
        Case(AbsolutePosition(), TOKENS),
        Case(AbsolutePosition(form="sinusoidal"), SMALL),
        Case(AbsolutePosition(form="sinusoidal"), TOKENS),
        Case(AbsolutePosition(form="sinusoidal"), Image(1, 2, 2)),
    )
    refused = (Case(AbsolutePosition(), Vector(6)), Case(AbsolutePosition(form="x"), SMALL))
    larger = ((Case(AbsolutePosition(), SMALL), Case(AbsolutePosition(), Image(8, 5, 7))),)
    golden = (
        (Case(AbsolutePosition(), SMALL), 210, 0),
        (Case(AbsolutePosition(form="sinusoidal"), SMALL), 0, 0),
    )

    def test_sines_of_the_row_come_first_then_those_of_the_column(self) -> None:
        image = Image(8, 3, 4)
        encoding = AbsolutePosition(form="sinusoidal").module(image)(torch.zeros(1, 8, 3, 4))[0]
        assert encoding[0, 2, 1] == pytest.approx(math.sin(2))
        assert encoding[1, 2, 1] == pytest.approx(math.sin(2 / 100))
        assert encoding[2, 2, 1] == pytest.approx(math.cos(2))
        assert encoding[4, 2, 3] == pytest.approx(math.sin(3))

    def test_every_position_has_an_encoding_of_its_own(self) -> None:
        image = Image(8, 5, 6)
        encoding = AbsolutePosition(form="sinusoidal").module(image)(torch.zeros(1, 8, 5, 6))
        assert len(encoding[0].flatten(1).T.unique(dim=0)) == 30


class TestConvPosition(OpConformance):
    cases = (Case(ConvPosition(), SMALL), Case(ConvPosition(kernel=7), SMALL))
    refused = (Case(ConvPosition(), TOKENS), Case(ConvPosition(kernel=2), SMALL))
    larger = ((Case(ConvPosition(), SMALL), Case(ConvPosition(kernel=5), Image(8, 5, 7))),)
    golden = ((Case(ConvPosition(), SMALL), 60, 1890),)
