"""Attention without a softmax over the positions; they know nothing of ops.

Shapes: ``B`` batch, ``N`` positions, ``h`` heads, ``d`` width of a head, ``f`` features of a query or key.

References:
    [Katharopoulos2020] A. Katharopoulos et al. Transformers are RNNs. ICML 2020.
    [Cai2023] H. Cai et al. EfficientViT: multi-scale linear attention. ICCV 2023.
    [Shen2021] Z. Shen et al. Efficient attention: attention with linear complexities. WACV 2021.
    [Choromanski2021] K. Choromanski et al. Rethinking attention with performers. ICLR 2021.
    [Zhang2024] M. Zhang et al. The hedgehog and the porcupine: expressive linear attentions with softmax
        mimicry. ICLR 2024.
    [Sun2023] Y. Sun et al. Retentive network: a successor to transformer for large language models. 2023.
    [Luo2021] S. Luo et al. Stable, fast and accurate: kernelized attention with relative positional
        encoding. NeurIPS 2021.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.heads import HeadProjection, RelativeBias, share_heads

CHUNK = 64
"""Positions that a causal attention treats at once."""
LEAST = 1e-6
"""Keeps sums of weights from being zero."""


def chunks(length: int) -> tuple[int, int]:
    """How a causal attention divides so many positions: number and size of the chunks."""
    size = min(CHUNK, length)
    return math.ceil(length / size), size


class FeatureMap(nn.Module):
    """Make queries or keys, ``(B, h, N, d)``, positive: ``(B, h, N, f)``.

    Args:
        form: ``relu`` [Cai2023]; ``elu`` plus one [Katharopoulos2020]; ``random``: exponentials of fixed
            random directions, whose products estimate those of softmax [Choromanski2021]; ``learned``: a
            softmax over learned directions and their opposites [Zhang2024].
        head_dim: Width of a head.
        features: Number of random directions.
    """

    directions: torch.Tensor

    def __init__(self, form: str, head_dim: int, features: int) -> None:
        super().__init__()
        self.form = form
        self.linear: nn.Module | None = None
        if form == "learned":
            self.linear = nn.Linear(head_dim, head_dim, bias=False)
        if form == "random":
            self.register_buffer("directions", torch.randn(head_dim, features))

    def forward(self, x: torch.Tensor, everywhere: bool) -> torch.Tensor:
        """``everywhere``: one number for all positions keeps exponentials in range, else one for each."""
        if self.linear is not None:
            y = self.linear(x)
            return torch.cat([y, -y], -1).softmax(-1)
        if self.form == "random":
            x = x / x.shape[-1] ** 0.25
            power = torch.matmul(x, self.directions) - x.square().sum(-1, keepdim=True) / 2.0
            largest = power.detach().amax((-2, -1) if everywhere else -1, keepdim=True)
            return (power - largest).exp() + LEAST
        return functional.elu(x) + 1.0 if self.form == "elu" else functional.relu(x)


class LinearAttention(HeadProjection):
    """Attention whose cost is linear in the positions, but where each offset has a weight of its own.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        axes: Length of every position axis.
        feature_map: A form of :class:`FeatureMap`; or ``softmax``: queries over their channels, keys over
            the positions [Shen2021].
        features: Number of random features.
        causal: Whether no key that comes later is seen.
        offset_weight: ``none``; ``decay``: each head forgets at its own learned rate [Sun2023];
            ``toeplitz``: each offset has a learned weight [Luo2021].
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
        axes: tuple[int, ...],
        feature_map: str,
        features: int,
        causal: bool,
        offset_weight: str,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.feature_map, self.causal = feature_map, causal
        self.query_map = FeatureMap(feature_map, head_dim, features)
        self.key_map = self.query_map
        if feature_map == "learned":
            self.key_map = FeatureMap(feature_map, head_dim, features)
        self.decay: nn.Parameter | None = None
        if offset_weight == "decay":
            # A head that forgets a share s keeps 1 - s, whose logit is log(1 / s - 1).
            share = 2.0 ** -(5.0 + 3.0 * torch.arange(heads) / heads)
            self.decay = nn.Parameter((1.0 / share - 1.0).log())
        self.relative_bias: nn.Module | None = None
        if offset_weight == "toeplitz":
            self.relative_bias = RelativeBias("table", heads, axes, axes, 1)

    def _everywhere(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        """All positions see all: sums of keys and values are made once."""
        key = key / key.shape[2]  # means instead of sums: the same quotient, in the range of halves
        mixed = torch.matmul(query, torch.matmul(key.transpose(2, 3), value))
        total = (query * key.sum(2, keepdim=True)).sum(3, keepdim=True)
        return mixed / (total + LEAST)

    def _pairwise(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Every pair has a weight of its own."""
        scores = torch.matmul(query, key.transpose(2, 3)) * bias.exp()
        if self.causal:
            scores = scores.tril()
        return torch.matmul(scores, value) / (scores.sum(3, keepdim=True) + LEAST)

    def _forwards(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        """Unnormalised sums over earlier positions: within chunks by pairs, between them by states."""
        length = query.shape[2]
        count, size = chunks(length)
        spare = count * size - length
        query, key, value = (
            functional.pad(item, (0, 0, 0, spare)).unflatten(2, (count, size))
            for item in (query, key, value)
        )
        place = torch.arange(size, device=query.device)
        apart = (place.unsqueeze(1) - place).clamp_min(0)
        rate = None if self.decay is None else functional.logsigmoid(self.decay)
        scores = torch.matmul(query, key.transpose(3, 4))
        if rate is not None:
            scores = scores * (rate.view(-1, 1, 1) * apart).exp().unsqueeze(1)
        found = torch.matmul(scores.tril(), value)
        if count > 1:
            if rate is not None:
                slope = rate.view(-1, 1, 1, 1)
                query = query * (slope * (place + 1).unsqueeze(1)).exp()
                key = key * (slope * (size - 1 - place).unsqueeze(1)).exp()
            state = torch.matmul(key.transpose(3, 4), value)
            if rate is None:
                before = state.cumsum(2) - state
            else:
                turn = torch.arange(count, device=query.device)
                between = (turn.unsqueeze(1) - turn - 1).clamp_min(0) * size
                kept = (rate.view(-1, 1, 1) * between).exp().tril(-1)
                before = torch.matmul(kept, state.flatten(3)).unflatten(3, state.shape[3:])
            found = found + torch.matmul(query, before)
        return found.flatten(2, 3).narrow(2, 0, length)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self.rows(self.query(x), self.heads)
        key = self.rows(self.key(x), self.kv_heads)
        value = share_heads(self.rows(self.value(x), self.kv_heads), self.heads)
        if self.feature_map == "softmax":
            query, key = query.softmax(3), share_heads(key.softmax(2), self.heads)
            return self.merged_rows(
                torch.matmul(query, torch.matmul(key.transpose(2, 3), value)), x
            )
        query = self.query_map(query, False)
        key = share_heads(self.key_map(key, True), self.heads)
        if self.relative_bias is not None:
            return self.merged_rows(self._pairwise(query, key, value, self.relative_bias()), x)
        if not self.causal and self.decay is None:
            return self.merged_rows(self._everywhere(query, key, value), x)
        counted = torch.cat([value, torch.ones_like(value[..., :1])], 3)
        key = key / key.shape[2]
        found = self._forwards(query, key, counted)
        if not self.causal:
            back = self._forwards(query.flip(2), key.flip(2), counted.flip(2)).flip(2)
            found = found + back - (query * key).sum(3, keepdim=True) * counted
        width = value.shape[3]
        return self.merged_rows(found[..., :width] / (found[..., width:] + LEAST), x)
