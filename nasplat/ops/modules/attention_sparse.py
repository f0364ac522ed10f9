"""Attention in which each query sees a part of the keys that its content chooses; they know nothing of ops.

Shapes: ``B`` batch, ``N`` positions, ``h`` heads, ``d`` width of a head.

References:
    [Chen2023] X. Chen et al. Learning a sparse transformer network for effective image deraining. CVPR 2023.
    [Ouyang2025] H. Ouyang et al. ChunkLLM: a lightweight pluggable framework for accelerating LLMs
        inference. 2025.
    [Ren2021] H. Ren et al. Combiner: full attention transformer with sparse computation cost. NeurIPS 2021.
    [Shi2024] D. Shi. TransNeXt: robust foveal visual perception for vision transformers. CVPR 2024.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.attention_window import Partition
from nasplat.ops.modules.heads import HeadProjection, Rotary, allowed, closed, share_heads


def keep_greatest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Softmax over the ``count`` greatest scores of the last axis; ties stay in."""
    least = scores.topk(count, -1).values[..., -1:]
    return scores.masked_fill(scores < least, float("-inf")).softmax(-1)


class TopKAttention(HeadProjection):
    """Every query sees only the keys that score best.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        axes: Length of every position axis.
        counts: How many keys are kept; several are tried, and learned numbers weigh them [Chen2023].
        over_channels: Whether channels of a head attend to each other, else positions.
        causal: Whether no key that comes later is seen.
        rotated: Channels of a head that are rotated by position; 0: none.
        rotary_base: Base of the wave lengths.
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
        counts: tuple[int, ...],
        over_channels: bool,
        causal: bool,
        rotated: int,
        rotary_base: float,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.counts = counts
        self.share: nn.Parameter | None = None
        if len(counts) > 1:
            self.share = nn.Parameter(torch.full((len(counts),), 1.0 / len(counts)))
        self.temperature: nn.Parameter | None = None
        if over_channels:
            self.temperature = nn.Parameter(torch.ones(heads))
        self.rotary: nn.Module | None = None
        if rotated:
            self.rotary = Rotary(axes, rotated, rotary_base)
        fixed = closed(allowed("causal", math.prod(axes), 0, 1)) if causal else None
        self.register_buffer("closed", fixed, persistent=False)

    def _weights(self, scores: torch.Tensor) -> torch.Tensor:
        if self.share is None:
            return keep_greatest(scores, self.counts[0])
        parts = [
            keep_greatest(scores, count) * share
            for count, share in zip(self.counts, self.share, strict=True)
        ]
        return torch.stack(parts).sum(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self.rows(self.query(x), self.heads)
        key, value = self.rows(self.key(x), self.kv_heads), self.rows(self.value(x), self.kv_heads)
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        key, value = share_heads(key, self.heads), share_heads(value, self.heads)
        if self.temperature is not None:
            query, key = functional.normalize(query, dim=2), functional.normalize(key, dim=2)
            scores = torch.matmul(query.transpose(2, 3), key) * self.temperature.view(-1, 1, 1)
            weights = self._weights(scores)
            return self.merged_rows(torch.matmul(value, weights.transpose(2, 3)), x)
        scores = torch.matmul(query / math.sqrt(query.shape[3]), key.transpose(2, 3))
        if self.closed is not None:
            scores = scores + self.closed
        return self.merged_rows(torch.matmul(self._weights(scores), value), x)


class BlockSparseAttention(HeadProjection):
    """Every block of queries sees some blocks of keys, always its own.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        axes: Length of every position axis.
        block: Positions of a block.
        chosen: Blocks of keys that a block of queries sees.
        select: ``score``: those whose mean key scores best with the mean query; ``chunk_adapter``: the
            same with projections made for it, whose scores also weigh the keys [Ouyang2025]; ``fixed``:
            evenly spread ones.
        adapter: Width of a head of the adapter.
        causal: Whether no key that comes later is seen.
        rotated: Channels of a head that are rotated by position; 0: none.
        rotary_base: Base of the wave lengths.
    """

    place: torch.Tensor
    ahead: torch.Tensor
    fixed: torch.Tensor | None

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
        block: int,
        chosen: int,
        select: str,
        adapter: int,
        causal: bool,
        rotated: int,
        rotary_base: float,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.length, self.block, self.chosen = math.prod(axes), block, chosen
        self.count = -(-self.length // block)
        self.causal = causal
        self.rotary: nn.Module | None = None
        if rotated:
            self.rotary = Rotary(axes, rotated, rotary_base)
        self.adapter_query: nn.Module | None = None
        self.adapter_key: nn.Module | None = None
        if select == "chunk_adapter":
            self.adapter_query = nn.Linear(head_dim, adapter, bias=False)
            self.adapter_key = nn.Linear(head_dim, adapter, bias=False)
        place = torch.arange(self.count * block).unflatten(0, (self.count, block))
        self.register_buffer("place", place, persistent=False)
        turn = torch.arange(self.count)
        ahead = torch.zeros(self.count, self.count).fill_diagonal_(float("inf"))
        if causal:
            ahead = ahead.masked_fill(turn > turn.unsqueeze(1), float("-inf"))
        self.register_buffer("ahead", ahead, persistent=False)
        fixed = torch.tensor(self._spread()) if select == "fixed" else None
        self.register_buffer("fixed", fixed, persistent=False)

    def _spread(self) -> list[list[int]]:
        """For each block its own and evenly spread others; where too few are allowed, later ones."""
        rows = []
        for own in range(self.count):
            others = [turn for turn in range(own if self.causal else self.count) if turn != own]
            few = min(self.chosen - 1, len(others))
            picked = [others[step * (len(others) - 1) // max(1, few - 1)] for step in range(few)]
            later = [turn for turn in range(self.count) if turn not in (own, *others)]
            rows.append([own, *picked, *later[: self.chosen - 1 - few]])
        return rows

    def _blocks(self, x: torch.Tensor) -> torch.Tensor:
        """From ``(B, h, N, d)`` to ``(B, h, count, block, d)``."""
        spare = self.count * self.block - self.length
        if spare:
            x = functional.pad(x, (0, 0, 0, spare))
        return x.unflatten(2, (self.count, self.block))

    def _choose(self, query: torch.Tensor, key: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Which blocks of keys each block of queries sees, ``(B, h, count, chosen)``, and their scores.

        Under a causal mask the first query of a block stands for it, for the others come later, and the
        own block is not scored.
        """
        query, key = query[:, :, :, 0] if self.causal else query.mean(3), key.mean(3)
        if self.adapter_query is not None and self.adapter_key is not None:
            query, key = self.adapter_query(query), self.adapter_key(key)
        scores = torch.matmul(query / math.sqrt(query.shape[3]), key.transpose(2, 3))
        if self.causal:
            scores = scores.masked_fill(self.ahead == float("inf"), 0.0)
        index = (scores + self.ahead).topk(self.chosen, 3).indices
        return index, scores.gather(3, index)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self.rows(self.query(x), self.heads)
        key, value = self.rows(self.key(x), self.kv_heads), self.rows(self.value(x), self.kv_heads)
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        query, key, value = (
            self._blocks(share_heads(item, self.heads)) for item in (query, key, value)
        )
        batch, heads, count, block, width = query.shape
        if self.fixed is None:
            index, scores = self._choose(query, key)
        else:
            index = self.fixed.expand(batch, heads, count, self.chosen)
            scores = torch.zeros_like(index, dtype=query.dtype)
        # One row for each block: its positions and channels side by side.
        rows = (
            index.flatten(2).unsqueeze(3).expand(batch, heads, count * self.chosen, block * width)
        )
        seen = (batch, heads, count, self.chosen * block, width)
        key = key.flatten(3).gather(2, rows).reshape(seen)
        value = value.flatten(3).gather(2, rows).reshape(seen)
        place = (index.unsqueeze(4) * block + self.place[0]).flatten(3).unsqueeze(3)
        hidden = place >= self.length
        if self.causal:
            hidden = hidden | (place > self.place.unsqueeze(2))
        added = torch.zeros_like(hidden, dtype=query.dtype)
        if self.adapter_query is not None:
            added = added + scores.repeat_interleave(block, 3).unsqueeze(3)
        added = added.masked_fill(hidden, float("-inf")).expand(-1, -1, -1, block, -1)
        mixed = functional.scaled_dot_product_attention(
            query.flatten(1, 2), key.flatten(1, 2), value.flatten(1, 2), added.flatten(1, 2)
        )
        mixed = mixed.unflatten(1, (heads, count)).flatten(2, 3).narrow(2, 0, self.length)
        return self.merged_rows(mixed, x)


