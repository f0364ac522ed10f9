"""Convolutions with moving taps and computed kernels keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Series, Tokens, Vector, Volume
from nasplat.ops.conv_dynamic import DeformableConv, DynamicConv
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)


class TestDeformableConv(OpConformance):
    cases = (
        Case(DeformableConv(), SMALL),
        Case(DeformableConv(channels=4, stride=2, modulated=False, norm="batch"), SMALL),
        Case(DeformableConv(kernel=5, activation="relu"), Image(2, 1, 2)),
    )
    refused = (
        Case(DeformableConv(), Series(4, 4)),
        Case(DeformableConv(kernel=2), SMALL),
        Case(DeformableConv(channels=0), SMALL),
    )
    larger = ((Case(DeformableConv(), SMALL), Case(DeformableConv(kernel=5), EVEN)),)
    golden = ((Case(DeformableConv(), EVEN), 2555, 161280),)

    def test_without_offsets_it_is_a_convolution(self) -> None:
        for stride in (1, 2):
            module = DeformableConv(channels=4, stride=stride).module(SMALL)
            x, mix = SMALL.example(2), module.get_submodule("mix")
            weight = mix.get_parameter("weight").reshape(4, 6, 3, 3)
            wanted = torch.conv2d(x, weight, mix.get_parameter("bias"), stride, 1)
            torch.testing.assert_close(module(x), wanted, atol=1e-5, rtol=1e-5)

    def test_an_offset_of_one_pixel_reads_the_next_pixel(self) -> None:
        module = DeformableConv(modulated=False).module(SMALL)
        x = SMALL.example(2)
        before = module(x)
        with torch.no_grad():
            module.get_parameter("offset.bias")[1::2] = 1.0
        torch.testing.assert_close(module(x)[..., :-1], before[..., 1:], atol=1e-5, rtol=1e-5)


class TestDynamicConv(OpConformance):
    cases = (
        Case(DynamicConv(), SMALL),
        Case(DynamicConv(heads=2, causal=True, kernel=4), Tokens(7, 4)),
        Case(DynamicConv(weights_from="coordinates", kernel=5, heads=2, dilation=2), Series(4, 9)),
        Case(DynamicConv(weights_from="content_and_distance", per_channel=True), SMALL),
        Case(DynamicConv(weights_from="content_and_distance", heads=2), Volume(4, 2, 3, 4)),
    )
    refused = (
        Case(DynamicConv(), Vector(4)),
        Case(DynamicConv(kernel=2), SMALL),
        Case(DynamicConv(heads=4), SMALL),
        Case(DynamicConv(causal=True), SMALL),
        Case(DynamicConv(weights_from="noise"), SMALL),
    )
    larger = ((Case(DynamicConv(), SMALL), Case(DynamicConv(), EVEN)),)
    golden = ((Case(DynamicConv(), EVEN), 225, 12800),)

    def test_no_output_sees_a_later_position_where_it_is_causal(self) -> None:
        for form in DynamicConv.FORMS:
            module = DynamicConv(weights_from=form, causal=True).module(Tokens(7, 4))
            x = Tokens(7, 4).example(1)
            later = x.clone()
            later[:, 4:] += 1
            assert torch.equal(module(x)[:, :4], module(later)[:, :4])

    def test_equal_neighbours_share_the_weight_of_content_and_distance(self) -> None:
        """Inside a constant map the taps sum to one: the values come out as they are."""
        module = DynamicConv(weights_from="content_and_distance").module(EVEN)
        x = torch.ones(1, 8, 8, 8)
        value, project = module.get_submodule("value"), module.get_submodule("project")
        inner = module(x)[..., 1:-1, 1:-1]
        torch.testing.assert_close(inner, project(value(x))[..., 1:-1, 1:-1])
