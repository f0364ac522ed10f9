"""Layers where paths meet or part; they know nothing of ops.

Shapes: maps such as images ``(B, C, *axes)``, tokens ``(B, L, C)``, vectors ``(B, C)``. ``rank`` is the
number of position axes behind the channels, 0 where the channels are the last axis.
"""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.channels import channel_shape, make_channel_map


class Add(nn.Module):
    """The sum of all inputs."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
        return total


class WeightedAdd(nn.Module):
    """The sum of all inputs, each times learned numbers.

    Args:
        count: Number of inputs.
        channels: Numbers for each input, one for each channel, or 1.
        rank: Position axes behind the channels.
        normalise: ``none``, ``sum`` (rectified, over their sum) or ``softmax``.
    """

    def __init__(self, count: int, channels: int, rank: int, normalise: str) -> None:
        super().__init__()
        self.normalise = normalise
        self.shape = channel_shape(channels, rank)
        self.scale = nn.Parameter(torch.ones(count, channels))

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        scale: torch.Tensor = self.scale
        if self.normalise == "softmax":
            scale = scale.softmax(0)
        elif self.normalise == "sum":
            scale = scale.relu()
            scale = scale / (scale.sum(0) + 1e-4)
        total = inputs[0] * scale[0].view(self.shape)
        for index, x in enumerate(inputs):
            if index > 0:
                total = total + x * scale[index].view(self.shape)
        return total


class Concat(nn.Module):
    """All inputs side by side on one axis."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(inputs, self.axis)


class ConcatProjection(nn.Module):
    """A linear map of the channels of all inputs side by side.

    It is computed as the sum of one map for each input, which is the same function: each map has
    weights of its own that a wider layer contains as a leading block.

    Args:
        inputs: Channels of each input.
        outputs: Channels that go out.
        rank: Position axes behind the channels.
    """

    def __init__(self, inputs: tuple[int, ...], outputs: int, rank: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            make_channel_map(channels, outputs, rank, bias=index == 0)
            for index, channels in enumerate(inputs)
        )

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        total = self.parts[0](inputs[0])
        for index, part in enumerate(self.parts):
            if index > 0:
                total = total + part(inputs[index])
        return total


class SequenceProjection(nn.Module):
    """All inputs side by side on their first position axis, each after a linear map of its own.

    Args:
        inputs: Channels of each input.
        outputs: Channels that go out.
        rank: Position axes behind the channels; 0: tokens.
    """

    def __init__(self, inputs: tuple[int, ...], outputs: int, rank: int) -> None:
        super().__init__()
        self.axis = 2 if rank else 1
        self.parts = nn.ModuleList(make_channel_map(item, outputs, rank) for item in inputs)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        made = [part(inputs[index]) for index, part in enumerate(self.parts)]
        return torch.cat(made, self.axis)


class Gated(nn.Module):
    """A convex sum of all inputs; each channel of each input asks for its share with a linear map.

    Args:
        count: Number of inputs.
        channels: Channels of each.
        rank: Position axes behind the channels.
    """

    def __init__(self, count: int, channels: int, rank: int) -> None:
        super().__init__()
        self.gates = nn.ModuleList(make_channel_map(channels, channels, rank) for _ in range(count))

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        stacked = torch.stack(inputs, 1)
        asked = [gate(inputs[index]) for index, gate in enumerate(self.gates)]
        return (torch.stack(asked, 1).softmax(1) * stacked).sum(1)


class GatedPair(nn.Module):
    """Two inputs meet through a gate between 0 and 1.

    Args:
        form: ``convex``, ``product`` or ``residual``.
        gate_from: ``first``, ``second`` or ``both``.
        channels: Channels of each.
        rank: Position axes behind the channels.
    """

    def __init__(self, form: str, gate_from: str, channels: int, rank: int) -> None:
        super().__init__()
        self.form = form
        self.gate_from = gate_from
        names = ("first", "second") if gate_from == "both" else (gate_from,)
        self.gates = nn.ModuleDict(
            {name: make_channel_map(channels, channels, rank) for name in names}
        )

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        inputs = {"first": x, "second": y}
        asked = [gate(inputs[name]) for name, gate in self.gates.items()]
        if self.form == "product":
            if self.gate_from == "both":
                return y * asked[0].sigmoid() + x * asked[1].sigmoid()
            return (x if self.gate_from == "second" else y) * asked[0].sigmoid()
        gate = (asked[0] + asked[1] if len(asked) == 2 else asked[0]).sigmoid()
        if self.form == "convex":
            return y + gate * (x - y)
        return x + gate * y


class MutualGates(nn.Module):
    """Two inputs that meet twice, the second time with their roles exchanged.

    Args:
        form: ``convex``, ``product`` or ``residual``.
        gate_from: ``first``, ``second`` or ``both``.
        channels: Channels of each.
        rank: Position axes behind the channels.
    """

    def __init__(self, form: str, gate_from: str, channels: int, rank: int) -> None:
        super().__init__()
        self.one = GatedPair(form, gate_from, channels, rank)
        self.other = GatedPair(form, gate_from, channels, rank)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.one(x, y), self.other(y, x)


class Split(nn.Module):
    """Cut one axis into parts of the given sizes."""

    def __init__(self, sizes: tuple[int, ...], axis: int) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.axis = axis

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.split(x, self.sizes, self.axis)


class Take(nn.Module):
    """The places from ``first`` up to and without ``last`` of one axis."""

    def __init__(self, first: int, last: int, axis: int) -> None:
        super().__init__()
        self.first = first
        self.count = last - first
        self.axis = axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.narrow(self.axis, self.first, self.count)
