"""Attention that restores resolution keeps the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Series, Tokens, Volume
from nasplat.ops.modules.resample_attention import join_windows, part_windows
from nasplat.ops.resample_attention import AttentionUpsample
from nasplat.testing.ops import Case, OpConformance

COARSE, FINE = Image(6, 4, 3), Image(4, 8, 9)


class TestAttentionUpsample(OpConformance):
    cases = (
        Case(AttentionUpsample(window=2), COARSE, FINE),
        Case(AttentionUpsample(heads=2, bilinear_residual=False), COARSE, FINE),
        Case(AttentionUpsample(), Series(3, 4), Series(2, 8)),
        Case(AttentionUpsample(window=2, heads=2), Volume(3, 1, 2, 4), Volume(2, 2, 4, 4)),
    )
    refused = (
        Case(AttentionUpsample(), COARSE),
        Case(AttentionUpsample(), COARSE, Image(4, 8, 8)),
        Case(AttentionUpsample(), COARSE, Series(4, 8)),
        Case(AttentionUpsample(), Tokens(4, 4), Tokens(8, 4)),
        Case(AttentionUpsample(heads=3), COARSE, FINE),
        Case(AttentionUpsample(window=0), COARSE, FINE),
    )
    larger = (
        (
            Case(AttentionUpsample(), COARSE, FINE),
            Case(AttentionUpsample(), Image(8, 4, 3), Image(8, 8, 9)),
        ),
    )
    golden = ((Case(AttentionUpsample(window=2), COARSE, FINE), 124, 4320),)

    def test_windows_join_to_what_was_cut(self) -> None:
        for shape, window in (((6, 8), (3, 2)), ((8,), (4,)), ((2, 4, 6), (2, 2, 3))):
            x = torch.randn(2, 4, *shape)
            assert torch.equal(join_windows(part_windows(x, window, 2), window, shape), x)

    def test_a_place_reads_its_window_alone(self) -> None:
        module = AttentionUpsample(window=2, bilinear_residual=False).module(COARSE, FINE)
        x, like = COARSE.example(1), FINE.example(1)
        other = x.clone()
        other[:, :, 0, 0] += 1
        changed = ((module(x, like) - module(other, like)).abs() > 1e-7)[0].any(0)
        assert changed.any(1).nonzero().flatten().tolist() == [0, 1, 2, 3]
        assert changed.any(0).nonzero().flatten().tolist() == [0, 1, 2]
