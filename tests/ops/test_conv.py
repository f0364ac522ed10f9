"""Convolution ops keep the contract of ops, and cost what the literature's blocks cost."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Tokens, Vector
from nasplat.ops.conv import Conv, DepthwiseConv, MBConv, ReLUConvBN, SeparableConv, SqueezeGate
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)


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
    )
    refused = (
        Case(Conv(), Tokens(16, 8)),
        Case(Conv(), SMALL, SMALL),
        Case(Conv(kernel=2), SMALL),
        Case(Conv(stride=0), SMALL),
        Case(Conv(channels=0), SMALL),
        Case(Conv(groups=4), SMALL),
        Case(Conv(norm="group"), SMALL),
        Case(Conv(activation="tanh"), SMALL),
    )
    larger = (
        (Case(Conv(channels=4, kernel=3), SMALL), Case(Conv(channels=6, kernel=7), EVEN)),
        (Case(Conv(norm="batch"), SMALL), Case(Conv(norm="batch"), EVEN)),
    )
    golden = (
        (Case(Conv(channels=16), EVEN), 1168, 73728),
        (Case(Conv(stride=2, groups=2, norm="batch"), EVEN), 304, 4608),
    )

    def test_a_small_kernel_sits_in_the_middle_of_a_large_one(self) -> None:
        index = Conv(kernel=3).select("conv.weight", (4, 4, 3, 3), (8, 8, 7, 7), Conv(kernel=7))
        assert index == (slice(0, 4), slice(0, 4), slice(2, 5), slice(2, 5))


class TestDepthwiseConv(OpConformance):
    cases = (
        Case(DepthwiseConv(), SMALL),
        Case(DepthwiseConv(kernel=7, stride=2, norm="batch", activation="relu"), SMALL),
        Case(DepthwiseConv(kernel=5, dilation=2), SMALL),
    )
    refused = (Case(DepthwiseConv(), Vector(8)), Case(DepthwiseConv(kernel=4), SMALL))
    larger = ((Case(DepthwiseConv(kernel=3), SMALL), Case(DepthwiseConv(kernel=5), EVEN)),)
    golden = ((Case(DepthwiseConv(kernel=7), EVEN), 400, 25088),)


class TestSeparableConv(OpConformance):
    cases = (
        Case(SeparableConv(), SMALL),
        Case(SeparableConv(channels=10, kernel=5, stride=2, norm="none"), SMALL),
    )
    refused = (Case(SeparableConv(), Tokens(4, 4)), Case(SeparableConv(kernel=0), SMALL))
    larger = ((Case(SeparableConv(), SMALL), Case(SeparableConv(kernel=5), EVEN)),)
    golden = ((Case(SeparableConv(), EVEN), 168, 8704),)


class TestMBConv(OpConformance):
    cases = (
        Case(MBConv(), SMALL),
        Case(MBConv(expand=1, squeeze=0), SMALL),
        Case(MBConv(channels=10, expand=2.5, kernel=5, stride=2, norm="none"), SMALL),
        Case(MBConv(fused=True, norm="layer"), SMALL),
    )
    refused = (
        Case(MBConv(), Tokens(4, 4)),
        Case(MBConv(expand=0), SMALL),
        Case(MBConv(squeeze=-1), SMALL),
    )
    larger = ((Case(MBConv(expand=2), SMALL), Case(MBConv(expand=3, kernel=5), EVEN)),)
    # The second block of the second stage of EfficientNet-B0.
    golden = ((Case(MBConv(expand=6), Image(24, 56, 56)), 10710, 25742016),)

    def test_the_squeeze_gate_is_as_wide_as_a_part_of_the_channels_that_come_in(self) -> None:
        module = MBConv(expand=6).module(Image(24, 8, 8))
        assert module.get_parameter("gate.squeeze.weight").shape == (6, 144, 1, 1)


class TestSqueezeGate(OpConformance):
    cases = (Case(SqueezeGate(), SMALL), Case(SqueezeGate(reduction=16), Tokens(5, 8)))
    refused = (Case(SqueezeGate(), Vector(8)), Case(SqueezeGate(reduction=0), SMALL))
    larger = ((Case(SqueezeGate(), SMALL), Case(SqueezeGate(reduction=2), EVEN)),)
    golden = ((Case(SqueezeGate(), EVEN), 42, 32),)


class TestReLUConvBN(OpConformance):
    cases = (Case(ReLUConvBN(), SMALL), Case(ReLUConvBN(channels=4, kernel=1, stride=2), SMALL))
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
