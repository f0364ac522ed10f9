"""Attention that restores resolution: a fine map asks a coarse one.

References:
    [Li2021] Y. Li et al. More than encoder: introducing transformer decoder to upsample. 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType
from nasplat.ops import counts
from nasplat.ops.checks import whole
from nasplat.ops.geometry import maps_in
from nasplat.ops.layout import Maps, axes, positions
from nasplat.ops.mixer_tokens import largest_divisor
from nasplat.ops.modules import resample_attention as modules


@dataclass(frozen=True, kw_only=True)
class AttentionUpsample(Op):
    """The first map on the grid of the second, whose places ask the first in windows [Li2021].

    Every axis of the second is a whole multiple of the first's.

    Attributes:
        window: Side of a window of the coarse map; each axis takes its largest divisor up to this.
        heads: Number of heads; divides the channels of the second map.
        bilinear_residual: Whether a linear map of the coarse map, interpolated, is added.
    """

    window: int = 4
    heads: int = 1
    bilinear_residual: bool = True

    def _maps(self, inputs: Sequence[TensorType]) -> tuple[Maps, Maps]:
        alike = len(inputs) == 2 and all(isinstance(item, Maps) for item in inputs)
        alike = alike and len({(type(item), len(item.sizes)) for item in inputs}) == 1
        expect(alike, self, "takes a coarse and a fine map of one kind", *inputs)
        coarse, fine = (maps_in(self, (item,)) for item in inputs)
        pairs = list(zip(axes(coarse), axes(fine), strict=True))
        whole_factor = all(many % few == 0 for few, many in pairs)
        rule = "needs every axis of the second map to be a multiple of the first's"
        expect(whole_factor, self, rule, *inputs)
        return coarse, fine

    def infer(self, *inputs: TensorType) -> Maps:
        _, fine = self._maps(inputs)
        whole(self, inputs, 1, window=self.window, heads=self.heads)
        rule = f"needs heads to divide the {fine.channels} channels"
        expect(fine.channels % self.heads == 0, self, rule, *inputs)
        return fine

    def _windows(self, coarse: Maps) -> tuple[int, ...]:
        return tuple(largest_divisor(size, self.window) for size in axes(coarse))

    def call(self, *inputs: TensorType) -> Call:
        coarse, fine = self._maps(inputs)
        factor = tuple(many // few for few, many in zip(axes(coarse), axes(fine), strict=True))
        arguments: dict[str, Any] = {
            "coarse": coarse.channels,
            "fine": fine.channels,
            "heads": self.heads,
            "window": self._windows(coarse),
            "axes": axes(fine),
            "factor": factor,
            "residual": self.bilinear_residual,
        }
        return Call(modules.AttentionUpsample, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        coarse, fine = self._maps(inputs)
        met, made = coarse.channels, fine.channels
        seen = 1
        for side in self._windows(coarse):
            seen *= side
        down = counts.pointwise(met, made, positions(coarse))
        up = counts.pointwise(made, made, positions(fine))
        # Scores and sums, each over the places of a window.
        asked = counts.product(positions(fine), seen, made, 2)
        total = up + down + down + up + asked
        return total + (down if self.bilinear_residual else OpCost())
