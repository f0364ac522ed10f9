"""Mixers with weights for positions keep the contract of ops."""

from __future__ import annotations

import pytest
import torch

from nasplat.graph.op import Op
from nasplat.graph.types import Image, Series, Tokens, Vector, Volume
from nasplat.ops.mixer_tokens import CircularConvMixer, ShuffleMixer, SpatialGatingUnit, TokenMLP
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 4, 8)
TOKENS = Tokens(6, 4)


class TestTokenMLP(OpConformance):
    cases = (
        Case(TokenMLP(), TOKENS),
        Case(TokenMLP(channel_group=2, activation="polynomial"), SMALL),
        Case(TokenMLP(axis="rows", channel_group=3, expand=2), SMALL),
        Case(TokenMLP(axis="columns", hidden=3), Volume(2, 2, 3, 4)),
        Case(TokenMLP(axis="rows", depth=1), Volume(2, 2, 3, 4)),
        Case(TokenMLP(depth=1, causal=True), TOKENS),
    )
    refused = (
        Case(TokenMLP(), Vector(4)),
        Case(TokenMLP(axis="rows"), TOKENS),
        Case(TokenMLP(axis="depth"), SMALL),
        Case(TokenMLP(channel_group=4), SMALL),
        Case(TokenMLP(expand=0), SMALL),
        Case(TokenMLP(depth=3), SMALL),
        Case(TokenMLP(hidden=0), SMALL),
        Case(TokenMLP(causal=True), TOKENS),
    )
    larger = ((Case(TokenMLP(), TOKENS), Case(TokenMLP(), Tokens(9, 4))),)
    # The token mixing of Mixer-S/16, and the linear map of ResMLP-12.
    golden = (
        (Case(TokenMLP(hidden=256), Tokens(196, 512)), 100804, 51380224),
        (Case(TokenMLP(depth=1), Tokens(196, 384)), 38612, 14751744),
    )

    def test_rows_mix_along_the_height_and_columns_along_the_width(self) -> None:
        x = torch.zeros(1, 6, 5, 7)
        x[0, 2, 3, 4] = 1.0
        for axis in ("rows", "columns"):
            module = TokenMLP(axis=axis).module(SMALL)
            changed = (module(x) - module(torch.zeros_like(x))).abs() > 1e-9
            channel, rows, columns = (changed[0].any(1).any(1), changed[0, 2], changed[0, 2])
            assert channel.nonzero().flatten().tolist() == [2]
            assert rows.any(0).nonzero().flatten().tolist() == (
                [4] if axis == "rows" else [*range(7)]
            )
            assert columns.any(1).nonzero().flatten().tolist() == (
                [3] if axis == "columns" else [*range(5)]
            )

    def test_an_image_and_its_tokens_give_the_same_numbers(self) -> None:
        op, x = TokenMLP(channel_group=2), SMALL.example(2)
        image, tokens = op.module(SMALL), op.module(Tokens(35, 6))
        tokens.load_state_dict(image.state_dict())
        torch.testing.assert_close(tokens(x.flatten(2).mT), image(x).flatten(2).mT)


