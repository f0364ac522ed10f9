"""Attention of projected queries, keys and values keeps the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Tokens, Vector
from nasplat.ops.attention import SelfAttention
from nasplat.ops.projected import ProjectedAttention
from nasplat.testing.ops import Case, OpConformance

WIDE, NARROW = Tokens(5, 8), Tokens(5, 4)


class TestProjectedAttention(OpConformance):
    cases = (
        Case(ProjectedAttention(heads=2), WIDE, WIDE, WIDE),
        Case(
            ProjectedAttention(heads=2, kv_heads=1, mask="causal", rotary=1), WIDE, NARROW, NARROW
        ),
        Case(ProjectedAttention(heads=4, relative_bias="table"), WIDE, WIDE, WIDE),
        Case(ProjectedAttention(heads=2, relative_bias="mlp", mask="causal"), WIDE, WIDE, WIDE),
        Case(ProjectedAttention(heads=2, relative_bias="alibi"), WIDE, WIDE, WIDE),
    )
    refused = (
        Case(ProjectedAttention(), WIDE, WIDE),
        Case(ProjectedAttention(), Vector(8), WIDE, WIDE),
        Case(ProjectedAttention(heads=3), WIDE, WIDE, WIDE),
        Case(ProjectedAttention(heads=2, kv_heads=3), WIDE, WIDE, WIDE),
        Case(ProjectedAttention(heads=2), WIDE, NARROW, NARROW),
        Case(ProjectedAttention(heads=2), WIDE, Tokens(6, 8), Tokens(6, 8)),
        Case(ProjectedAttention(heads=2, mask="soft_causal"), WIDE, WIDE, WIDE),
        Case(ProjectedAttention(heads=2, rotary=2), WIDE, WIDE, WIDE),
    )
    larger = (
        (
            Case(ProjectedAttention(heads=2, relative_bias="table"), WIDE, WIDE, WIDE),
            Case(ProjectedAttention(heads=4, relative_bias="table"), WIDE, WIDE, WIDE),
        ),
    )
    golden = ((Case(ProjectedAttention(heads=2), WIDE, WIDE, WIDE), 0, 400),)

    def test_it_is_self_attention_without_the_projections(self) -> None:
        options = {"heads": 4, "kv_heads": 2, "mask": "causal", "rotary": 1.0}
        whole = SelfAttention(**options).module(WIDE)  # type: ignore[arg-type]  # fields by name
        bare = ProjectedAttention(**options).module(WIDE, NARROW, NARROW)  # type: ignore[arg-type]  # the same
        x = WIDE.example(2)
        parts = [whole.get_submodule(name)(x) for name in ("query", "key", "value")]
        torch.testing.assert_close(whole.get_submodule("out")(bare(*parts)), whole(x))
