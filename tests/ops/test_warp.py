"""Warps keep the contract of ops, and the way back leads back."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Vector, Weights
from nasplat.ops.modules.warp import AffineUnwarp, AffineWarp, FlowShift, PolarWarp
from nasplat.ops.warp import SpatialTransformer
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(2, 6, 8)


class TestSpatialTransformer(OpConformance):
    cases = (
        Case(SpatialTransformer(), SMALL),
        Case(SpatialTransformer(grid="flow", hidden=4), SMALL),
        Case(SpatialTransformer(grid="polar"), SMALL),
        Case(SpatialTransformer(grid="polar", inverse=True), SMALL),
        Case(SpatialTransformer(grid="flow", inverse=True), SMALL, Image(2, 3, 4)),
        Case(SpatialTransformer(inverse=True), SMALL, Weights(2, 3)),
    )
    refused = (
        Case(SpatialTransformer(), Vector(4)),
        Case(SpatialTransformer(grid="x"), SMALL),
        Case(SpatialTransformer(hidden=0), SMALL),
        Case(SpatialTransformer(inverse=True), SMALL),
        Case(SpatialTransformer(inverse=True), SMALL, Weights(3, 2)),
        Case(SpatialTransformer(grid="flow", inverse=True), SMALL, Image(3, 3, 4)),
    )
    golden = (
        (Case(SpatialTransformer(), SMALL), 302, 7056),
        (Case(SpatialTransformer(grid="flow"), SMALL), 298, 13824),
    )


def smooth(size: int) -> torch.Tensor:
    """An image without detail, so that interpolation costs little."""
    at = torch.linspace(-1, 1, size)
    return (torch.exp(-2 * at[:, None] ** 2) * torch.cos(at[None, :])).expand(1, 1, size, size)


def test_the_inverse_of_an_affine_warp_leads_back() -> None:
    torch.manual_seed(0)
    warp = AffineWarp(1, (32, 32), 4)
    torch.nn.init.normal_(warp.decide.weight)
    image = smooth(32)
    warped, matrix = warp(image)
    back = AffineUnwarp((32, 32))(warped, matrix)
    inside = (slice(None), slice(None), slice(10, 22), slice(10, 22))
    assert (warped - image).abs().max() > 0.02
    torch.testing.assert_close(back[inside], image[inside], atol=0.01, rtol=0)


def test_the_way_from_polar_places_leads_back() -> None:
    image = smooth(64)
    there = PolarWarp((64, 64), inverse=False)(image)
    back = PolarWarp((64, 64), inverse=True)(there)
    assert (there - image).abs().max() > 0.2
    inside = (slice(None), slice(None), slice(4, 60), slice(4, 60))
    torch.testing.assert_close(back[inside], image[inside], atol=0.03, rtol=0)


def test_a_constant_field_is_undone() -> None:
    image, flow = smooth(32), torch.full((1, 2, 8, 8), 0.1)
    there = FlowShift((32, 32), 1.0)(image, flow)
    back = FlowShift((32, 32), -1.0)(there, flow)
    inside = (slice(None), slice(None), slice(6, 26), slice(6, 26))
    torch.testing.assert_close(back[inside], image[inside], atol=0.01, rtol=0)


def test_learned_warps_begin_as_the_identity() -> None:
    for grid in ("affine", "flow"):
        case = Case(SpatialTransformer(grid=grid), SMALL)
        (x,) = case.examples(2)
        torch.testing.assert_close(case.op.module(SMALL)(x)[0], x, atol=1e-4, rtol=1e-4)
