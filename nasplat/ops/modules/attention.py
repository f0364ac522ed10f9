"""Attention over all positions or over the channels; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``N`` positions, ``h`` heads, ``d`` width of a head. Maps are
``(B, C, *axes)`` with ``rank`` position axes; tokens, ``(B, N, C)``, have rank 0: their channels come last.
Queries, keys and values come from projections of their own, so that the leading rows of each belong to
the leading heads. Fewer heads of keys and values than of queries are shared among the queries [Ainslie2023].

References:
    [Ainslie2023] J. Ainslie et al. GQA: training generalized multi-query transformer models. EMNLP 2023.
    [ElNouby2021] A. El-Nouby et al. XCiT: cross-covariance image transformers. NeurIPS 2021.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.heads import (
    HeadProjection,
    RelativeBias,
    Rotary,
    SoftCausal,
    allowed,
    attend,
    closed,
    make_head_norm,
    occupied,
    share_heads,
    split_rows,
)


class SelfAttention(HeadProjection):
    """Every position attends to every other that the mask allows.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        axes: Length of every position axis.
        mask: ``none`` or a form of :func:`allowed`.
        prefix: Length of the prefix of the mask.
        segment: Length of a segment of the mask.
        soft_steps: Forward passes in training until a ``soft_causal`` mask is causal.
        rotated: Channels of a head that are rotated by position; 0: none.
        rotary_base: Base of the wave lengths.
        relative_bias: ``none`` or a form of :class:`RelativeBias`.
        bias_width: Hidden width of the network of an ``mlp`` bias.
        qk_norm: ``none``, ``rms`` or ``layer``: of queries and keys within each head.
        normaliser: ``softmax``, ``sparsemax`` or ``relu``: how scores become weights.
        outputs: Channels of the output; ``None``: ``channels``.

    A second input, ``(B, N)``, says which positions are occupied: only they are seen.
    """

    closed: torch.Tensor | None

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
        axes: tuple[int, ...],
        mask: str = "none",
        prefix: int = 0,
        segment: int = 1,
        soft_steps: int = 1,
        rotated: int = 0,
        rotary_base: float = 10000.0,
        relative_bias: str = "none",
        bias_width: int = 64,
        qk_norm: str = "none",
        normaliser: str = "softmax",
        outputs: int | None = None,
    ) -> None:
        super().__init__(
            channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias, outputs=outputs
        )
        self.normaliser = normaliser
        self.query_norm = make_head_norm(qk_norm, head_dim)
        self.key_norm = make_head_norm(qk_norm, head_dim)
        self.rotary: nn.Module | None = None
        if rotated:
            self.rotary = Rotary(axes, rotated, rotary_base)
        self.relative_bias: nn.Module | None = None
        if relative_bias != "none":
            self.relative_bias = RelativeBias(relative_bias, heads, axes, axes, bias_width)
        length = 1
        for size in axes:
            length *= size
        self.soft: nn.Module | None = None
        fixed = None
        if mask == "soft_causal":
            self.soft = SoftCausal(length, soft_steps)
        elif mask != "none":
            fixed = closed(allowed(mask, length, prefix, segment))
        self.register_buffer("closed", fixed, persistent=False)

    def _added(self, presence: torch.Tensor | None) -> torch.Tensor | None:
        """What is added to the scores, to broadcast to ``(B, h, N, N)``."""
        parts = []
        if self.relative_bias is not None:
            parts.append(self.relative_bias())
        if self.closed is not None:
            parts.append(self.closed)
        if self.soft is not None:
            parts.append(self.soft())
        added = sum(parts[1:], parts[0]) if parts else None
        if presence is None:
            return None if added is None else added.reshape(1, -1, *added.shape[-2:])
        present = occupied(presence)
        return present.expand(-1, 1, presence.shape[1], -1) if added is None else added + present

    def forward(self, x: torch.Tensor, presence: torch.Tensor | None = None) -> torch.Tensor:
        query = self.query_norm(self.rows(self.query(x), self.heads))
        key = self.key_norm(self.rows(self.key(x), self.kv_heads))
        value = self.rows(self.value(x), self.kv_heads)
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        key, value = share_heads(key, self.heads), share_heads(value, self.heads)
        mixed = attend(query, key, value, self._added(presence), self.normaliser)
        return self.merged_rows(mixed, x)


class CrossCovarianceAttention(HeadProjection):
    """Channels of a head attend to each other through their covariance over positions [ElNouby2021].

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        temperature: Whether queries and keys have unit length over the positions and each head learns
            how sharp its scores are; otherwise scores are divided by the root of the positions.
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
        temperature: bool = True,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.temperature: nn.Parameter | None = None
        if temperature:
            self.temperature = nn.Parameter(torch.ones(heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self.columns(self.query(x), self.heads)
        key = share_heads(self.columns(self.key(x), self.kv_heads), self.heads)
        value = share_heads(self.columns(self.value(x), self.kv_heads), self.heads)
        if self.temperature is None:
            scores = torch.matmul(query / math.sqrt(query.shape[3]), key.transpose(2, 3))
        else:
            query, key = functional.normalize(query, dim=3), functional.normalize(key, dim=3)
            scores = torch.matmul(query, key.transpose(2, 3)) * self.temperature.view(-1, 1, 1)
        return self.merged(torch.matmul(scores.softmax(3), value), x)


class CrossAttention(HeadProjection):
    """The first input attends to the positions of all others and adds what it finds.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``context_rank``.
        length: Positions of the first input.
        sources: Number of the others.
        causal: Whether no key that comes later is seen; then the others have as many positions.
        first_only: Whether only the first position of the first input asks; then it is the only one that
            gains, or without ``residual`` the only one that goes out.
        residual: Whether what is found is added to the first input, else it is returned alone.
        present: Whether the last input, ``(B, N)``, says which positions of the others are occupied.
    """

    closed: torch.Tensor | None

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
        context: int,
        context_rank: int,
        length: int,
        sources: int,
        causal: bool,
        first_only: bool,
        residual: bool,
        present: bool,
    ) -> None:
        super().__init__(
            channels,
            heads,
            kv_heads,
            head_dim,
            rank,
            bias,
            key_bias,
            out_bias,
            context,
            context_rank,
        )
        self.first_only, self.residual, self.present = first_only, residual, present
        self.more = length - 1
        fixed = None
        if causal:
            once = allowed("causal", length, 0, 1)
            fixed = closed(torch.cat([once] * sources, 1)[: 1 if first_only else length])
        self.register_buffer("closed", fixed, persistent=False)

    def forward(self, x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        added = self.closed
        if self.present:
            present = occupied(others[-1])
            added = present if added is None else added + present
            others = others[:-1]
        asking = x[:, :1] if self.first_only else x
        query = self.rows(self.query(asking), self.heads)
        keys = [split_rows(self.key(y), self.kv_heads, self.context_rank) for y in others]
        values = [split_rows(self.value(y), self.kv_heads, self.context_rank) for y in others]
        if added is not None and added.dim() == 4:
            added = added.expand(-1, -1, query.shape[2], -1)
        mixed = attend(
            query,
            share_heads(torch.cat(keys, dim=2), self.heads),
            share_heads(torch.cat(values, dim=2), self.heads),
            added,
        )
        found = self.merged_rows(mixed, asking)
        if not self.residual:
            return found
        return x + (functional.pad(found, (0, 0, 0, self.more)) if self.first_only else found)
