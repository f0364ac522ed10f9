"""Attention over several scales keeps the contract of ops."""

from __future__ import annotations

from nasplat.graph.types import Image, Tokens
from nasplat.ops.attention_multiscale import MultiScaleLinearAttention
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 4)


class TestMultiScaleLinearAttention(OpConformance):
    cases = (
        Case(MultiScaleLinearAttention(head_dim=3), SMALL),
        Case(MultiScaleLinearAttention(head_dim=4, heads=1, scales=(3, 5)), SMALL),
        Case(MultiScaleLinearAttention(), SMALL),
    )
    refused = (
        Case(MultiScaleLinearAttention(scales=(2,)), SMALL),
        Case(MultiScaleLinearAttention(heads=0), SMALL),
        Case(MultiScaleLinearAttention(head_dim=0), SMALL),
        Case(MultiScaleLinearAttention(), Tokens(4, 6)),
    )
    larger = (
        (
            Case(MultiScaleLinearAttention(head_dim=3, heads=2), SMALL),
            Case(MultiScaleLinearAttention(head_dim=3, heads=2), Image(8, 5, 4)),
        ),
    )
    golden = ((Case(MultiScaleLinearAttention(head_dim=3), SMALL), 684, 15600),)
