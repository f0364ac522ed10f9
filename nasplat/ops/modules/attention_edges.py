"""Attention taken apart: scores, and keys and values, as tensors of their own; they know nothing of ops.

Shapes: ``B`` batch, ``D`` channels of tokens, ``N`` queries, ``M`` keys, ``h`` heads, ``d`` width of a head.
Tokens are ``(B, N, D)``, scores ``(B, h, N, M)``, keys and values ``(B, 2, h, M, d)``.

References:
    [Shazeer2020] N. Shazeer et al. Talking-heads attention. 2020.
    [Yao2024] Z. Yao et al. Zipformer: a faster and better encoder for automatic speech recognition.
        ICLR 2024.
    [Wang2024] L. Wang et al. CSKV: training-efficient channel shrinking for KV cache in long-context
        scenarios. 2024.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from nasplat.ops.modules.heads import (
    Rotary,
    allowed,
    attend,
    closed,
    normalise,
    occupied,
    share_heads,
    split_rows,
)


def masked(scores: torch.Tensor, normaliser: str, later: torch.Tensor | None) -> torch.Tensor:
    """Normalise scores over the keys; ``later`` is true where a key may not be seen."""
    if later is None:
        return scores if normaliser == "none" else normalise(scores, normaliser)
    if normaliser in ("softmax", "sparsemax"):
        return normalise(scores.masked_fill(later, float("-inf")), normaliser)
    return masked(scores, normaliser, None).masked_fill(later, 0.0)


class AttentionScores(nn.Module):
    """Scores of queries with keys, normalised over the keys.

    Args:
        dim: Channels of the queries' tokens.
        context: Channels of the keys' tokens.
        heads: Number of heads.
        head_dim: Width of a head.
        bias: Whether queries and keys have a bias.
        normaliser: ``softmax``, ``sparsemax``, ``relu``, ``layer_norm`` or ``none``.
        length: Number of queries, with a causal mask that of keys too; ``None``: no mask.
    """

    later: torch.Tensor | None

    def __init__(
        self,
        dim: int,
        context: int,
        heads: int,
        head_dim: int,
        bias: bool,
        normaliser: str,
        length: int | None,
    ) -> None:
        super().__init__()
        self.heads, self.normaliser = heads, normaliser
        self.query = nn.Linear(dim, heads * head_dim, bias=bias)
        self.key = nn.Linear(context, heads * head_dim, bias=bias)
        later = None if length is None else ~allowed("causal", length, 0, 1)
        self.register_buffer("later", later, persistent=False)

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        query = split_rows(self.query(x), self.heads, 0)
        key = split_rows(self.key(x if y is None else y), self.heads, 0)
        scores = torch.matmul(query / math.sqrt(query.shape[3]), key.transpose(2, 3))
        return masked(scores, self.normaliser, self.later)


class ScoresMix(nn.Module):
    """New heads are learned mixtures of the given heads' scores [Shazeer2020].

    Args:
        inputs: Heads that come in.
        outputs: Heads that go out.
        normaliser: As in :class:`AttentionScores`: what follows.
        length: The same.
    """

    later: torch.Tensor | None

    def __init__(self, inputs: int, outputs: int, normaliser: str, length: int | None) -> None:
        super().__init__()
        self.normaliser = normaliser
        self.mix = nn.Conv2d(inputs, outputs, 1, bias=False)
        later = None if length is None else ~allowed("causal", length, 0, 1)
        self.register_buffer("later", later, persistent=False)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return masked(self.mix(scores), self.normaliser, self.later)


class AttentionApply(nn.Module):
    """Mix the values of tokens by given weights.

    Args:
        dim: Channels of the tokens.
        heads: Number of heads of the weights.
        head_dim: Width of a head.
        bias: Whether the projections have a bias.
        nonlinear: Whether values are gated before the mixing, by a hyperbolic tangent, and after it, each
            by a projection of its own [Yao2024]; then there are as many queries as keys.
    """

    def __init__(self, dim: int, heads: int, head_dim: int, bias: bool, nonlinear: bool) -> None:
        super().__init__()
        self.heads = heads
        self.value = nn.Linear(dim, heads * head_dim, bias=bias)
        self.before: nn.Module | None = None
        self.after: nn.Module | None = None
        if nonlinear:
            self.before = nn.Linear(dim, heads * head_dim, bias=bias)
            self.after = nn.Linear(dim, heads * head_dim, bias=bias)
        self.out = nn.Linear(heads * head_dim, dim, bias=bias)

    def forward(self, scores: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        value = self.value(x)
        if self.before is not None:
            value = value * self.before(x).tanh()
        mixed = torch.matmul(scores, split_rows(value, self.heads, 0))
        mixed = mixed.transpose(1, 2).flatten(2)
        return self.out(mixed if self.after is None else mixed * self.after(x))


class KVProjection(nn.Module):
    """Keys and values of tokens, for one or many layers to read.

    Args:
        dim: Channels of the tokens.
        length: Number of tokens.
        heads: Number of heads.
        head_dim: Width of a head.
        bias: Whether keys and values have a bias.
        rank: Channels that each of keys and values passes through [Wang2024]; ``None``: no bottleneck.
        rotated: Channels of a head that keys are rotated by; 0: none.
        rotary_base: Base of the wave lengths.
    """

    def __init__(
        self,
        dim: int,
        length: int,
        heads: int,
        head_dim: int,
        bias: bool,
        rank: int | None,
        rotated: int,
        rotary_base: float,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.key_down: nn.Module | None = None
        self.value_down: nn.Module | None = None
        if rank is not None:
            self.key_down = nn.Linear(dim, rank, bias=False)
            self.value_down = nn.Linear(dim, rank, bias=False)
        self.key = nn.Linear(rank or dim, heads * head_dim, bias=bias)
        self.value = nn.Linear(rank or dim, heads * head_dim, bias=bias)
        self.rotary: nn.Module | None = None
        if rotated:
            self.rotary = Rotary((length,), rotated, rotary_base)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        key = self.key(x if self.key_down is None else self.key_down(x))
        value = self.value(x if self.value_down is None else self.value_down(x))
        key, value = split_rows(key, self.heads, 0), split_rows(value, self.heads, 0)
        if self.rotary is not None:
            key = self.rotary(key)
        return torch.stack([key, value], 1)


class CachedAttention(nn.Module):
    """Tokens attend to keys and values that were made elsewhere.

    Args:
        dim: Channels of the tokens.
        length: Number of tokens.
        keys: Number of keys.
        heads: Number of heads of the queries.
        head_dim: Width of a head, as of the keys.
        bias: Whether queries have a bias.
        out_bias: Whether the output has one.
        causal: Whether no key that comes later is seen; the last query and the last key come together.
        rotated: Channels of a head that queries are rotated by; 0: none.
        rotary_base: Base of the wave lengths.
        recent: With two caches, how many positions back a query reads the first; the second gives what
            lies before that [Wang2024]. ``None``: there is one cache.
        present: Whether the last input, ``(B, M)``, says which keys are occupied.
    """

    closed: torch.Tensor | None
    near: torch.Tensor | None

    def __init__(
        self,
        dim: int,
        length: int,
        keys: int,
        heads: int,
        head_dim: int,
        bias: bool,
        out_bias: bool,
        causal: bool,
        rotated: int,
        rotary_base: float,
        recent: int | None,
        present: bool,
    ) -> None:
        super().__init__()
        self.heads, self.present = heads, present
        self.query = nn.Linear(dim, heads * head_dim, bias=bias)
        self.out = nn.Linear(heads * head_dim, dim, bias=out_bias)
        self.rotary: nn.Module | None = None
        if rotated:
            self.rotary = Rotary((length,), rotated, rotary_base)
        apart = torch.arange(length).unsqueeze(1) + (keys - length) - torch.arange(keys)
        fixed = closed(apart >= 0) if causal else None
        self.register_buffer("closed", fixed, persistent=False)
        near = None if recent is None else (apart >= 0) & (apart < recent)
        self.register_buffer("near", near, persistent=False)

    def forward(self, x: torch.Tensor, *caches: torch.Tensor) -> torch.Tensor:
        query = split_rows(self.query(x), self.heads, 0)
        if self.rotary is not None:
            query = self.rotary(query)
        added = self.closed
        if self.present:
            present = occupied(caches[-1]).expand(-1, 1, x.shape[1], -1)
            added = present if added is None else added + present
        key, value = (share_heads(item, self.heads) for item in caches[0].unbind(1))
        if self.near is None:
            mixed = attend(query, key, value, added)
        else:
            query = query / math.sqrt(query.shape[3])
            old_key, old_value = (share_heads(item, self.heads) for item in caches[1].unbind(1))
            scores = torch.where(
                self.near,
                torch.matmul(query, key.transpose(2, 3)),
                torch.matmul(query, old_key.transpose(2, 3)),
            )
            weights = (scores if added is None else scores + added).softmax(3)
            mixed = torch.matmul(weights * self.near, value)
            mixed = mixed + torch.matmul(weights.masked_fill(self.near, 0.0), old_value)
        mixed = mixed.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        return self.out(mixed.flatten(2))
