"""Mixes of layers and steps on the sphere keep the contract of ops."""

from __future__ import annotations

import torch
from torch.nn import functional

from nasplat.graph.types import Image, Tokens, Vector
from nasplat.ops.layer_mix import DynamicLayerMix, SphereStep
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(5, 6)
LARGE = Tokens(5, 8)


class TestDynamicLayerMix(OpConformance):
    cases = (
        Case(DynamicLayerMix(), TOKENS, TOKENS, TOKENS),
        Case(DynamicLayerMix(streams=4), TOKENS, TOKENS),
        Case(DynamicLayerMix(streams=2), TOKENS),
    )
    refused = (
        Case(DynamicLayerMix(), TOKENS, LARGE),
        Case(DynamicLayerMix(), Vector(6)),
        Case(DynamicLayerMix(streams=0), TOKENS),
        Case(DynamicLayerMix(streams=5), TOKENS),
    )
    larger = ((Case(DynamicLayerMix(), TOKENS), Case(DynamicLayerMix(), LARGE, LARGE)),)
    golden = ((Case(DynamicLayerMix(streams=2), TOKENS, TOKENS), 44, 200),)

    def test_a_new_mix_hands_on_the_first_input(self) -> None:
        x, y = TOKENS.example(2), TOKENS.example(2)
        for stream in DynamicLayerMix(streams=3).module(TOKENS, TOKENS)(x, y):
            torch.testing.assert_close(stream, x)


class TestSphereStep(OpConformance):
    cases = (
        Case(SphereStep(), TOKENS, TOKENS),
        Case(SphereStep(rate=0.5), Image(3, 2, 2), Image(3, 2, 2)),
    )
    refused = (
        Case(SphereStep(), TOKENS),
        Case(SphereStep(), TOKENS, LARGE),
        Case(SphereStep(rate=0), TOKENS, TOKENS),
    )
    larger = ((Case(SphereStep(), TOKENS, TOKENS), Case(SphereStep(), LARGE, LARGE)),)
    golden = ((Case(SphereStep(), TOKENS, TOKENS), 6, 0),)

    def test_the_way_ends_on_the_sphere_nearer_to_the_proposal(self) -> None:
        x, proposal = TOKENS.example(2), TOKENS.example(2)
        y = SphereStep(rate=0.5).module(TOKENS, TOKENS)(x, proposal)
        torch.testing.assert_close(y.norm(dim=-1), torch.ones(2, 5))
        before = functional.cosine_similarity(x, proposal, dim=-1)
        assert (functional.cosine_similarity(y, proposal, dim=-1) > before).all()
