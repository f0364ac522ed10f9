"""Attention to places of maps keeps the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Tokens
from nasplat.ops.attention_deformable import DeformableAttention
from nasplat.testing.ops import Case, OpConformance

QUERIES = Tokens(5, 12)
SMALL = Image(6, 4, 4)


class TestDeformableAttention(OpConformance):
    cases = (
        Case(DeformableAttention(), QUERIES, SMALL),
        Case(DeformableAttention(points=2, heads=3, head_dim=2), QUERIES, SMALL, Image(6, 2, 3)),
    )
    refused = (
        Case(DeformableAttention(), QUERIES),
        Case(DeformableAttention(), SMALL, QUERIES),
        Case(DeformableAttention(), QUERIES, SMALL, Image(5, 4, 4)),
        Case(DeformableAttention(points=0), QUERIES, SMALL),
        Case(DeformableAttention(heads=0), QUERIES, SMALL),
        Case(DeformableAttention(head_dim=0), QUERIES, SMALL),
    )
    larger = (
        (
            Case(DeformableAttention(heads=2, points=2), QUERIES, SMALL),
            Case(DeformableAttention(), Tokens(5, 32), Image(8, 4, 4)),
        ),
    )
    golden = (
        (
            Case(DeformableAttention(), QUERIES, SMALL),
            26 + 13 * 32 + 13 * 16 + 84 + 156,
            5 * 12 * (2 + 32 + 16 + 12) + 16 * 72,
        ),
    )

    def test_on_a_map_of_equal_values_it_finds_that_value(self) -> None:
        """Weights of the places sum to one, as long as no place lies outside of the map."""
        module = DeformableAttention().module(QUERIES, SMALL)
        with torch.no_grad():
            module.get_parameter("reference.weight").zero_()
            module.get_parameter("reference.bias").zero_()
        plane = torch.randn(2, 6, 1, 1).expand(-1, -1, 4, 4)
        value = module.get_submodule("value")(plane)[:, :, 0, 0]
        wanted = module.get_submodule("out")(value).unsqueeze(1).expand(-1, 5, -1)
        torch.testing.assert_close(module(QUERIES.example(2), plane), wanted)
