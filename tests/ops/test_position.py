"""Encodings of position keep the contract of ops."""

from __future__ import annotations

import math

import pytest
import torch

from nasplat.graph.types import Image, Series, Tokens, Vector, Volume
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
        Case(AbsolutePosition(form="sinusoidal"), Volume(12, 2, 3, 4)),
        Case(AbsolutePosition(), Series(4, 5)),
        Case(AbsolutePosition(form="sinusoidal", axes=(3, 3)), TOKENS),
        Case(AbsolutePosition(form="mapped", waves=8), SMALL),
        Case(AbsolutePosition(form="mapped", waves=8, axes=(3, 3)), TOKENS),
        Case(AbsolutePosition(period=2), SMALL),
        Case(AbsolutePosition(period=2, axes=(3, 3)), TOKENS),
    )
    refused = (
        Case(AbsolutePosition(), Vector(6)),
        Case(AbsolutePosition(form="x"), SMALL),
        Case(AbsolutePosition(axes=(3, 2)), TOKENS),
        Case(AbsolutePosition(axes=(5, 7)), SMALL),
        Case(AbsolutePosition(form="mapped", waves=3), SMALL),
        Case(AbsolutePosition(form="sinusoidal", period=2), SMALL),
    )
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

    def test_learned_vectors_repeat_with_their_period(self) -> None:
        moved = AbsolutePosition(period=2).module(SMALL)(torch.zeros(1, 6, 5, 7))[0]
        assert torch.equal(moved[:, :3, :5], moved[:, 2:, 2:])
        assert not torch.equal(moved[:, :3, :5], moved[:, 1:4, 1:6])

    def test_tokens_of_an_image_have_the_encoding_of_the_image(self) -> None:
        image = AbsolutePosition(form="sinusoidal").module(SMALL)(torch.zeros(1, 6, 5, 7))
        op = AbsolutePosition(form="sinusoidal", axes=(5, 7))
        tokens = op.module(Tokens(35, 6))(torch.zeros(1, 35, 6))
        assert torch.equal(tokens.mT.unflatten(2, (5, 7)), image)

    def test_every_position_has_an_encoding_of_its_own(self) -> None:
        image = Image(8, 5, 6)
        encoding = AbsolutePosition(form="sinusoidal").module(image)(torch.zeros(1, 8, 5, 6))
        assert len(encoding[0].flatten(1).T.unique(dim=0)) == 30


class TestConvPosition(OpConformance):
    cases = (
        Case(ConvPosition(), SMALL),
        Case(ConvPosition(kernel=7), TOKENS),
        Case(ConvPosition(kernel=(1, 3, 5)), Volume(4, 2, 3, 4)),
        Case(ConvPosition(), SMALL, SMALL),
    )
    refused = (
        Case(ConvPosition(), Vector(6)),
        Case(ConvPosition(kernel=2), SMALL),
        Case(ConvPosition(), SMALL, TOKENS),
    )
    larger = ((Case(ConvPosition(), SMALL), Case(ConvPosition(kernel=5), Image(8, 5, 7))),)
    golden = ((Case(ConvPosition(), SMALL), 60, 1890),)
