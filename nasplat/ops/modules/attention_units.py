"""Attention within units of an image, ``(B, C, H, W)``, with pooled queries; it knows nothing of ops."""

from __future__ import annotations

import torch
from torch.nn import functional

from nasplat.ops.modules.heads import HeadProjection, share_heads


class UnitAttention(HeadProjection):
    """Positions attend within units; queries are the greatest of their neighbours.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        unit: Height and width of a unit.
        stride: By what the sides of the queries shrink.
        outputs: Channels of the output.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        rank: int,
        bias: bool,
        key_bias: bool,
        out_bias: bool,
        unit: tuple[int, int],
        stride: int,
        outputs: int,
    ) -> None:
        super().__init__(
            channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias, outputs=outputs
        )
        self.unit = tuple(unit)
        self.stride = stride

    def _units(self, x: torch.Tensor, heads: int, rows: int, columns: int) -> torch.Tensor:
        """Cut a projected map into units with their positions as rows: ``(B * units, h, N, d)``."""
        x = x.unflatten(3, (-1, columns)).unflatten(2, (-1, rows)).unflatten(1, (heads, -1))
        x = share_heads(x, self.heads)  # (B, h, d, down, rows, right, columns)
        x = x.permute(0, 3, 5, 1, 4, 6, 2).flatten(4, 5)
        return x.flatten(0, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = self.unit
        query = self.query(x)
        if self.stride > 1:
            query = functional.max_pool2d(query, self.stride)
        few, narrow = rows // self.stride, columns // self.stride
        mixed = functional.scaled_dot_product_attention(
            self._units(query, self.heads, few, narrow),
            self._units(self.key(x), self.kv_heads, rows, columns),
            self._units(self.value(x), self.kv_heads, rows, columns),
        )
        down, right = x.shape[2] // rows, x.shape[3] // columns
        mixed = mixed.clone(memory_format=torch.contiguous_format)
        mixed = mixed.unflatten(0, (-1, down, right)).unflatten(4, (few, narrow))
        plane = mixed.permute(0, 3, 6, 1, 4, 2, 5).flatten(5, 6).flatten(3, 4).flatten(1, 2)
        return self.out(plane)
