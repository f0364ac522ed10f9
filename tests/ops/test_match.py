"""Ops that compare features keep the contract of ops, and find what is alike."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Tokens, Vector, Volume
from nasplat.ops.match import CorrelationVolume, MatchingFlow, PrototypeHead
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 3, 4)


class TestCorrelationVolume(OpConformance):
    cases = (
        Case(CorrelationVolume(), Tokens(5, 6), Tokens(7, 6)),
        Case(CorrelationVolume(match="softmax"), SMALL, Tokens(7, 6)),
    )
    refused = (
        Case(CorrelationVolume(), SMALL),
        Case(CorrelationVolume(), SMALL, Tokens(7, 5)),
        Case(CorrelationVolume(match="x"), SMALL, SMALL),
    )
    golden = ((Case(CorrelationVolume(), Tokens(5, 6), Tokens(7, 6)), 0, 210),)


class TestMatchingFlow(OpConformance):
    cases = (Case(MatchingFlow(), SMALL, SMALL), Case(MatchingFlow(), *[Volume(4, 2, 3, 2)] * 2))
    refused = (Case(MatchingFlow(), SMALL), Case(MatchingFlow(), SMALL, Image(6, 3, 5)))
    golden = ((Case(MatchingFlow(), SMALL, SMALL), 0, 1152),)


class TestPrototypeHead(OpConformance):
    cases = (
        Case(PrototypeHead(classes=3), SMALL),
        Case(PrototypeHead(classes=2), Volume(4, 2, 3, 2)),
    )
    refused = (Case(PrototypeHead(classes=3), Vector(4)), Case(PrototypeHead(classes=0), SMALL))
    golden = ((Case(PrototypeHead(classes=3), SMALL), 81, 756),)


def test_a_shifted_pattern_is_found() -> None:
    features = 8 * torch.eye(16).view(1, 16, 4, 4)  # every position has a feature of its own
    shifted = features.roll(1, 3)
    module = Case(MatchingFlow(), Image(16, 4, 4), Image(16, 4, 4)).module()
    flow = module(features, shifted)
    torch.testing.assert_close(flow[0, 1, :, :3], torch.ones(4, 3), atol=1e-2, rtol=0)
    torch.testing.assert_close(flow[0, 0], torch.zeros(4, 4), atol=1e-2, rtol=0)
