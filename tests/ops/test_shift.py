"""Shifted copies keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Tokens
from nasplat.ops.shift import ShiftedCopies
from nasplat.testing.ops import Case, OpConformance


class TestShiftedCopies(OpConformance):
    cases = (
        Case(ShiftedCopies(), Image(2, 4, 3)),
        Case(ShiftedCopies(shift=2), Image(1, 3, 3)),
    )
    refused = (
        Case(ShiftedCopies(), Tokens(4, 4)),
        Case(ShiftedCopies(shift=0), Image(1, 4, 4)),
    )
    golden = ((Case(ShiftedCopies(), Image(2, 4, 3)), 0, 0),)

    def test_each_copy_has_moved_towards_a_corner(self) -> None:
        image = torch.zeros(1, 1, 3, 3)
        image[0, 0, 1, 1] = 1.0
        copies = ShiftedCopies().module(Image(1, 3, 3))(image)[0]
        at = [tuple(copy.nonzero()[0].tolist()) for copy in copies]
        assert at == [(1, 1), (2, 2), (2, 0), (0, 2), (0, 0)]
