"""Layers that fuse by looking at whole inputs, or keep state along depth; they know nothing of ops.

Shapes: maps ``(B, C, *axes)``, tokens ``(B, L, C)``, vectors ``(B, C)``. ``rank`` is the number of position
axes behind the channels, 0 where the channels are the last axis.
"""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.channels import channel_shape, make_channel_map


def channel_means(x: torch.Tensor, rank: int) -> torch.Tensor:
    """The mean of each channel over all positions, ``(B, C)``."""
    if rank:
        return x.flatten(2).mean(2)
    return x.mean(1) if x.dim() == 3 else x


class GroupedLinear(nn.Conv1d):
    """A linear map of vectors ``(B, C)`` in groups of channels that do not meet."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__(inputs, outputs, 1, groups=groups)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.unsqueeze(2)).squeeze(2)


class SelectiveMerge(nn.Module):
    """The sum of all inputs, each channel of each times a share that their pooled sum decides.

    Args:
        count: Number of inputs; with one, its shares are a sigmoid.
        channels: Channels of each.
        squeezed: Channels between the two maps.
        groups: Groups of channels that decide apart.
        rank: Position axes behind the channels.
        norm: Normalisation of the squeezed channels.
    """

    def __init__(
        self, count: int, channels: int, squeezed: int, groups: int, rank: int, norm: str
    ) -> None:
        super().__init__()
        self.rank = rank
        self.shape = channel_shape(channels, rank) if rank else (1, channels)
        self.squeeze = GroupedLinear(channels, squeezed, groups)
        self.norm = nn.BatchNorm1d(squeezed) if norm == "batch" else nn.Identity()
        self.act = nn.ReLU()
        self.excite = nn.ModuleList(GroupedLinear(squeezed, channels, groups) for _ in range(count))

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
        means = self.act(self.norm(self.squeeze(channel_means(total, self.rank))))
        asked = torch.stack([excite(means) for excite in self.excite], 1)  # (B, count, C)
        if len(inputs) == 1:
            return total * self._spread(asked[:, 0].sigmoid(), total)
        shares = asked.softmax(1)
        merged = inputs[0] * self._spread(shares[:, 0], total)
        for index, x in enumerate(inputs):
            if index > 0:
                merged = merged + x * self._spread(shares[:, index], total)
        return merged

    def _spread(self, shares: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return shares if like.dim() == 2 else shares.view(-1, *self.shape)


class SharedGate(SelectiveMerge):
    """The sum of all inputs, each scaled by a sigmoid of its own means through one set of weights.

    Args:
        count: Number of inputs.
        channels: Channels of each.
        squeezed: Channels between the two maps.
        groups: Groups of channels that decide apart.
        rank: Position axes behind the channels.
        norm: Normalisation of the squeezed channels.
    """

    def __init__(
        self, count: int, channels: int, squeezed: int, groups: int, rank: int, norm: str
    ) -> None:
        super().__init__(1, channels, squeezed, groups, rank, norm)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        merged = super().forward(inputs[0])
        for x in inputs[1:]:
            merged = merged + super().forward(x)
        return merged


class AttentionMerge(nn.Module):
    """At each position a softmax over the inputs for each head; the first input asks.

    Args:
        count: Number of inputs.
        channels: Channels of each.
        heads: They divide the channels.
        rank: Position axes behind the channels.
    """

    def __init__(self, count: int, channels: int, heads: int, rank: int) -> None:
        super().__init__()
        self.heads = heads
        self.axis = 1 if rank else -1
        self.scale = (channels // heads) ** -0.5
        self.query = make_channel_map(channels, channels, rank)
        self.keys = nn.ModuleList(make_channel_map(channels, channels, rank) for _ in range(count))
        self.values = nn.ModuleList(
            make_channel_map(channels, channels, rank) for _ in range(count)
        )
        self.out = make_channel_map(channels, channels, rank)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        query = self._heads(self.query(inputs[0]) * self.scale)
        keys = [self._heads(key(inputs[index])) for index, key in enumerate(self.keys)]
        axis = 2 if self.axis == 1 else -1
        scores = torch.stack([(query * key).sum(axis, keepdim=True) for key in keys])
        shares = scores.softmax(0)
        values = [self._heads(value(inputs[index])) for index, value in enumerate(self.values)]
        merged = (shares * torch.stack(values)).sum(0)
        return self.out(merged.flatten(1, 2) if self.axis == 1 else merged.flatten(-2))

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(self.axis, (self.heads, -1))


class RetrievalMerge(nn.Module):
    """Adds to tokens what their channels find in the channels of others: ``(B, L, D), (B, L, E)``.

    Args:
        dim: Channels of the tokens that ask.
        memory: Channels of the tokens that answer.
    """

    def __init__(self, dim: int, memory: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(memory, memory)
        self.value = nn.Linear(memory, memory)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        query = self.query(x).transpose(1, 2) * x.shape[1] ** -0.5
        shares = (query @ self.key(memory)).softmax(-1)  # (B, D, E)
        return x + self.out(self.value(memory) @ shares.transpose(1, 2))


class LayerMemory(nn.Module):
    """Read a memory ``(B, S, E)`` by attention, then write to it: ``x, memory -> x, memory``.

    Args:
        channels: Channels of ``x``.
        memory: Channels of a slot, ``E``.
        maps: Whether ``x`` has its channels first.
        gated: Whether a slot keeps a share of itself, or adds up.
    """

    def __init__(self, channels: int, memory: int, maps: bool, gated: bool) -> None:
        super().__init__()
        self.maps = maps
        self.gated = gated
        self.scale = memory**-0.5
        self.ask = nn.Linear(channels, memory)
        self.tell = nn.Linear(memory, channels)
        self.write_key = nn.Linear(channels, memory)
        self.write_value = nn.Linear(channels, memory)
        if gated:
            self.keep = nn.Linear(memory, memory)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = x.flatten(2).transpose(1, 2) if self.maps else x
        shares = (self.ask(tokens) * self.scale @ memory.transpose(1, 2)).softmax(-1)
        tokens = tokens + self.tell(shares @ memory)
        scores = memory * self.scale @ self.write_key(tokens).transpose(1, 2)
        news = scores.softmax(-1) @ self.write_value(tokens)
        if self.gated:
            keep = self.keep(memory).sigmoid()
            memory = keep * memory + (1 - keep) * news
        else:
            memory = memory + news
        if self.maps:
            return tokens.transpose(1, 2).reshape(x.shape), memory
        return tokens, memory


class ReversibleCoupling(nn.Module):
    """Streams, each shifted in turn by what is learned of the one before; the first by the last.

    Args:
        count: Number of streams.
        channels: Channels of each.
        hidden: Channels inside each shift.
        rank: Position axes behind the channels.
    """

    def __init__(self, count: int, channels: int, hidden: int, rank: int) -> None:
        super().__init__()
        self.shifts = nn.ModuleList(
            nn.Sequential(
                make_channel_map(channels, hidden, rank),
                nn.GELU(),
                make_channel_map(hidden, channels, rank),
            )
            for _ in range(count)
        )

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        streams = list(inputs)
        for index, shift in enumerate(self.shifts):
            streams[index] = streams[index] + shift(streams[index - 1])
        return tuple(streams)

    def inverse(self, *outputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The inputs from which :meth:`forward` made these outputs."""
        streams = list(outputs)
        for index in range(len(streams) - 1, -1, -1):
            streams[index] = streams[index] - self.shifts[index](streams[index - 1])
        return tuple(streams)
