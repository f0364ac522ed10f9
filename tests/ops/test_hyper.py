"""Weights as data keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Grid, Image, Series, Tokens, Vector, Volume, Weights
from nasplat.ops.hyper import Code, GeneratedConv, Hypernetwork
from nasplat.testing.ops import Case, OpConformance

IMAGE = Image(3, 4, 5)


class TestCode(OpConformance):
    cases = (Case(Code(values=(0.0, 1.0, 1.0)), IMAGE), Case(Code(values=(1.0,)), Tokens(2, 3)))
    refused = (Case(Code(values=()), IMAGE), Case(Code(values=(1.0,)), IMAGE, IMAGE))
    golden = ((Case(Code(values=(1.0,)), IMAGE), 0, 0),)


class TestHypernetwork(OpConformance):
    cases = (
        Case(Hypernetwork(rows=4, columns=3, hidden=5, rank=2), Vector(6)),
        Case(Hypernetwork(rows=4, columns=27, hidden=5, rank=2, learned=False), Vector(6)),
    )
    refused = (
        Case(Hypernetwork(rows=4, columns=3), IMAGE),
        Case(Hypernetwork(rows=0, columns=3), Vector(6)),
        Case(Hypernetwork(rows=4, columns=3, rank=0), Vector(6)),
    )
    larger = (
        (
            Case(Hypernetwork(rows=4, columns=3, hidden=5, rank=2), Vector(6)),
            Case(Hypernetwork(rows=4, columns=3, hidden=8, rank=2), Vector(7)),
        ),
    )
    golden = (
        (
            Case(Hypernetwork(rows=4, columns=3, hidden=5, rank=2), Vector(6)),
            35 + 14 * 6,
            30 + 14 * 5 + 4 * 2 * 3,
        ),
    )


class TestGeneratedConv(OpConformance):
    cases = (
        Case(GeneratedConv(kernel=3), IMAGE, Weights(4, 27)),
        Case(GeneratedConv(norm=False), IMAGE, Weights(2, 3)),
        Case(GeneratedConv(kernel=5), Series(2, 7), Weights(3, 10)),
        Case(GeneratedConv(kernel=3), Volume(1, 2, 3, 2), Weights(2, 27)),
    )
    refused = (
        Case(GeneratedConv(kernel=3), IMAGE, Weights(4, 26)),
        Case(GeneratedConv(kernel=2), IMAGE, Weights(4, 12)),
        Case(GeneratedConv(), IMAGE, Vector(3)),
        Case(GeneratedConv(), Grid(1, 2, 2, 2, 2), Weights(1, 1)),
        Case(GeneratedConv(), IMAGE, Weights(4, 3, 1)),
    )
    larger = (
        (
            Case(GeneratedConv(), IMAGE, Weights(2, 3)),
            Case(GeneratedConv(), IMAGE, Weights(4, 3)),
        ),
    )
    golden = ((Case(GeneratedConv(kernel=3), IMAGE, Weights(4, 27)), 4, 4 * 27 * 20),)

    def test_it_is_the_convolution_with_these_weights(self) -> None:
        for item, conv in ((IMAGE, torch.conv2d), (Series(3, 7), torch.conv1d)):
            places = 3 ** (len(item.shape) - 1)
            x = item.example(1)
            kernel = torch.randn(2, 3, *[3] * (len(item.shape) - 1))
            # Places of the kernel come before channels, the last axis first.
            order = (0, *range(kernel.dim() - 1, 1, -1), 1)
            weights = kernel.permute(order).reshape(1, 2, 3 * places)
            got = GeneratedConv(kernel=3, norm=False).module(item, Weights(2, 3 * places))
            torch.testing.assert_close(got(x, weights), conv(x, kernel, padding=1))
