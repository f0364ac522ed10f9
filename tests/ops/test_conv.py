"""Convolution ops keep the contract of ops, and cost what the literature's blocks cost."""

from __future__ import annotations

import torch

from nasplat.graph.types import Grid, Image, Series, Tokens, Vector, Volume
from nasplat.ops.conv import Conv, DepthwiseConv, MBConv, SeparableConv, SqueezeGate
from nasplat.ops.conv_cell import ReLUConvBN
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)
SERIES = Series(4, 9)
VOLUME = Volume(4, 3, 4, 5)


class TestConv(OpConformance):
    cases = (
        Case(Conv(), SMALL),
        Case(Conv(channels=4, bias=False), SMALL),
        Case(Conv(channels=9, kernel=1, activation="silu"), SMALL),
        Case(
            Conv(channels=4, kernel=5, stride=2, groups=2, norm="batch", activation="relu"), SMALL
        ),
        Case(Conv(kernel=3, dilation=2, norm="layer", activation="gelu"), SMALL),
        Case(Conv(stride=4, norm="rms", activation="hardswish"), SMALL),
        Case(Conv(kernel=7), Image(2, 1, 1)),
        Case(Conv(kernel=2, stride=2, channels=4), SMALL),
        Case(Conv(kernel=(1, 4), stride=(1, 3), norm="group"), SMALL),
        Case(Conv(causal=True, dilation=2, stride=2, channels=3), SERIES),
        Case(Conv(causal=True, kernel=4, activation="polynomial"), Tokens(7, 4)),
        Case(Conv(channels=4, norm="instance", stride=2), VOLUME),
        Case(Conv(kernel=(1, 3, 3), groups=2), Grid(4, 2, 3, 5)),
        Case(Conv(channels=3, transposed=True, kernel=2, stride=2), SMALL),
        Case(Conv(channels=4, transposed=True, stride=(1, 2), groups=2), SMALL),
        Case(Conv(channels=3, transposed=True, kernel=1, stride=4), SERIES),
    )
    refused = (
        Case(Conv(), Vector(8)),
        Case(Conv(), Grid(4, 3, 3, 3, 3)),
        Case(Conv(), SMALL, SMALL),
        Case(Conv(kernel=0), SMALL),
        Case(Conv(kernel=(3, 3, 3)), SMALL),
        Case(Conv(causal=True), SMALL),
        Case(Conv(causal=True, transposed=True), SERIES),
        Case(Conv(transposed=True, kernel=2), SMALL),
        Case(Conv(stride=0), SMALL),
        Case(Conv(channels=0), SMALL),
        Case(Conv(groups=4), SMALL),
        Case(Conv(norm="power"), SMALL),
        Case(Conv(activation="tanh"), SMALL),
    )
    larger = (
        (Case(Conv(channels=4, kernel=3), SMALL), Case(Conv(channels=6, kernel=7), EVEN)),
        (Case(Conv(norm="batch"), SMALL), Case(Conv(norm="batch"), EVEN)),
    )
    golden = (
        (Case(Conv(channels=16), EVEN), 1168, 73728),
        (Case(Conv(stride=2, groups=2, norm="batch"), EVEN), 304, 4608),
        (Case(Conv(channels=4, transposed=True, kernel=2, stride=2), EVEN), 132, 8192),
    )

    def test_no_output_of_a_causal_convolution_sees_a_later_position(self) -> None:
        for op in (Conv(causal=True, dilation=2), Conv(causal=True, kernel=4, stride=2)):
            module, x = op.module(SERIES), SERIES.example(1)
            later = x.clone()
            later[..., 5:] += 1
            same = 5 if op.stride == 1 else 3
            assert torch.equal(module(x)[..., :same], module(later)[..., :same])
            assert not torch.equal(module(x), module(later))

    def test_a_series_and_its_tokens_give_the_same_numbers(self) -> None:
        op, x = Conv(channels=3, stride=2), SERIES.example(2)
        over_series, over_tokens = op.module(SERIES), op.module(Tokens(9, 4))
        over_tokens.load_state_dict(over_series.state_dict())
        torch.testing.assert_close(over_tokens(x.mT), over_series(x).mT)

    def test_a_small_kernel_sits_in_the_middle_of_a_large_one(self) -> None:
        index = Conv(kernel=3).select("conv.weight", (4, 4, 3, 3), (8, 8, 7, 7), Conv(kernel=7))
        assert index == (slice(0, 4), slice(0, 4), slice(2, 5), slice(2, 5))


class TestDepthwiseConv(OpConformance):
    cases = (
        Case(DepthwiseConv(), SMALL),
        Case(DepthwiseConv(kernel=7, stride=2, norm="batch", activation="relu"), SMALL),
        Case(DepthwiseConv(kernel=5, dilation=2), SMALL),
        Case(DepthwiseConv(kernel=(3, 1, 5), bias=False), VOLUME),
        Case(DepthwiseConv(causal=True, activation="swoosh_r"), Tokens(7, 4)),
    )
    refused = (Case(DepthwiseConv(), Vector(8)), Case(DepthwiseConv(kernel=4), SMALL))
    larger = ((Case(DepthwiseConv(kernel=3), SMALL), Case(DepthwiseConv(kernel=5), EVEN)),)
    golden = ((Case(DepthwiseConv(kernel=7), EVEN), 400, 25088),)


