"""Ops on the variables of a series keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Series, Tokens
from nasplat.ops.variables import NeighbourAttention, SymbolEmbed
from nasplat.testing.ops import Case, OpConformance

GRID = Image(6, 5, 3)


class TestNeighbourAttention(OpConformance):
    cases = (
        Case(NeighbourAttention(dim=3), GRID),
        Case(NeighbourAttention(heads=3, neighbours=9), Series(6, 4)),
        Case(NeighbourAttention(), Series(4, 1)),
    )
    refused = (
        Case(NeighbourAttention(), Tokens(4, 6)),
        Case(NeighbourAttention(heads=0), GRID),
        Case(NeighbourAttention(neighbours=0), GRID),
    )
    larger = (
        (
            Case(NeighbourAttention(dim=3), Series(6, 5)),
            Case(NeighbourAttention(dim=4), Series(6, 8)),
        ),
    )
    golden = (
        (
            Case(NeighbourAttention(dim=3), GRID),
            4 * 42 + 30,
            15 * 4 * 36 + 75 + 2 * 2 * 3 * 75,
        ),
    )

    def test_what_is_no_neighbour_is_not_seen(self) -> None:
        module = NeighbourAttention(neighbours=2).module(Series(4, 6)).eval()
        x = Series(4, 6).example(1).requires_grad_()
        module(x)[0, :, 0].sum().backward()
        assert x.grad is not None
        assert int((x.grad[0].abs().sum(0) > 0).sum()) <= 3  # two neighbours and itself


class TestSymbolEmbed(OpConformance):
    cases = (
        Case(SymbolEmbed(dim=4), Series(3, 7)),
        Case(SymbolEmbed(dim=4, length=2), Series(1, 5)),
    )
    refused = (
        Case(SymbolEmbed(dim=4), GRID),
        Case(SymbolEmbed(dim=0), Series(3, 7)),
        Case(SymbolEmbed(dim=4, symbols=1), Series(3, 7)),
    )
    larger = (
        (
            Case(SymbolEmbed(dim=4), Series(3, 7)),
            Case(SymbolEmbed(dim=6, symbols=40), Series(3, 7)),
        ),
    )
    golden = ((Case(SymbolEmbed(dim=4), Series(3, 7)), 128, 0),)

    def test_symbols_do_not_see_scale_and_shift(self) -> None:
        series = Series(2, 9)
        module = SymbolEmbed(dim=3).module(series)
        x = 10 * series.example(2, torch.Generator().manual_seed(0))
        torch.testing.assert_close(module(x), module(3 * x + 5))
