"""Attention of queries, keys and values that other layers have projected; it knows nothing of ops."""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.heads import (
    RelativeBias,
    Rotary,
    allowed,
    attend,
    closed,
    share_heads,
    split_rows,
)


class ProjectedAttention(nn.Module):
    """Mix values by the scores of queries with keys; tokens, ``(B, N, h * d)``.

    Args:
        heads: Heads of the queries.
        kv_heads: Heads of keys and values.
        length: Number of positions.
        mask: ``none`` or a form of ``allowed``.
        prefix: Length of the prefix of the mask.
        segment: Length of a segment of the mask.
        rotated: Channels of a head that are rotated by position; 0: none.
        rotary_base: Base of the wave lengths.
        relative_bias: ``none`` or a form of ``RelativeBias``.
    """

    closed: torch.Tensor | None

    def __init__(
        self,
        heads: int,
        kv_heads: int,
        length: int,
        mask: str,
        prefix: int,
        segment: int,
        rotated: int,
        rotary_base: float,
        relative_bias: str,
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads
        self.rotary: nn.Module | None = None
        if rotated:
            self.rotary = Rotary((length,), rotated, rotary_base)
        self.relative_bias: nn.Module | None = None
        if relative_bias != "none":
            self.relative_bias = RelativeBias(relative_bias, heads, (length,), (length,), 64)
        fixed = None if mask == "none" else closed(allowed(mask, length, prefix, segment))
        self.register_buffer("closed", fixed, persistent=False)

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        rows = split_rows(query, self.heads, 0)
        keys, values = split_rows(key, self.kv_heads, 0), split_rows(value, self.kv_heads, 0)
        if self.rotary is not None:
            rows, keys = self.rotary(rows), self.rotary(keys)
        added = self.closed
        if self.relative_bias is not None:
            added = self.relative_bias() if added is None else added + self.relative_bias()
        if added is not None:
            added = added.reshape(1, -1, *added.shape[-2:])
        mixed = attend(rows, share_heads(keys, self.heads), share_heads(values, self.heads), added)
        mixed = mixed.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        return mixed.flatten(2)
