"""Fusions and splits keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Logits, Tokens, Vector
from nasplat.ops.merge import Add, Concat, Gated, Split
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
OTHER = Image(4, 5, 7)
TOKENS = Tokens(9, 6)


class TestAdd(OpConformance):
    cases = (
        Case(Add(), SMALL, SMALL),
        Case(Add(), SMALL),
        Case(Add(), Logits(4), Logits(4), Logits(4)),
    )
    refused = (Case(Add(), SMALL, OTHER), Case(Add()), Case(Add(), SMALL, TOKENS))
    golden = ((Case(Add(), SMALL, SMALL), 0, 0),)

    def test_it_sums_any_number_of_inputs(self) -> None:
        x, y, z = (SMALL.example(2) for _ in range(3))
        assert torch.equal(Add().module(SMALL, SMALL, SMALL)(x, y, z), x + y + z)


class TestConcat(OpConformance):
    cases = (
        Case(Concat(), SMALL, OTHER),
        Case(Concat(channels=5), TOKENS, TOKENS, TOKENS),
        Case(Concat(project=False), SMALL, OTHER),
        Case(Concat(project=False), TOKENS, Tokens(9, 2)),
        Case(Concat(), Vector(4), Vector(3)),
        Case(Concat(project=False), SMALL),
    )
    refused = (
        Case(Concat(), SMALL, Image(6, 5, 6)),
        Case(Concat(), SMALL, TOKENS),
        Case(Concat(), Logits(4)),
        Case(Concat()),
        Case(Concat(channels=0), SMALL, SMALL),
        Case(Concat(channels=4, project=False), SMALL, SMALL),
    )
    larger = ((Case(Concat(), SMALL, SMALL), Case(Concat(), Image(8, 5, 7), Image(8, 5, 7))),)
    golden = ((Case(Concat(), SMALL, OTHER), 66, 2100),)

    def test_it_is_a_linear_map_of_the_channels_side_by_side(self) -> None:
        module = Concat().module(SMALL, OTHER)
        x, y = SMALL.example(2), OTHER.example(2)
        weight = torch.cat([module.get_parameter(f"parts.{i}.weight") for i in range(2)], 1)
        wanted = torch.nn.functional.conv2d(
            torch.cat([x, y], 1), weight, module.get_parameter("parts.0.bias")
        )
        torch.testing.assert_close(module(x, y), wanted, atol=1e-5, rtol=1e-5)


class TestGated(OpConformance):
    cases = (
        Case(Gated(), SMALL, SMALL),
        Case(Gated(), TOKENS, TOKENS, TOKENS),
        Case(Gated(), Vector(4), Vector(4)),
    )
    refused = (Case(Gated(), SMALL, OTHER), Case(Gated(), Logits(4)), Case(Gated()))
    larger = ((Case(Gated(), SMALL, SMALL), Case(Gated(), Image(8, 5, 7), Image(8, 5, 7))),)
    golden = ((Case(Gated(), SMALL, SMALL), 84, 2520),)

    def test_the_output_lies_between_the_inputs(self) -> None:
        x, y = SMALL.example(2), SMALL.example(2)
        merged = Gated().module(SMALL, SMALL)(x, y)
        assert (merged >= torch.minimum(x, y) - 1e-5).all()
        assert (merged <= torch.maximum(x, y) + 1e-5).all()


class TestSplit(OpConformance):
    cases = (
        Case(Split(), SMALL),
        Case(Split(parts=4), SMALL),
        Case(Split(parts=3), TOKENS),
        Case(Split(), Vector(5)),
    )
    refused = (Case(Split(parts=1), SMALL), Case(Split(parts=7), SMALL), Case(Split(), Logits(4)))
    golden = ((Case(Split(), SMALL), 0, 0),)

    def test_the_larger_parts_come_first(self) -> None:
        assert Split(parts=4).infer(Vector(6)) == (Vector(2), Vector(2), Vector(1), Vector(1))
