"""First and last layers of text: from integers to tokens and from tokens to scores; they know nothing of ops.

References:
    [Bojanowski2017] P. Bojanowski et al. Enriching word vectors with subword information. TACL 2017.
    [Pagnoni2024] A. Pagnoni et al. Byte latent transformer. 2024.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


class TokenEmbedding(nn.Module):
    """A learned vector for each integer.

    Args:
        vocabulary: Number of integers.
        dim: Width of a vector.
        scaled: Whether vectors are multiplied by the root of ``dim``.
        levels: Tables; position ``i`` reads table ``i % levels``.
        table: Whether the first table is a second output, ``(B, vocabulary, dim)``.
    """

    offsets: torch.Tensor

    def __init__(self, vocabulary: int, dim: int, scaled: bool, levels: int, table: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(levels * vocabulary, dim)
        nn.init.normal_(self.embedding.weight, std=0.02 if not scaled else 1.0 / math.sqrt(dim))
        self.vocabulary, self.levels, self.table = vocabulary, levels, table
        self.scale = math.sqrt(dim) if scaled else 1.0

    def forward(self, ids: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        if self.levels > 1:
            place = torch.arange(ids.shape[1], device=ids.device)
            ids = ids + (place % self.levels) * self.vocabulary
        x = self.embedding(ids) * self.scale
        if not self.table:
            return x
        weight = self.embedding.weight
        if not torch.is_grad_enabled():
            weight = weight.detach()  # a view of a parameter would ask for gradients even then
        weight = weight[: self.vocabulary]
        return x, weight.unsqueeze(0).expand(ids.shape[0], -1, -1)


class NgramEmbedding(nn.Module):
    """Sums of learned vectors of the groups of integers that end at each position [Bojanowski2017].

    Groups of every length from two are hashed to rows of one table by a polynomial of their integers
    [Pagnoni2024]; before the first position stands zero.

    Args:
        longest: Length of the longest group, at least 2.
        buckets: Rows of the table.
        dim: Width of a vector.
    """

    def __init__(self, longest: int, buckets: int, dim: int) -> None:
        super().__init__()
        self.longest, self.buckets = longest, buckets
        self.embedding = nn.Embedding(buckets, dim)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        total, code = x, ids
        for length in range(2, self.longest + 1):
            back = length - 1
            before = functional.pad(ids, (back, 0))[:, : ids.shape[1]]
            code = (code * 31 + before + length) % self.buckets
            total = total + self.embedding(code)
        return total


class SegmentEmbedding(nn.Module):
    """Add the learned vector of the segment that a position is in.

    Args:
        length: Number of positions.
        dim: Number of channels.
        types: Number of vectors.
        boundary: Positions of the first segment; the rest is the second.
    """

    segment: torch.Tensor

    def __init__(self, length: int, dim: int, types: int, boundary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(types, dim)
        nn.init.normal_(self.embedding.weight, std=0.02)
        segment = (torch.arange(length) >= boundary).long()
        self.register_buffer("segment", segment, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.embedding(self.segment)


class LMHead(nn.Module):
    """Scores of every integer at each position.

    Args:
        dim: Number of channels.
        vocabulary: Number of integers.
        bias: Whether each has a learned shift.
    """

    def __init__(self, dim: int, vocabulary: int, bias: bool) -> None:
        super().__init__()
        self.out = nn.Linear(dim, vocabulary, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(x)


class TiedLMHead(nn.Module):
    """Scores of every integer by the vectors of a table that comes as a second input.

    Args:
        vocabulary: Number of integers.
        bias: Whether each has a learned shift.
    """

    def __init__(self, vocabulary: int, bias: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary)) if bias else None

    def forward(self, x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        scores = torch.matmul(x, table.transpose(1, 2))
        return scores if self.bias is None else scores + self.bias


class EmbeddingHead(nn.Module):
    """One vector for a sequence: pool, map, activate.

    Args:
        channels: Number of channels.
        dim: Width of the vector.
        pool: ``"first"``, ``"last"`` or ``"mean"``.
        activated: Whether a hyperbolic tangent follows.
    """

    def __init__(self, channels: int, dim: int, pool: str, activated: bool) -> None:
        super().__init__()
        self.pool = pool
        self.out = nn.Linear(channels, dim)
        self.activation = nn.Tanh() if activated else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pool == "mean":
            return self.activation(self.out(x.mean(1)))
        return self.activation(self.out(x[:, 0] if self.pool == "first" else x[:, -1]))


class CandidateHead(nn.Module):
    """A score for each segment behind a prefix: the mean of its tokens, mapped to a number.

    Args:
        dim: Number of channels.
        prefix: Positions of the prefix.
        segment: Positions of a segment.
    """

    def __init__(self, dim: int, prefix: int, segment: int) -> None:
        super().__init__()
        self.prefix, self.segment = prefix, segment
        self.out = nn.Linear(dim, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        segments = x[:, self.prefix :].unflatten(1, (-1, self.segment))
        return self.out(segments.mean(2)).squeeze(-1)


class Exits(nn.Module):
    """Hand on the last of several outputs; in training the earlier ones learn from the later.

    In training ``auxiliary_loss`` is ``weight`` times the mean Kullback-Leibler divergence of each output
    from the one after it, which is held still. Otherwise it is ``None``.

    Args:
        weight: Of the loss.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.auxiliary_loss: torch.Tensor | None = None

    def forward(self, *outputs: torch.Tensor) -> torch.Tensor:
        if self.auxiliary_loss is not None:
            self.auxiliary_loss = None
        if self.training and len(outputs) > 1:
            scores = [output.log_softmax(-1) for output in outputs]
            apart = []
            for one, later in pairwise(scores):
                still = later.detach()
                apart.append((still.exp() * (still - one)).sum(-1).mean())
            self.auxiliary_loss = self.weight * torch.stack(apart).mean()
        return outputs[-1]

    def __getstate__(self) -> dict[str, object]:
        """Copies and pickles leave the loss behind: it belongs to the graph of one backward pass."""
        return {**self.__dict__, "auxiliary_loss": None}


class SkipGate(nn.Module):
    """How much each token needs what is between two layers: from 0, skipped, to 1.

    Args:
        dim: Number of channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, 1)
        nn.init.normal_(self.gate.weight, std=0.02)

    def forward(self, x: torch.Tensor, outer: torch.Tensor | None = None) -> torch.Tensor:
        gate = functional.hardsigmoid(3.0 + self.gate(x).squeeze(-1))
        return gate if outer is None else gate * outer


class SkipMerge(nn.Module):
    """What was before a span for tokens that skip it, what comes out of it for the others."""

    def forward(self, x: torch.Tensor, inner: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        return x + gate.unsqueeze(-1) * (inner - x)
