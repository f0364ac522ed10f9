"""Attentions with other scores than a softmax of dot products; they know nothing of ops.

Shapes: ``B`` batch, ``N`` positions, ``h`` heads, ``d`` width of a head. Maps are ``(B, C, *axes)`` with
``rank`` position axes; tokens, ``(B, N, C)``, have rank 0.

References:
    [Shao2025] J. Shao et al. ComplexFormer: disruptively advancing transformer inference ability via
        head-specific complex vector attention. 2025.
    [Liu2022] J. Liu et al. EcoFormer: energy-saving attention with linear complexity. NeurIPS 2022.
    [Yu2023] Y. Yu et al. White-box transformers via sparse rate reduction. NeurIPS 2023.
    [Csordas2024] R. Csordas et al. SwitchHead: accelerating transformers with mixture-of-experts attention.
        NeurIPS 2024.
    [Hua2022] W. Hua et al. Transformer quality in linear time. ICML 2022.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.heads import (
    HeadProjection,
    Rotary,
    allowed,
    attend,
    closed,
    share_heads,
    split_rows,
)


class ComplexAttention(HeadProjection):
    """Pairs of channels are complex numbers whose lengths multiply and whose angles turn [Shao2025].

    The score of a pair is ``|q| |k| cos(a (angle(q) - angle(k)) + b + (m - n) w)`` of positions m and n: an
    adapted difference of angles beside that of positions.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``; heads are of even width.
        length: Number of positions.
        per_head: Whether each head adapts angles by numbers of its own, else all by the same.
        causal: Whether no key that comes later is seen.
        base: Base of the wave lengths of the positions.
    """

    turn: torch.Tensor
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
        length: int,
        per_head: bool,
        causal: bool,
        base: float,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.angle_scale = nn.Parameter(torch.ones(heads if per_head else 1))
        self.angle_shift = nn.Parameter(torch.zeros(heads if per_head else 1))
        pairs = head_dim // 2
        turn = torch.arange(length).unsqueeze(1) * base ** (-torch.arange(pairs) / pairs)
        self.register_buffer("turn", turn, persistent=False)
        fixed = closed(allowed("causal", length, 0, 1)) if causal else None
        self.register_buffer("closed", fixed, persistent=False)

    def _turned(self, x: torch.Tensor, shift: torch.Tensor | float) -> torch.Tensor:
        """Adapt the angles of ``(B, h, N, d)``, and turn them by position."""
        first, second = x.chunk(2, -1)
        length = (first.square() + second.square() + 1e-12).sqrt()
        angle = torch.atan2(second, first + 1e-6)  # the angle of zero has no gradient
        angle = angle * self.angle_scale.view(-1, 1, 1) + shift + self.turn
        return torch.cat([length * angle.cos(), length * angle.sin()], -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self.rows(self.query(x), self.heads)
        key = share_heads(self.rows(self.key(x), self.kv_heads), self.heads)
        value = share_heads(self.rows(self.value(x), self.kv_heads), self.heads)
        query = self._turned(query, self.angle_shift.view(-1, 1, 1))
        return self.merged_rows(attend(query, self._turned(key, 0.0), value, self.closed), x)


class HashedBinaryAttention(HeadProjection):
    """Queries and keys are hashed to signs; how many agree weighs the values, in linear time [Liu2022].

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        bits: Signs of a code. The gradient passes them as it passes a hyperbolic tangent.
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
        bits: int,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.hash = nn.Linear(head_dim, bits)

    def _code(self, x: torch.Tensor) -> torch.Tensor:
        """Signs, and a last one that makes every product at least zero: ``(B, h, N, bits + 1)``."""
        smooth = self.hash(x).tanh()
        signs = torch.where(smooth >= 0, 1.0, -1.0)
        code = smooth + (signs - smooth).detach()
        return torch.cat([code, torch.full_like(code[..., :1], math.sqrt(code.shape[3]))], 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self._code(self.rows(self.query(x), self.heads))
        key = share_heads(self._code(self.rows(self.key(x), self.kv_heads)), self.heads)
        value = share_heads(self.rows(self.value(x), self.kv_heads), self.heads)
        key = key / key.shape[2]
        total = (query * key.sum(2, keepdim=True)).sum(3, keepdim=True)
        mixed = torch.matmul(query, torch.matmul(key.transpose(2, 3), value))
        return self.merged_rows(mixed / total.clamp_min(1e-6), x)


class SubspaceAttention(nn.Module):
    """Positions are projected to subspaces, attend to each other there, and step along [Yu2023].

    One projection serves as queries, keys and values.

    Args:
        channels: Channels of the input and of the output.
        subspaces: Number of subspaces.
        dim: Width of a subspace.
        rank: Number of position axes behind the channels; 0: the channels are the last axis.
        step: What the output is multiplied by.
    """

    def __init__(self, channels: int, subspaces: int, dim: int, rank: int, step: float) -> None:
        super().__init__()
        self.subspaces, self.rank, self.step = subspaces, rank, step
        self.basis = make_channel_map(channels, subspaces * dim, rank, bias=False)
        self.out = make_channel_map(subspaces * dim, channels, rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        part = split_rows(self.basis(x), self.subspaces, self.rank)
        mixed = attend(part, part, part, None)
        if self.rank:
            mixed = mixed.transpose(2, 3).clone(memory_format=torch.contiguous_format)
            return self.step * self.out(mixed.flatten(1, 2).unflatten(2, x.shape[2:]))
        mixed = mixed.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        return self.step * self.out(mixed.flatten(2))


class MoEAttention(nn.Module):
    """Attention whose projections are mixtures of a few of several experts, head by head [Csordas2024].

    All experts compute; those that are not among the best of a token have no weight.

    Args:
        dim: Channels of a token.
        length: Number of tokens.
        heads: Number of heads.
        head_dim: Width of a head.
        experts: Experts of each routed projection and head.
        top_k: Experts that have weight.
        routed: Which projections have experts: of ``query``, ``value``, ``output``.
        bias: Whether projections without experts have a bias.
        causal: Whether no key that comes later is seen.
        rotated: Channels of a head that are rotated by position; 0: none.
        rotary_base: Base of the wave lengths.
    """

    closed: torch.Tensor | None

    def __init__(
        self,
        dim: int,
        length: int,
        heads: int,
        head_dim: int,
        experts: int,
        top_k: int,
        routed: tuple[str, ...],
        bias: bool,
        causal: bool,
        rotated: int,
        rotary_base: float,
    ) -> None:
        super().__init__()
        self.heads, self.experts, self.top_k = heads, experts, top_k
        inner = heads * head_dim
        self.routers = nn.ModuleDict(
            {name: nn.Linear(dim, heads * experts, bias=False) for name in routed}
        )
        sizes = {name: inner * experts if name in routed else inner for name in ("query", "value")}
        self.query = nn.Linear(dim, sizes["query"], bias=bias and "query" not in routed)
        self.key = nn.Linear(dim, inner, bias=bias)
        self.value = nn.Linear(dim, sizes["value"], bias=bias and "value" not in routed)
        many = inner * experts if "output" in routed else inner
        self.out = nn.Linear(many, dim, bias=bias and "output" not in routed)
        self.rotary: nn.Module | None = None
        if rotated:
            self.rotary = Rotary((length,), rotated, rotary_base)
        fixed = closed(allowed("causal", length, 0, 1)) if causal else None
        self.register_buffer("closed", fixed, persistent=False)

    def _gates(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Weights of the experts of one projection, ``(B, N, h, experts, 1)``."""
        gates = self.routers[name](x).unflatten(2, (self.heads, self.experts)).sigmoid()
        least = gates.topk(self.top_k, 3).values[..., -1:]
        return (gates * (gates >= least)).unsqueeze(4)

    def _project(self, x: torch.Tensor, linear: nn.Module, name: str) -> torch.Tensor:
        """Heads of one projection, ``(B, h, N, d)``."""
        y = linear(x)
        if name not in self.routers:
            return split_rows(y, self.heads, 0)
        each = y.unflatten(2, (self.heads, self.experts, -1))
        return (each * self._gates(x, name)).sum(3).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self._project(x, self.query, "query")
        key = split_rows(self.key(x), self.heads, 0)
        value = self._project(x, self.value, "value")
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        mixed = attend(query, key, value, self.closed).transpose(1, 2)  # (B, N, h, d)
        mixed = mixed.clone(memory_format=torch.contiguous_format)
        if "output" in self.routers:
            mixed = (mixed.unsqueeze(3) * self._gates(x, "output")).flatten(3)
        return self.out(mixed.flatten(2))


class GatedAttentionUnit(nn.Module):
    """One gated layer for attention and feed-forward: chunks attend within, all in linear time [Hua2022].

    Args:
        channels: Channels of the input and of the output.
        length: Number of positions.
        rank: Number of position axes behind the channels; 0: the channels are the last axis.
        inner: Channels of the gates and of the values.
        key_dim: Channels that queries and keys share.
        chunk: Positions of a chunk; the last may be shorter.
        linear: Whether all chunks, or with a causal mask all before, add what they hold in linear time.
        causal: Whether no key that comes later is seen.
    """

    closed: torch.Tensor | None

    def __init__(
        self,
        channels: int,
        length: int,
        rank: int,
        inner: int,
        key_dim: int,
        chunk: int,
        linear: bool,
        causal: bool,
    ) -> None:
        super().__init__()
        self.rank, self.length, self.chunk, self.causal = rank, length, chunk, causal
        self.count = -(-length // chunk)
        self.linear = linear
        self.gate = make_channel_map(channels, inner, rank)
        self.value = make_channel_map(channels, inner, rank)
        self.base = make_channel_map(channels, key_dim, rank)
        self.out = make_channel_map(inner, channels, rank)
        roles = 4 if linear else 2  # queries and keys within chunks, and between them
        self.scale = nn.Parameter(torch.ones(roles, key_dim))
        self.shift = nn.Parameter(torch.zeros(roles, key_dim))
        later = torch.ones(chunk, chunk).tril() if causal else None
        self.register_buffer("closed", later, persistent=False)

    def _chunks(self, x: torch.Tensor) -> torch.Tensor:
        """From a layout of the input to ``(B, count, chunk, channels)``."""
        if self.rank:
            x = x.flatten(2).transpose(1, 2)
        spare = self.count * self.chunk - self.length
        if spare:
            x = functional.pad(x, (0, 0, 0, spare))
        return x.unflatten(1, (self.count, self.chunk))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = self._chunks(functional.silu(self.value(x)))
        base = functional.silu(self.base(x))
        base = base.flatten(2).transpose(1, 2) if self.rank else base
        parts = [base * scale + shift for scale, shift in zip(self.scale, self.shift, strict=True)]
        spare = self.count * self.chunk - self.length
        query, key, *others = (
            functional.pad(part, (0, 0, 0, spare)).unflatten(1, (self.count, self.chunk))
            for part in parts
        )
        scores = functional.relu(torch.matmul(query, key.transpose(2, 3)) / self.chunk).square()
        mixed = torch.matmul(scores if self.closed is None else scores * self.closed, value)
        if self.linear:
            asked, kept = others
            state = torch.matmul(kept.transpose(2, 3), value) / self.length
            if self.causal:
                state = state.cumsum(1) - state
                mixed = mixed + torch.matmul(asked, state)
            else:
                mixed = mixed + torch.matmul(asked, state.sum(1, keepdim=True))
        mixed = mixed.flatten(1, 2).narrow(1, 0, self.length)
        if self.rank:
            mixed = mixed.transpose(1, 2).unflatten(2, x.shape[2:])
        return self.out(functional.silu(self.gate(x)) * mixed)


class ClusteringCrossAttention(nn.Module):
    """Queries gather what belongs to them from positions, each of which may belong to one only.

    Args:
        dim: Channels of the queries.
        context: Channels of the positions.
        context_rank: Their number of position axes behind the channels; 0: tokens.
        heads: Number of heads.
        head_dim: Width of a head.
        bias: Whether queries, keys and values have a bias.
        prototype: Whether each query picks the one position that is most alike and multiplies its key,
            else each position goes to the query that is most alike and values are averaged.
    """

    def __init__(
        self,
        dim: int,
        context: int,
        context_rank: int,
        heads: int,
        head_dim: int,
        bias: bool,
        prototype: bool,
    ) -> None:
        super().__init__()
        self.heads, self.context_rank = heads, context_rank
        inner = heads * head_dim
        self.query = nn.Linear(dim, inner, bias=bias)
        self.key = make_channel_map(context, inner, context_rank, bias)
        self.value: nn.Module | None = None
        self.scale: nn.Parameter | None = None
        if prototype:
            self.scale = nn.Parameter(torch.ones(inner))
        else:
            self.value = make_channel_map(context, inner, context_rank, bias)
        self.out = nn.Linear(inner, dim)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        query = split_rows(self.query(x), self.heads, 0)
        key = split_rows(self.key(y), self.heads, self.context_rank)
        scores = torch.matmul(query / math.sqrt(query.shape[3]), key.transpose(2, 3))
        if self.value is None:
            place = scores.argmax(3, keepdim=True).expand(-1, -1, -1, key.shape[3])
            found = functional.normalize(query, dim=3) * key.gather(2, place)
        else:
            value = split_rows(self.value(y), self.heads, self.context_rank)
            soft = scores.softmax(2)
            turn = torch.arange(x.shape[1], device=x.device).unsqueeze(1)
            hard = (scores.argmax(2, keepdim=True) == turn).to(soft.dtype)
            # Positions are handed out whole; the gradient is that of handing them out in shares.
            share = soft + (hard - soft).detach()
            found = torch.matmul(share, value) / hard.sum(3, keepdim=True).clamp_min(1.0)
        found = found.transpose(1, 2).flatten(2)
        return self.out(found if self.scale is None else found * self.scale)
