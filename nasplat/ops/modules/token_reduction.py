"""Fewer tokens from many, and many from few; they know nothing of ops.

Shapes: ``B`` batch, ``N`` tokens, ``K`` tokens that remain, ``D`` channels. Places are integers, ``(B, K)``.

References:
    [Pan2021] B. Pan et al. IA-RED2: interpretability-aware redundancy reduction for vision transformers.
        NeurIPS 2021.
    [Bolya2023] D. Bolya et al. Token merging: your ViT but faster. ICLR 2023.
    [Zeng2022] W. Zeng et al. Not all tokens are equal: human-centric visual analysis via token clustering
        transformer. CVPR 2022.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def pick(x: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """The rows of ``(B, N, D)`` at ``(B, K)``."""
    return x.gather(1, place.unsqueeze(2).expand(-1, -1, x.shape[2]))


def memberships(place: torch.Tensor, count: int, like: torch.Tensor) -> torch.Tensor:
    """One row for each of ``count`` places with a one for each member: ``(B, count, N)``."""
    turn = torch.arange(count, device=place.device).unsqueeze(1)
    return (place.unsqueeze(1) == turn).to(like.dtype)


class TokenPrune(nn.Module):
    """Keep the tokens that score best, in their order; their places are the second output.

    Args:
        dim: Channels of a token.
        count: How many tokens are kept.
        first: How many of the first tokens are kept in any case.
        score: ``learned``: by a linear map, which learns through the tokens that it keeps [Pan2021];
            ``attention``: by the mean of given weights, ``(B, h, queries, N)``; ``change``: by the
            distance to given tokens, ``(B, N, D)``.
        places: Whether the places go out too.
    """

    def __init__(self, dim: int, count: int, first: int, score: str, places: bool) -> None:
        super().__init__()
        self.count, self.first, self.score, self.places = count, first, score, places
        self.linear: nn.Module | None = None
        if score == "learned":
            self.linear = nn.Linear(dim, 1)

    def forward(
        self, x: torch.Tensor, other: torch.Tensor | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        if self.linear is not None:
            score = self.linear(x).squeeze(2)
            share = score.sigmoid().unsqueeze(2)
            x = x * (1.0 + share - share.detach())  # the factor is 1; only its gradient is not
        elif other is None:
            raise ValueError("tokens are scored by a second input")
        elif self.score == "attention":
            score = other.mean((1, 2))
        else:
            score = (x - other).square().sum(2)
        score = score.detach()
        if self.first:
            certain = torch.full_like(score[:, : self.first], float("inf"))
            score = torch.cat([certain, score[:, self.first :]], 1)
        place = score.topk(self.count, 1).indices.sort(1).values
        kept = pick(x, place)
        return (kept, place) if self.places else kept


class TokenMerge(nn.Module):
    """Merge alike tokens into their mean, until so many remain.

    Args:
        length: Number of tokens.
        count: How many tokens remain.
        first: How many of the first tokens are not merged.
        match: ``bipartite``: each of every other token finds its like among those between, and the best
            pairs merge, in as many rounds as it takes [Bolya2023]; ``cluster``: tokens join the most
            alike mean of equal parts of the sequence, twice; ``knn``: tokens join the nearest of those
            that lie dense and far from denser ones [Zeng2022].
        near: Neighbours that say how dense a token lies.
        members: Whether the place where each token went goes out too.
    """

    def __init__(
        self, length: int, count: int, first: int, match: str, near: int, members: bool
    ) -> None:
        super().__init__()
        self.length, self.count, self.first = length, count, first
        self.match, self.near, self.members = match, near, members

    def _one_round(self, x: torch.Tensor, weight: torch.Tensor, fewer: int) -> torch.Tensor:
        """Where each token goes when ``fewer`` of every other one merge with those between."""
        alike = functional.normalize(x / weight, dim=2)
        even, odd = alike[:, ::2], alike[:, 1::2]
        best = torch.matmul(even, odd.transpose(1, 2)).max(2)
        order = best.values.sort(1, descending=True).indices
        stays = order.sort(1).indices >= fewer  # the rank of each pair, from 0
        stay = even.shape[1] - fewer
        # Even tokens that stay come first, then all odd ones.
        target = torch.where(stays, stays.long().cumsum(1) - 1, best.indices + stay)
        others = torch.arange(odd.shape[1], device=x.device).expand(x.shape[0], -1) + stay
        spare = torch.zeros_like(target[:, : target.shape[1] - others.shape[1]])
        pairs = torch.stack([target, torch.cat([others, spare], 1)], 2)
        return pairs.flatten(1)[:, : x.shape[1]]

    def _bipartite(self, x: torch.Tensor) -> torch.Tensor:
        """Where each token went after all rounds, ``(B, N)``."""
        place = torch.arange(x.shape[1], device=x.device).expand(x.shape[0], -1)
        left = x.shape[1]
        sums, weight = x, torch.ones_like(x[..., :1])
        while left > self.count:
            fewer = min(left - self.count, left // 2)
            target = self._one_round(sums, weight, fewer)
            left -= fewer
            joined = memberships(target, left, x)
            sums, weight = torch.matmul(joined, sums), torch.matmul(joined, weight)
            place = target.gather(1, place)
        return place

    def _clusters(self, x: torch.Tensor) -> torch.Tensor:
        """The nearest mean of each token, ``(B, N)``."""
        turn = torch.arange(x.shape[1], device=x.device)
        place = (turn * self.count // x.shape[1]).expand(x.shape[0], -1)
        alike = functional.normalize(x, dim=2)
        for _ in range(2):
            joined = memberships(place, self.count, x)
            middle = functional.normalize(torch.matmul(joined, x), dim=2)
            place = torch.matmul(alike, middle.transpose(1, 2)).argmax(2)
        return place

    def _densest(self, x: torch.Tensor) -> torch.Tensor:
        """The nearest dense token of each token, ``(B, N)``."""
        size = x.square().sum(2)
        product = torch.matmul(x, x.transpose(1, 2))
        apart = (size.unsqueeze(2) + size.unsqueeze(1) - 2.0 * product).clamp_min(0.0)
        apart = apart / x.shape[2]
        dense = (-apart.topk(self.near, 2, largest=False).values.mean(2)).exp()
        own, other = dense.unsqueeze(2), dense.unsqueeze(1)
        turn = torch.arange(x.shape[1], device=x.device)
        denser = (other > own) | ((other == own) & (turn < turn.unsqueeze(1)))
        far = apart.masked_fill(~denser, float("inf")).amin(2)
        far = torch.minimum(far, apart.amax((1, 2)).unsqueeze(1))
        middle = (dense * far).topk(self.count, 1).indices
        return apart.gather(2, middle.unsqueeze(1).expand(-1, x.shape[1], -1)).argmin(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        begin, rest = x[:, : self.first], x[:, self.first :]
        match = {
            "bipartite": self._bipartite,
            "cluster": self._clusters,
            "knn": self._densest,
        }[self.match]
        place = match(rest.detach())
        joined = memberships(place, self.count, x)
        merged = torch.matmul(joined, rest) / joined.sum(2, keepdim=True).clamp_min(1.0)
        if self.first:
            merged = torch.cat([begin, merged], 1)
            own = torch.arange(self.first, device=x.device).expand(x.shape[0], -1)
            place = torch.cat([own, place + self.first], 1)
        return (merged, place) if self.members else merged


class TokenPool(nn.Module):
    """One token for every few that follow each other; the last may stand for fewer.

    Args:
        dim: Channels of a token.
        length: Number of tokens.
        factor: Tokens that become one.
        mode: ``avg``; ``max``; ``attention``: by learned weights; ``random_pick``: a random one in
            training, later the middle one.
    """

    def __init__(self, dim: int, length: int, factor: int, mode: str) -> None:
        super().__init__()
        self.factor, self.mode = factor, mode
        self.spare = -length % factor
        self.last = factor - self.spare
        self.score: nn.Module | None = None
        if mode == "attention":
            self.score = nn.Linear(dim, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = functional.pad(x, (0, 0, 0, self.spare)).unflatten(1, (-1, self.factor))
        turn = torch.arange(parts.shape[1] * self.factor, device=x.device)
        absent = (turn >= x.shape[1]).unflatten(0, (-1, self.factor)).unsqueeze(2)
        if self.mode == "max":
            return parts.masked_fill(absent, float("-inf")).amax(2)
        if self.mode == "random_pick":
            size = (~absent).sum(1)
            chance = torch.rand(parts.shape[0], parts.shape[1], 1, device=x.device)
            share = chance if self.training else torch.full_like(chance, 0.5)
            place = (share * size).long().unsqueeze(3).expand(-1, -1, 1, x.shape[2])
            return parts.gather(2, place).squeeze(2)
        score = torch.zeros_like(parts[..., :1]) if self.score is None else self.score(parts)
        weight = score.masked_fill(absent, float("-inf")).softmax(2)
        return (parts * weight).sum(2)


class TokenScatter(nn.Module):
    """Put tokens back at their places, and fill the others.

    Args:
        dim: Channels of a token.
        length: Number of tokens that go out.
        fill: ``original``: a third input, ``(B, N, D)``, gives what is missing; ``learned``: one vector
            does; ``zero``; ``broadcast``: the second input, ``(B, N)``, says for each place which token
            goes there.
    """

    def __init__(self, dim: int, length: int, fill: str) -> None:
        super().__init__()
        self.length, self.fill = length, fill
        self.missing: nn.Parameter | None = None
        if fill == "learned":
            self.missing = nn.Parameter(0.02 * torch.randn(dim))

    def forward(
        self, x: torch.Tensor, place: torch.Tensor, original: torch.Tensor | None = None
    ) -> torch.Tensor:
        if self.fill == "broadcast":
            return pick(x, place)
        turn = torch.arange(self.length, device=x.device).unsqueeze(1)
        match = place.unsqueeze(1) == turn  # (B, N, K)
        found = pick(x, match.to(x.dtype).argmax(2))
        absent = ~match.any(2, keepdim=True)
        if original is not None:
            return torch.where(absent, original, found)
        if self.missing is not None:
            return torch.where(absent, self.missing, found)
        return found.masked_fill(absent, 0.0)
