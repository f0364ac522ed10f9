"""Attention between several inputs, or from a few tokens to all; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``N`` positions, ``h`` heads, ``d`` width of a head. Maps are
``(B, C, *axes)`` with ``rank`` position axes; tokens, ``(B, N, C)``, have rank 0.

References:
    [Touvron2021] H. Touvron et al. Going deeper with image transformers. ICCV 2021.
    [Esser2024] P. Esser et al. Scaling rectified flow transformers for high-resolution image synthesis.
        ICML 2024.
    [Zhang2023] H. Zhang et al. FcaFormer: forward cross attention in hybrid vision transformer. ICCV 2023.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import channel_shape
from nasplat.ops.modules.heads import HeadProjection, attend, make_head_norm, share_heads


class ClassAttention(HeadProjection):
    """The first tokens attend to all tokens, and they alone go out [Touvron2021].

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        count: Number of the first tokens.
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
        count: int,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.count = count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        asking = x[:, : self.count]
        key = share_heads(self.rows(self.key(x), self.kv_heads), self.heads)
        value = share_heads(self.rows(self.value(x), self.kv_heads), self.heads)
        mixed = attend(self.rows(self.query(asking), self.heads), key, value, None)
        return self.merged_rows(mixed, asking)


class JointAttention(nn.Module):
    """Two inputs attend to the positions of both [Esser2024].

    Args:
        first: Arguments of the :class:`HeadProjection` of the first input.
        second: Those of the second; ``None``: it shares the first's.
        one_way: Whether the second input sees itself only.
        qk_norm: ``none``, ``rms`` or ``layer``: of queries and keys within each head.
    """

    def __init__(
        self,
        first: dict[str, Any],
        second: dict[str, Any] | None,
        one_way: bool,
        qk_norm: str,
    ) -> None:
        super().__init__()
        self.one_way = one_way
        self.first = HeadProjection(**first)
        self.second = self.first if second is None else HeadProjection(**second)
        self.query_norm = make_head_norm(qk_norm, first["head_dim"])
        self.key_norm = make_head_norm(qk_norm, first["head_dim"])

    def _heads(
        self, part: HeadProjection, x: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values of one input, ``(B, h, N, d)``."""
        query = self.query_norm(part.rows(part.query(x), part.heads))
        key = self.key_norm(part.rows(part.key(x), part.kv_heads))
        value = part.rows(part.value(x), part.kv_heads)
        return query, share_heads(key, part.heads), share_heads(value, part.heads)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        own, other = self._heads(self.first, x), self._heads(self.second, y)
        query, key, value = (torch.cat(pair, 2) for pair in zip(own, other, strict=True))
        length = own[0].shape[2]
        if self.one_way:
            found = attend(own[0], key, value, None)
            return self.first.merged_rows(found, x), self.second.merged_rows(
                attend(*other, None), y
            )
        mixed = attend(query, key, value, None)
        return (
            self.first.merged_rows(mixed[:, :, :length], x),
            self.second.merged_rows(mixed[:, :, length:], y),
        )


class CrossLayerAttention(HeadProjection):
    """Positions attend to each other and to those of earlier maps, each scaled by channel [Zhang2023].

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        sources: Number of earlier maps, of the same layout and channels.
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
        sources: int,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.scale = nn.Parameter(torch.ones(sources, channels))
        self.shape = channel_shape(channels, rank)

    def forward(self, x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        seen = [x]
        seen += [y * scale.view(self.shape) for y, scale in zip(others, self.scale, strict=True)]
        keys = torch.cat([self.rows(self.key(y), self.kv_heads) for y in seen], 2)
        values = torch.cat([self.rows(self.value(y), self.kv_heads) for y in seen], 2)
        mixed = functional.scaled_dot_product_attention(
            self.rows(self.query(x), self.heads),
            share_heads(keys, self.heads),
            share_heads(values, self.heads),
        )
        return self.merged_rows(mixed, x)