class LocalSummaryAttention(HeadProjection):
    """One softmax over near positions, means of regions and learned keys [Ren2021, Shi2024].

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        axes: As in :class:`Partition`, like ``window``, ``margin`` and ``reach``.
        stride: Side of a region on each axis; its mean key and value stand for it.
        learned: Learned keys, each with a learned value.
        causal: Whether, on one axis, no key that comes later is seen and no region that ends later.
    """

    regions: torch.Tensor
    seen: torch.Tensor

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
        window: tuple[int, ...],
        margin: tuple[int, ...],
        reach: tuple[int, ...],
        stride: tuple[int, ...],
        learned: int,
        causal: bool,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        ones, none = (1,) * len(axes), (0,) * len(axes)
        self.groups = Partition(axes, window, ones, none, margin, reach, causal)
        self.stride = stride
        spare = [-size % step for size, step in zip(axes, stride, strict=True)]
        self.pad = tuple(number for more in reversed(spare) for number in (0, more))
        self.learned_key: nn.Parameter | None = None
        self.learned_value: nn.Parameter | None = None
        if learned:
            self.learned_key = nn.Parameter(0.02 * torch.randn(heads, learned, head_dim))
            self.learned_value = nn.Parameter(0.02 * torch.randn(heads, learned, head_dim))
        size = self._sums(torch.ones(1, 1, *axes))[0, 0]
        self.register_buffer("regions", size, persistent=False)
        side = self.groups.count[0] * window[0]
        end = (torch.arange(size.numel()) + 1) * stride[0]
        open_ = torch.ones(math.prod(self.groups.count), math.prod(window), size.numel()) > 0
        if causal:
            place = torch.arange(side).unflatten(0, (self.groups.count[0], window[0]))
            open_ = end <= place.unsqueeze(2) + 1
        extra = torch.zeros(*open_.shape[:2], learned)
        self.register_buffer("seen", torch.cat([closed(open_), extra], 2), persistent=False)

    def _sums(self, x: torch.Tensor) -> torch.Tensor:
        """Sums of the regions of ``(B, C, *axes)``."""
        if any(self.pad):
            x = functional.pad(x, self.pad)
        for axis, step in enumerate(self.stride):
            x = x.unflatten(2 + axis, (-1, step)).sum(3 + axis)
        return x

    def _all(
        self, x: torch.Tensor, learned: torch.Tensor | None, local: torch.Tensor
    ) -> torch.Tensor:
        """Local keys or values of each group, then those of the regions, then learned ones."""
        groups = local.shape[1] // self.heads
        means = (self._sums(x) / self.regions).flatten(2).unflatten(1, (self.kv_heads, -1))
        means = share_heads(means.transpose(2, 3), self.heads)
        if learned is not None:
            means = torch.cat([means, learned.expand(means.shape[0], -1, -1, -1)], 2)
        means = means.unsqueeze(1).expand(-1, groups, -1, -1, -1).flatten(1, 2)
        return torch.cat([local, means], 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.query(x), self.key(x), self.value(x)
        if not self.rank:
            query, key, value = (item.transpose(1, 2) for item in (query, key, value))
        asked = self.groups.cut(query, self.heads, self.heads, False)
        keys = self.groups.cut(key, self.kv_heads, self.heads, True)
        values = self.groups.cut(value, self.kv_heads, self.heads, True)
        near = self.groups.mask
        if near is None:
            near = torch.zeros(1, 1, keys.shape[2], device=x.device)
        near = near.expand(*self.seen.shape[:2], -1)
        added = torch.cat([near, self.seen], 2).repeat_interleave(self.heads, 0)
        mixed = functional.scaled_dot_product_attention(
            asked,
            self._all(key, self.learned_key, keys),
            self._all(value, self.learned_value, values),
            added.unsqueeze(0),
        )
        joined = self.groups.join(mixed)
        return self.out(joined if self.rank else joined.transpose(1, 2))
