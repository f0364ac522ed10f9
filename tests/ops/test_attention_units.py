"""Attention within units keeps the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Tokens
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_units import UnitAttention
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 4, 8)


class TestUnitAttention(OpConformance):
    cases = (
        Case(UnitAttention(unit=4, heads=2), SMALL),
        Case(UnitAttention(unit=4, heads=3, kv_heads=1, query_stride=2, channels=9), SMALL),
        Case(UnitAttention(unit=0, heads=2, query_stride=4, head_dim=5), SMALL),
    )
    refused = (
        Case(UnitAttention(unit=3), SMALL),
        Case(UnitAttention(unit=4, query_stride=3), SMALL),
        Case(UnitAttention(unit=-1), SMALL),
        Case(UnitAttention(unit=4, channels=0), SMALL),
        Case(UnitAttention(), Tokens(8, 6)),
    )
    larger = (
        (
            Case(UnitAttention(unit=4, heads=2, head_dim=3), SMALL),
            Case(UnitAttention(unit=4, heads=3, head_dim=4), Image(8, 4, 8)),
        ),
    )
    golden = ((Case(UnitAttention(unit=4, heads=2), SMALL), 168, 10752),)

    def test_one_unit_is_attention_of_all_positions(self) -> None:
        units = UnitAttention(unit=0, heads=2).module(SMALL)
        plain = SelfAttention(heads=2).module(SMALL)
        plain.load_state_dict(units.state_dict())
        x = torch.randn(2, 6, 4, 8)
        torch.testing.assert_close(units(x), plain(x))
