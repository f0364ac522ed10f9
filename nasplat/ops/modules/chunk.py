"""Shorter and longer sequences of tokens, by fixed blocks and by learned chunks; they know nothing of ops.

No layer lets a position see a later one, but for the folding of a block, which is why what is made of
blocks is shifted by one before it meets the tokens again.

References:
    [Hwang2025] S. Hwang, B. Wang, A. Gu. Dynamic chunking for end-to-end hierarchical sequence models. 2025.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class FoldTokens(nn.Module):
    """Put the channels of ``block`` neighbouring tokens side by side; the last block is filled with zeros."""

    def __init__(self, block: int) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.pad(x, (0, 0, 0, -x.shape[1] % self.block))
        return x.unflatten(1, (-1, self.block)).flatten(2)


class UnfoldTokens(nn.Module):
    """Cut the channels of every token into ``block`` tokens, of which the first ``length`` stay."""

    def __init__(self, block: int, length: int) -> None:
        super().__init__()
        self.block, self.length = block, length

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self.block, -1)).flatten(1, 2)[:, : self.length]


class ShiftTokens(nn.Module):
    """Move tokens to later positions; a learned token takes the places that become free.

    Args:
        dim: Number of channels.
        by: Positions.
    """

    def __init__(self, dim: int, by: int) -> None:
        super().__init__()
        self.start = nn.Parameter(0.02 * torch.randn(dim))
        self.by = by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        start = self.start.expand(x.shape[0], self.by, -1)
        return torch.cat([start, x[:, : x.shape[1] - self.by]], 1)


def boundaries(probability: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where chunks begin: at probabilities of a half and more, the first ``most`` of them.

    Args:
        probability: That a chunk begins at a token, ``(B, N)``.
        most: Number of chunks that there is room for.

    Returns:
        Marks of 0 and 1, ``(B, N)``, and the number of the chunk of each token, from 0.
    """
    wanted = (probability >= 0.5).to(torch.float32)
    begins = wanted * (wanted.cumsum(1) <= most)
    return begins, (begins.cumsum(1) - 1.0).clamp_min(0.0).long()


class DynamicChunk(nn.Module):
    """The tokens at which chunks begin, where a token and the one before it differ [Hwang2025].

    Gives the tokens of the chunks, ``(B, most, C)``, zero where there is none; which of them there are,
    ``(B, most)``; and the probability that a chunk begins at each token, ``(B, N, 1)``.

    In training ``auxiliary_loss`` pulls the share of tokens that begin a chunk towards ``1 / ratio``.

    Args:
        dim: Number of channels.
        most: Room for chunks.
        ratio: Tokens in a chunk that the loss pulls to, above 1.
        balance: Weight of the loss.
    """

    def __init__(self, dim: int, most: int, ratio: float, balance: float) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.most, self.ratio, self.balance = most, ratio, balance
        self.auxiliary_loss: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        near = functional.cosine_similarity(self.query(x[:, 1:]), self.key(x[:, :-1]), dim=-1)
        probability = functional.pad(0.5 - 0.5 * near, (1, 0), value=1.0)
        begins, _ = boundaries(probability, self.most)
        if self.auxiliary_loss is not None:
            self.auxiliary_loss = None
        if self.training and self.balance:
            share, mean, ratio = begins.mean(), probability.mean(), self.ratio
            even = (ratio - 1.0) * share * mean + (1.0 - share) * (1.0 - mean)
            self.auxiliary_loss = self.balance * ratio / (ratio - 1.0) * even
        length = x.shape[1]
        order = begins * torch.arange(length, 0, -1, device=x.device)
        first, places = order.topk(self.most, 1)
        presence = (first > 0).to(x)
        chunks = x.gather(1, places.unsqueeze(-1).expand(-1, -1, x.shape[2]))
        return chunks * presence.unsqueeze(-1), presence, probability.unsqueeze(-1)

    def __getstate__(self) -> dict[str, object]:
        """Copies and pickles leave the loss behind: it belongs to the graph of one backward pass."""
        return {**self.__dict__, "auxiliary_loss": None}


class DeChunk(nn.Module):
    """Hand every token the state of the chunk it is in [Hwang2025].

    Chunks are smoothed first: a chunk that began with little confidence takes the rest from those before.
    The confidence in whether a token begins a chunk multiplies with the value 1 and its own gradient.

    Args:
        smoothed: Whether chunks are smoothed.
    """

    def __init__(self, smoothed: bool) -> None:
        super().__init__()
        self.smoothed = smoothed

    def forward(self, chunks: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
        chance, most = probability.squeeze(-1), chunks.shape[1]
        begins, number = boundaries(chance, most)
        if self.smoothed:
            chunks = self._smooth(chunks, chance, begins)
        sure = torch.where(begins > 0, chance, 1.0 - chance).unsqueeze(-1)
        spread = chunks.gather(1, number.unsqueeze(-1).expand(-1, -1, chunks.shape[2]))
        return spread * (1.0 + sure - sure.detach())

    @staticmethod
    def _smooth(chunks: torch.Tensor, chance: torch.Tensor, begins: torch.Tensor) -> torch.Tensor:
        most, length = chunks.shape[1], chance.shape[1]
        order = begins * torch.arange(length, 0, -1, device=chunks.device)
        first, places = order.topk(most, 1)
        kept = chance.gather(1, places).clamp(1e-4, 1.0 - 1e-4)
        kept = torch.where(first > 0, kept, torch.full_like(kept, 1e-4))
        # The chunk i weighs kept_i times the product of 1 - kept over the chunks after i up to j.
        passed = torch.log1p(-kept).cumsum(1)
        start = torch.zeros_like(kept)
        start[:, 0] = 1.0
        weight = torch.maximum(kept, start).log().unsqueeze(1) - passed.unsqueeze(1)
        later = torch.ones(most, most, device=chunks.device).triu(1) > 0
        mixed = (weight + passed.unsqueeze(2)).masked_fill(later, float("-inf")).exp()
        return torch.matmul(mixed, chunks)
