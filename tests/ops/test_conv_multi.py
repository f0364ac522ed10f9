"""Convolutions with several branches keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.fake_quant import fake_quantise
from nasplat.graph.op import Bits
from nasplat.graph.types import Image, Series, Tokens, Volume
from nasplat.ops.conv_multi import LargeKernelConv, MultiDilationConv, MultiKernelConv
from nasplat.ops.modules.conv_multi import LargeKernel
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)
SERIES = Series(4, 9)
VOLUME = Volume(4, 3, 4, 5)


class TestMultiKernelConv(OpConformance):
    cases = (
        Case(MultiKernelConv(), SMALL),
        Case(MultiKernelConv(join="sum", depthwise=True, norm="batch", activation="relu"), SERIES),
        Case(MultiKernelConv(channels=12, kernels=(4, 8, 16), stride=4, widths="halving"), EVEN),
        Case(MultiKernelConv(kernels=(1, 2), channels=5, bias=False), VOLUME),
    )
    refused = (
        Case(MultiKernelConv(), Tokens(4, 4)),
        Case(MultiKernelConv(kernels=()), SMALL),
        Case(MultiKernelConv(channels=2), SMALL),
        Case(MultiKernelConv(join="mean"), SMALL),
        Case(MultiKernelConv(depthwise=True), SMALL),
        Case(MultiKernelConv(kernels=(3, 0)), SMALL),
    )
    larger = (
        (
            Case(MultiKernelConv(kernels=(3, 5)), SMALL),
            Case(MultiKernelConv(kernels=(3, 7)), EVEN),
        ),
    )
    # The patch embedding of CrossFormer-T.
    golden = (
        (
            Case(
                MultiKernelConv(channels=64, kernels=(4, 8, 16, 32), stride=4, widths="halving"),
                Image(3, 224, 224),
            ),
            35392,
            110788608,
        ),
    )


class TestMultiDilationConv(OpConformance):
    cases = (
        Case(MultiDilationConv(rates=(1, 2)), SMALL),
        Case(MultiDilationConv(rates=(2, 3), separable=True, width=3, channels=5), EVEN),
        Case(MultiDilationConv(rates=(1, 2, 3), arrangement="serial", norm="none"), SERIES),
        Case(MultiDilationConv(rates=(1,), pooled_branch=False, norm="layer"), VOLUME),
    )
    refused = (
        Case(MultiDilationConv(), Tokens(4, 4)),
        Case(MultiDilationConv(rates=()), SMALL),
        Case(MultiDilationConv(arrangement="tree"), SMALL),
        Case(MultiDilationConv(width=0), SMALL),
    )
    larger = (
        (
            Case(MultiDilationConv(rates=(1, 2)), SMALL),
            Case(MultiDilationConv(rates=(1, 2), kernel=5), EVEN),
        ),
    )
    golden = ((Case(MultiDilationConv(rates=(1, 2), pooled_branch=False), EVEN), 1472, 90112),)

    def test_one_example_trains_through_the_pooled_branch(self) -> None:
        module = MultiDilationConv(rates=(2,)).module(EVEN).train()
        assert module(EVEN.example(1)).isfinite().all()


class TestLargeKernelConv(OpConformance):
    cases = (
        Case(LargeKernelConv(kernel=7), SMALL),
        Case(LargeKernelConv(kernel=9, small_kernels=(3, 3, 5), small_dilations=(1, 3, 2)), SMALL),
        Case(LargeKernelConv(decomposed=True, kernel=9, gate_input=True), VOLUME),
        Case(
            LargeKernelConv(kernel=9, small_kernels=(3,), small_dilations=(4,), norm="none"), SERIES
        ),
    )
    refused = (
        Case(LargeKernelConv(), Tokens(4, 4)),
        Case(LargeKernelConv(kernel=8), SMALL),
        Case(LargeKernelConv(norm="layer"), SMALL),
        Case(LargeKernelConv(small_kernels=(3,)), SMALL),
        Case(LargeKernelConv(kernel=5, small_kernels=(3,), small_dilations=(3,)), SMALL),
        Case(LargeKernelConv(decomposed=True, small_kernels=(3,), small_dilations=(1,)), SMALL),
    )
    larger = ((Case(LargeKernelConv(kernel=5), SMALL), Case(LargeKernelConv(kernel=7), EVEN)),)
    golden = (
        (Case(LargeKernelConv(), EVEN), 1368, 86528),
        # The attention of the first stage of VAN-B0.
        (
            Case(LargeKernelConv(kernel=21, decomposed=True, gate_input=True), Image(32, 56, 56)),
            3488,
            10637312,
        ),
    )

    def test_folded_branches_compute_what_they_compute_side_by_side(self) -> None:
        for case in (self.cases[1], self.cases[3]):
            module = case.module().train()
            (x,) = case.examples(4)
            module(x)
            module.eval()
            folded = module(x)
            for inner in module.modules():
                if isinstance(inner, LargeKernel):
                    pairs = zip(inner.norms, inner.convs, strict=True)
                    apart = torch.stack([norm(conv(x)) for norm, conv in pairs]).sum(0)
                    torch.testing.assert_close(folded, apart, atol=1e-4, rtol=1e-4)

    def test_quantised_branches_are_not_folded(self) -> None:
        case = self.cases[1]
        module = fake_quantise(case.module().eval(), Bits(4, 32))
        (x,) = case.examples(2)
        whole = case.module().eval()(x)
        assert not torch.allclose(module(x), whole, atol=1e-3)
