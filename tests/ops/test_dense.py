"""Ops of dense prediction keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Scores, Series, Tokens, Vector, Volume
from nasplat.ops.dense import (
    ContextGate,
    DepthGate,
    MaskQueryHead,
    MultiScaleFusion,
    PixelHead,
    PoolTo,
    PositionGate,
    ScoresToMap,
    UpsampleTo,
)
from nasplat.testing.ops import Case, OpConformance

SMALL, FINE = Image(6, 3, 4), Image(4, 5, 8)


class TestUpsampleTo(OpConformance):
    cases = (
        Case(UpsampleTo(), SMALL, FINE),
        Case(UpsampleTo(mode="nearest", channels=5), SMALL, FINE),
        Case(UpsampleTo(), FINE, SMALL),
        Case(UpsampleTo(mode="pixel_shuffle"), SMALL, FINE),
        Case(UpsampleTo(mode="transposed"), SMALL, FINE),
        Case(UpsampleTo(mode="pixel_shuffle"), Series(6, 3), Series(4, 7)),
        Case(UpsampleTo(mode="transposed"), Volume(6, 2, 3, 2), Volume(4, 4, 5, 3)),
        Case(UpsampleTo(), Volume(6, 2, 3, 2), Volume(4, 4, 5, 3)),
    )
    refused = (
        Case(UpsampleTo(), SMALL),
        Case(UpsampleTo(mode="transposed"), FINE, SMALL),
        Case(UpsampleTo(), SMALL, Series(4, 9)),
        Case(UpsampleTo(channels=0), SMALL, FINE),
        Case(UpsampleTo(mode="x"), SMALL, FINE),
    )
    larger = (
        (Case(UpsampleTo(), SMALL, FINE), Case(UpsampleTo(), Image(8, 3, 4), Image(5, 5, 8))),
    )
    golden = (
        (Case(UpsampleTo(), SMALL, FINE), 28, 288),
        (Case(UpsampleTo(mode="pixel_shuffle"), SMALL, FINE), 112, 1152),
    )


class TestPixelHead(OpConformance):
    cases = (
        Case(PixelHead(classes=3), SMALL),
        Case(PixelHead(classes=3, kernel=3), SMALL, FINE),
        Case(PixelHead(classes=2), Series(4, 5), Series(1, 9)),
        Case(PixelHead(classes=2, kernel=3), Volume(4, 2, 3, 2), Volume(1, 4, 5, 3)),
    )
    refused = (
        Case(PixelHead(classes=3), Vector(4)),
        Case(PixelHead(classes=0), SMALL),
        Case(PixelHead(classes=3, kernel=2), SMALL),
    )
    larger = ((Case(PixelHead(classes=3), SMALL), Case(PixelHead(classes=3, kernel=3), SMALL)),)
    golden = ((Case(PixelHead(classes=3, kernel=3), SMALL, FINE), 165, 1944),)


class TestMaskQueryHead(OpConformance):
    cases = (
        Case(MaskQueryHead(classes=3), Tokens(5, 8), SMALL, FINE),
        Case(MaskQueryHead(classes=3), Tokens(5, 8), SMALL),
        Case(MaskQueryHead(classes=2), Tokens(5, 8), Volume(4, 2, 3, 2), Volume(1, 4, 5, 3)),
    )
    refused = (
        Case(MaskQueryHead(classes=3), SMALL, SMALL),
        Case(MaskQueryHead(classes=3), Tokens(5, 8), Vector(3)),
        Case(MaskQueryHead(classes=0), Tokens(5, 8), SMALL),
    )
    larger = (
        (
            Case(MaskQueryHead(classes=3), Tokens(5, 8), SMALL),
            Case(MaskQueryHead(classes=3), Tokens(7, 12), SMALL),
        ),
    )
    golden = ((Case(MaskQueryHead(classes=3), Tokens(5, 8), SMALL), 169, 1220),)


class TestMultiScaleFusion(OpConformance):
    cases = (
        Case(MultiScaleFusion(heads=2), FINE, SMALL),
        Case(MultiScaleFusion(weighting="conv"), FINE, SMALL, Image(8, 2, 2)),
        Case(MultiScaleFusion(heads=2, head_dim=3), Volume(4, 4, 5, 3), Volume(6, 2, 3, 2)),
    )
    refused = (
        Case(MultiScaleFusion(), FINE),
        Case(MultiScaleFusion(), FINE, Series(3, 4)),
        Case(MultiScaleFusion(weighting="x"), FINE, SMALL),
        Case(MultiScaleFusion(heads=0), FINE, SMALL),
        Case(MultiScaleFusion(head_dim=0), FINE, SMALL),
    )
    larger = (
        (
            Case(MultiScaleFusion(weighting="conv"), FINE, SMALL),
            Case(MultiScaleFusion(weighting="conv"), Image(5, 5, 8), Image(8, 3, 4)),
        ),
    )
    golden = ((Case(MultiScaleFusion(weighting="conv"), FINE, SMALL), 58, 1248),)


class TestContextGate(OpConformance):
    cases = (
        Case(ContextGate(), SMALL),
        Case(ContextGate(reduction=2), Volume(4, 2, 3, 2)),
        Case(ContextGate(), Series(4, 5)),
    )
    refused = (Case(ContextGate(), Vector(4)), Case(ContextGate(reduction=0), SMALL))
    larger = ((Case(ContextGate(), Image(8, 3, 4)), Case(ContextGate(), Image(12, 3, 4))),)
    golden = ((Case(ContextGate(), Image(8, 3, 4)), 79, 144),)


class TestPositionGate(OpConformance):
    cases = (
        Case(PositionGate(), SMALL),
        Case(PositionGate(kernel=3), Volume(4, 2, 3, 2)),
    )
    refused = (Case(PositionGate(), Vector(4)), Case(PositionGate(kernel=2), SMALL))
    larger = ((Case(PositionGate(kernel=3), SMALL), Case(PositionGate(), SMALL)),)
    golden = ((Case(PositionGate(kernel=3), SMALL), 19, 216),)


class TestPoolTo(OpConformance):
    cases = (
        Case(PoolTo(most=4), FINE),
        Case(PoolTo(), FINE),
        Case(PoolTo(most=3), Series(2, 7)),
        Case(PoolTo(most=6), Volume(2, 4, 5, 3)),
    )
    refused = (Case(PoolTo(), Vector(4)), Case(PoolTo(most=0), FINE))
    golden = ((Case(PoolTo(most=4), FINE), 0, 0),)


class TestScoresToMap(OpConformance):
    cases = (Case(ScoresToMap(), Scores(3, 5, 12), SMALL),)
    refused = (
        Case(ScoresToMap(), SMALL),
        Case(ScoresToMap(), Scores(3, 5, 11), SMALL),
    )
    golden = ((Case(ScoresToMap(), Scores(3, 5, 12), SMALL), 0, 0),)


class TestDepthGate(OpConformance):
    cases = (
        Case(DepthGate(hidden=4), SMALL, FINE, FINE, FINE),
        Case(DepthGate(), Volume(4, 2, 3, 2), Volume(6, 2, 3, 2), Volume(6, 2, 3, 2)),
    )
    refused = (
        Case(DepthGate(), SMALL, FINE),
        Case(DepthGate(), SMALL, FINE, SMALL),
        Case(DepthGate(hidden=0), SMALL, FINE, FINE),
    )
    golden = ((Case(DepthGate(hidden=4), SMALL, FINE, FINE, FINE), 43, 36),)


def test_a_depth_gate_hands_on_one_candidate_and_trains_the_gate() -> None:
    case = Case(DepthGate(hidden=4), SMALL, FINE, FINE, FINE)
    module, (x, *candidates) = case.module(), case.examples(4)
    out = module(x, *candidates)
    for example in range(4):
        near = [torch.allclose(out[example], other[example], atol=1e-5) for other in candidates]
        assert sum(near) == 1
    out.square().sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert any(
        parameter.grad.any() for parameter in module.parameters() if parameter.grad is not None
    )