class TestSeparableConv(OpConformance):
    cases = (
        Case(SeparableConv(), SMALL),
        Case(SeparableConv(channels=10, kernel=5, stride=2, norm="none"), SMALL),
        Case(SeparableConv(channels=3, stride=2, dilation=2), SERIES),
        Case(SeparableConv(channels=5, pre_activation=True, inner_norm=False, repeats=2), VOLUME),
    )
    refused = (
        Case(SeparableConv(repeats=2), SMALL),
        Case(SeparableConv(), Tokens(4, 4)),
        Case(SeparableConv(kernel=0), SMALL),
    )
    larger = ((Case(SeparableConv(), SMALL), Case(SeparableConv(kernel=5), EVEN)),)
    golden = ((Case(SeparableConv(), EVEN), 168, 8704),)


class TestMBConv(OpConformance):
    cases = (
        Case(MBConv(), SMALL),
        Case(MBConv(expand=1, squeeze=0), SMALL),
        Case(MBConv(channels=10, expand=2.5, kernel=5, stride=2, norm="none"), SMALL),
        Case(MBConv(fused=True, norm="layer"), SMALL),
        Case(MBConv(pre_norm=True, out_norm=False, squeeze_activation="relu"), SERIES),
        Case(MBConv(channels=6, expand_of="outputs", squeeze_of="outputs", stride=2), VOLUME),
        Case(
            MBConv(squeeze_of="hidden", divisor=8, hard_gate=True, activation="polynomial"), SMALL
        ),
    )
    refused = (
        Case(MBConv(), Tokens(4, 4)),
        Case(MBConv(expand=0), SMALL),
        Case(MBConv(squeeze=-1), SMALL),
        Case(MBConv(squeeze_of="all"), SMALL),
        Case(MBConv(expand_of="hidden"), SMALL),
    )
    larger = ((Case(MBConv(expand=2), SMALL), Case(MBConv(expand=3, kernel=5), EVEN)),)
    # The second block of the second stage of EfficientNet-B0.
    golden = ((Case(MBConv(expand=6), Image(24, 56, 56)), 10710, 25742016),)

    def test_the_squeeze_gate_is_as_wide_as_a_part_of_the_channels_that_come_in(self) -> None:
        module = MBConv(expand=6).module(Image(24, 8, 8))
        assert module.get_parameter("gate.squeeze.weight").shape == (6, 144, 1, 1)


class TestSqueezeGate(OpConformance):
    cases = (
        Case(SqueezeGate(), SMALL),
        Case(SqueezeGate(reduction=16), Tokens(5, 8)),
        Case(SqueezeGate(divisor=8, hard_gate=True), VOLUME),
        Case(SqueezeGate(over="positions"), SMALL),
        Case(SqueezeGate(over="positions", reduction=2), Tokens(5, 8)),
        Case(SqueezeGate(), Grid(4, 2, 2, 2, 2)),
        Case(SqueezeGate(effective=True, hard_gate=True), SMALL),
        Case(SqueezeGate(norm="layer"), SMALL),
    )
    refused = (
        Case(SqueezeGate(), Vector(8)),
        Case(SqueezeGate(over="all"), SMALL),
        Case(SqueezeGate(reduction=0), SMALL),
    )
    larger = ((Case(SqueezeGate(), SMALL), Case(SqueezeGate(reduction=2), EVEN)),)
    golden = ((Case(SqueezeGate(), EVEN), 42, 32),)


class TestReLUConvBN(OpConformance):
    cases = (
        Case(ReLUConvBN(), SMALL),
        Case(ReLUConvBN(channels=4, kernel=1, stride=2), SMALL),
        Case(ReLUConvBN(stride=2), SERIES),
    )
    refused = (Case(ReLUConvBN(), Tokens(4, 4)), Case(ReLUConvBN(kernel=2), SMALL))
    larger = ((Case(ReLUConvBN(kernel=1), SMALL), Case(ReLUConvBN(kernel=3), EVEN)),)
    golden = ((Case(ReLUConvBN(), Image(16, 32, 32)), 2336, 2359296),)


def test_the_weights_of_a_small_conv_inherited_by_selection_compute_its_part_of_the_large() -> None:
    """A 1x1 kernel in the middle of a 3x3 kernel that is zero around it is the same function."""
    small, large = Conv(kernel=1), Conv(kernel=3)
    inner, outer = small.module(EVEN), large.module(EVEN)
    with torch.no_grad():
        for name, value in inner.state_dict().items():
            target = outer.state_dict()[name]
            target.zero_()
            target[small.select(name, value.shape, target.shape, large)] = value
    x = EVEN.example(2)
    torch.testing.assert_close(inner(x), outer(x), atol=1e-5, rtol=1e-5)
