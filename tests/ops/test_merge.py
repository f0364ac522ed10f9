"""Fusions and splits keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Grid, Image, Logits, Scores, Series, Tokens, Vector, Volume
from nasplat.ops.merge import Add, Concat, Gated, Split, Take, WeightedAdd
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
OTHER = Image(4, 5, 7)
TOKENS = Tokens(9, 6)
VOLUME = Volume(3, 2, 3, 2)
GRID = Grid(3, 2, 2, 3, 2)


class TestAdd(OpConformance):
    cases = (
        Case(Add(), SMALL, SMALL),
        Case(Add(), SMALL),
        Case(Add(), Logits(4), Logits(4), Logits(4)),
        Case(Add(), Scores(2, 3, 4), Scores(2, 3, 4)),
    )
    refused = (Case(Add(), SMALL, OTHER), Case(Add()), Case(Add(), SMALL, TOKENS))
    golden = ((Case(Add(), SMALL, SMALL), 0, 0),)

    def test_it_sums_any_number_of_inputs(self) -> None:
        x, y, z = (SMALL.example(2) for _ in range(3))
        assert torch.equal(Add().module(SMALL, SMALL, SMALL)(x, y, z), x + y + z)


class TestWeightedAdd(OpConformance):
    cases = (
        Case(WeightedAdd(), SMALL, SMALL),
        Case(WeightedAdd(scale="channel", normalise="sum"), TOKENS, TOKENS, TOKENS),
        Case(WeightedAdd(scale="channel", normalise="softmax"), GRID, GRID),
        Case(WeightedAdd(normalise="softmax"), Vector(4)),
    )
    refused = (
        Case(WeightedAdd(), SMALL, OTHER),
        Case(WeightedAdd(), Logits(4), Logits(4)),
        Case(WeightedAdd()),
        Case(WeightedAdd(scale="tensor"), SMALL),
        Case(WeightedAdd(normalise="mean"), SMALL),
    )
    larger = (
        (
            Case(WeightedAdd(scale="channel"), SMALL, SMALL),
            Case(WeightedAdd(scale="channel"), Image(8, 5, 7), Image(8, 5, 7)),
        ),
    )
    golden = ((Case(WeightedAdd(scale="channel"), SMALL, SMALL), 12, 0),)

    def test_it_begins_with_the_sum_or_with_the_mean(self) -> None:
        x, y = SMALL.example(2), SMALL.example(2)
        assert torch.equal(WeightedAdd().module(SMALL, SMALL)(x, y), x + y)
        for normalise in ("sum", "softmax"):
            mean = WeightedAdd(normalise=normalise).module(SMALL, SMALL)(x, y)
            torch.testing.assert_close(mean, (x + y) / 2, atol=1e-3, rtol=1e-3)


class TestConcat(OpConformance):
    cases = (
        Case(Concat(), SMALL, OTHER),
        Case(Concat(channels=5), TOKENS, TOKENS, TOKENS),
        Case(Concat(project=False), SMALL, OTHER),
        Case(Concat(project=False), TOKENS, Tokens(9, 2)),
        Case(Concat(), Vector(4), Vector(3)),
        Case(Concat(project=False), SMALL),
        Case(Concat(), Series(4, 5), Series(2, 5)),
        Case(Concat(), VOLUME, VOLUME),
        Case(Concat(project=False), GRID, GRID),
        Case(Concat(), GRID, GRID),
        Case(Concat(axis="sequence"), TOKENS, Tokens(2, 4)),
        Case(Concat(axis="sequence", project=False), TOKENS, Tokens(2, 6)),
        Case(Concat(axis="sequence", channels=2), SMALL, Image(4, 2, 7)),
        Case(Concat(axis="sequence", project=False), GRID, Grid(3, 1, 2, 3, 2)),
    )
    refused = (
        Case(Concat(), SMALL, Image(6, 5, 6)),
        Case(Concat(), SMALL, TOKENS),
        Case(Concat(), Logits(4)),
        Case(Concat()),
        Case(Concat(channels=0), SMALL, SMALL),
        Case(Concat(channels=4, project=False), SMALL, SMALL),
        Case(Concat(axis="width"), SMALL, SMALL),
        Case(Concat(axis="sequence"), Vector(4), Vector(4)),
        Case(Concat(axis="sequence"), SMALL, Image(6, 5, 6)),
        Case(Concat(axis="sequence", project=False), SMALL, OTHER),
        Case(Concat(), GRID, Grid(3, 2, 2, 3)),
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
        Case(Gated(gate_from="first"), SMALL, SMALL),
        Case(Gated(gate_from="second"), Series(4, 5), Series(4, 5)),
        Case(Gated(form="product"), TOKENS, TOKENS),
        Case(Gated(form="product", gate_from="first"), VOLUME, VOLUME),
        Case(Gated(form="product", gate_from="second"), GRID, GRID),
        Case(Gated(form="residual"), TOKENS, TOKENS),
        Case(Gated(form="residual", gate_from="second"), SMALL, SMALL),
        Case(Gated(mutual=True), TOKENS, TOKENS),
        Case(Gated(form="product", gate_from="second", mutual=True), SMALL, SMALL),
    )
    refused = (
        Case(Gated(), SMALL, OTHER),
        Case(Gated(), Logits(4)),
        Case(Gated()),
        Case(Gated(form="sum"), SMALL, SMALL),
        Case(Gated(gate_from="third"), SMALL, SMALL),
        Case(Gated(form="product"), SMALL, SMALL, SMALL),
        Case(Gated(mutual=True), SMALL),
    )
    larger = (
        (Case(Gated(), SMALL, SMALL), Case(Gated(), Image(8, 5, 7), Image(8, 5, 7))),
        (
            Case(Gated(form="residual", mutual=True), TOKENS, TOKENS),
            Case(Gated(form="residual", mutual=True), Tokens(9, 8), Tokens(9, 8)),
        ),
    )
    golden = (
        (Case(Gated(), SMALL, SMALL), 84, 2520),
        (Case(Gated(form="product", gate_from="first"), SMALL, SMALL), 42, 1260),
        (Case(Gated(form="residual", mutual=True), SMALL, SMALL), 168, 5040),
    )

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
        Case(Split(shares=(1, 3)), SMALL),
        Case(Split(parts=3, shares=(1.0, 0.01, 1.0)), GRID),
        Case(Split(axis="sequence"), TOKENS),
        Case(Split(axis="sequence", shares=(1, 2)), VOLUME),
    )
    refused = (
        Case(Split(parts=1), SMALL),
        Case(Split(parts=7), SMALL),
        Case(Split(), Logits(4)),
        Case(Split(shares=(1, 2, 3)), SMALL),
        Case(Split(shares=(1, 0)), SMALL),
        Case(Split(axis="sequence"), Vector(4)),
        Case(Split(axis="time"), SMALL),
    )
    golden = ((Case(Split(), SMALL), 0, 0),)

    def test_the_larger_parts_come_first(self) -> None:
        assert Split(parts=4).infer(Vector(6)) == (Vector(2), Vector(2), Vector(1), Vector(1))

    def test_shares_decide_the_sizes_and_no_part_is_empty(self) -> None:
        sized = {(1, 3): (2, 6), (1, 1): (4, 4), (9, 1): (7, 1), (1, 99): (1, 7)}
        for shares, sizes in sized.items():
            assert Split(shares=shares).infer(Vector(8)) == tuple(map(Vector, sizes))


class TestTake(OpConformance):
    cases = (
        Case(Take(), TOKENS),
        Case(Take(start=-2), TOKENS),
        Case(Take(start=1, count=3), SMALL),
        Case(Take(axis="channel", start=1, count=2), GRID),
        Case(Take(axis="channel", count=1), Vector(4)),
    )
    refused = (
        Case(Take(start=9), TOKENS),
        Case(Take(start=-10), TOKENS),
        Case(Take(count=10), TOKENS),
        Case(Take(count=0), TOKENS),
        Case(Take(), Vector(4)),
        Case(Take(axis="width"), SMALL),
        Case(Take(), Logits(4)),
    )
    golden = ((Case(Take(), TOKENS), 0, 0),)

    def test_it_counts_from_the_end_below_zero(self) -> None:
        x = TOKENS.example(2)
        assert torch.equal(Take(start=-2, count=1).module(TOKENS)(x), x[:, 7:8])
