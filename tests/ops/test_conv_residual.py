"""The residual block keeps the contract of ops, and has the parameters of the literature's blocks."""

from __future__ import annotations

import pytest
import torch

from nasplat.graph.types import Grid, Image, Series, Tokens, Volume
from nasplat.ops.conv_residual import ResidualConvBlock
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)


class TestResidualConvBlock(OpConformance):
    cases = (
        Case(ResidualConvBlock(), SMALL),
        Case(ResidualConvBlock(channels=8, stride=2, groups=2, squeeze=0.25), SMALL),
        Case(ResidualConvBlock(form="bottleneck", width=0.5, channels=8, groups=2), Series(6, 9)),
        Case(
            ResidualConvBlock(order="pre", norm="group", activation="silu", channels=4),
            Volume(6, 3, 4, 5),
        ),
        Case(
            ResidualConvBlock(
                form="bottleneck", shortcut="pool", stride=2, radix=2, groups=2, channels=16
            ),
            EVEN,
        ),
        Case(
            ResidualConvBlock(kernel=(1, 3), stride=(1, 2), activation="polynomial"), Grid(4, 2, 5)
        ),
        Case(ResidualConvBlock(norm="none", dilation=2, order="pre", form="bottleneck"), EVEN),
    )
    refused = (
        Case(ResidualConvBlock(), Tokens(4, 4)),
        Case(ResidualConvBlock(form="wide"), SMALL),
        Case(ResidualConvBlock(groups=4), SMALL),
        Case(ResidualConvBlock(kernel=2), SMALL),
        Case(ResidualConvBlock(width=0), SMALL),
        Case(ResidualConvBlock(order="mid"), SMALL),
        Case(ResidualConvBlock(squeeze=-1), SMALL),
        Case(ResidualConvBlock(radix=2), SMALL),
        Case(ResidualConvBlock(shortcut="pool", stride=3), SMALL),
        Case(ResidualConvBlock(form="bottleneck", radix=2, stride=(1, 2)), SMALL),
    )
    larger = (
        (Case(ResidualConvBlock(), SMALL), Case(ResidualConvBlock(kernel=5), EVEN)),
        (
            Case(ResidualConvBlock(form="bottleneck", squeeze=0.5), SMALL),
            Case(ResidualConvBlock(form="bottleneck", squeeze=0.5), EVEN),
        ),
    )
    golden = (
        # The first block of the second stage of ResNet-18.
        (Case(ResidualConvBlock(channels=128, stride=2), Image(64, 56, 56)), 230144, 179830784),
        # The second block of the first stage of ResNet-50.
        (Case(ResidualConvBlock(form="bottleneck"), Image(256, 56, 56)), 70400, 218365952),
    )

    def test_one_example_trains_through_a_split_attention(self) -> None:
        op = ResidualConvBlock(form="bottleneck", radix=2)
        assert op.module(EVEN).train()(EVEN.example(1)).isfinite().all()

    @pytest.mark.parametrize("order", ["post", "pre"])
    def test_the_skip_hands_on_the_input_where_the_type_stays(self, order: str) -> None:
        module = ResidualConvBlock(order=order, norm="none", activation="relu").module(EVEN)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
        x = EVEN.example(2).abs()
        torch.testing.assert_close(module(x), x)