class TestSpatialGatingUnit(OpConformance):
    cases = (
        Case(SpatialGatingUnit(), TOKENS),
        Case(SpatialGatingUnit(axis="block", size=2), EVEN),
        Case(SpatialGatingUnit(axis="grid", gate_network="mixer"), EVEN),
        Case(SpatialGatingUnit(split=False, gate_network="mixer"), TOKENS),
        Case(SpatialGatingUnit(causal=True), TOKENS),
        Case(SpatialGatingUnit(axis="block"), Volume(4, 2, 3, 4)),
    )
    refused = (
        Case(SpatialGatingUnit(), Vector(4)),
        Case(SpatialGatingUnit(), Tokens(4, 3)),
        Case(SpatialGatingUnit(axis="all"), TOKENS),
        Case(SpatialGatingUnit(gate_network="conv"), TOKENS),
        Case(SpatialGatingUnit(causal=True), SMALL),
        Case(SpatialGatingUnit(size=0), SMALL),
    )
    larger = ((Case(SpatialGatingUnit(), TOKENS), Case(SpatialGatingUnit(), Tokens(9, 8))),)
    # The gate of gMLP-S/16: 196 positions, 1,536 channels.
    golden = ((Case(SpatialGatingUnit(), Tokens(196, 1536)), 40148, 29503488),)

    def test_at_first_the_gate_is_one(self) -> None:
        x = TOKENS.example(2)
        y = SpatialGatingUnit().module(TOKENS)(x)
        torch.testing.assert_close(y, x[..., :2], atol=1e-3, rtol=1e-3)

    @pytest.mark.parametrize(
        ("axis", "rows", "columns"), [("block", [2, 3], [4, 5]), ("grid", [1, 3], [1, 5])]
    )
    def test_a_block_holds_neighbours_and_a_grid_distant_positions(
        self, axis: str, rows: list[int], columns: list[int]
    ) -> None:
        module = SpatialGatingUnit(axis=axis, size=2).module(EVEN)
        with torch.no_grad():
            module.get_parameter("mix.weight").normal_()
        x = EVEN.example(1)
        other = x.clone()
        other[0, 4:, 3, 5] += torch.randn(4)
        changed = ((module(x) - module(other)).abs() > 1e-6)[0].any(0)
        assert changed.any(1).nonzero().flatten().tolist() == rows
        assert changed.any(0).nonzero().flatten().tolist() == columns


class TestCircularConvMixer(OpConformance):
    cases = (
        Case(CircularConvMixer(heads=2), TOKENS),
        Case(CircularConvMixer(heads=3, bias=False), SMALL),
    )
    refused = (
        Case(CircularConvMixer(), Vector(4)),
        Case(CircularConvMixer(), SMALL),
        Case(CircularConvMixer(heads=0), SMALL),
    )
    larger = ((Case(CircularConvMixer(heads=2), TOKENS), Case(CircularConvMixer(), Tokens(6, 8))),)
    golden = ((Case(CircularConvMixer(heads=2), TOKENS), 50, 240),)

    def test_it_is_a_circular_convolution(self) -> None:
        module, x = CircularConvMixer(heads=1).module(TOKENS), TOKENS.example(2)
        weight = module.get_submodule("weights")(x).softmax(1)[..., 0]
        value = module.get_submodule("value")(x)
        wanted = torch.zeros_like(value)
        for at in range(6):
            for source in range(6):
                wanted[:, at] += weight[:, (at - source) % 6, None] * value[:, source]
        torch.testing.assert_close(module(x), module.get_submodule("project")(wanted))


class TestShuffleMixer(OpConformance):
    cases = (
        Case(ShuffleMixer(groups=2), TOKENS),
        Case(ShuffleMixer(seed=3), SMALL),
        Case(ShuffleMixer(), Series(4, 8)),
    )
    refused = (Case(ShuffleMixer(), Vector(4)), Case(ShuffleMixer(groups=0), SMALL))
    larger = ((Case(ShuffleMixer(groups=1), TOKENS), Case(ShuffleMixer(groups=1), Tokens(9, 8))),)
    golden = ((Case(ShuffleMixer(groups=2), TOKENS), 24, 120),)

    def test_the_order_follows_from_the_seed_alone(self) -> None:
        torch.manual_seed(1)
        first = ShuffleMixer(seed=7).module(SMALL).get_buffer("order")
        torch.manual_seed(2)
        assert torch.equal(ShuffleMixer(seed=7).module(SMALL).get_buffer("order"), first)
        assert not torch.equal(ShuffleMixer(seed=8).module(SMALL).get_buffer("order"), first)


@pytest.mark.parametrize(
    "op", [TokenMLP(depth=1, causal=True), SpatialGatingUnit(causal=True)], ids=str
)
def test_no_output_sees_a_later_position(op: Op) -> None:
    module, x = op.module(TOKENS), TOKENS.example(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    later = x.clone()
    later[:, 4:] += 1
    torch.testing.assert_close(module(x)[:, :4], module(later)[:, :4])
    assert not torch.allclose(module(x), module(later))
