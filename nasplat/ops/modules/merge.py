"""Layers where paths meet or part; they know nothing of ops.

Shapes: images ``(B, C, H, W)``, tokens ``(B, L, C)``, vectors ``(B, C)``.
"""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.common import make_pointwise


class Add(nn.Module):
    """The sum of all inputs."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
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
        image: Whether the inputs are images, else tokens or vectors.
    """

    def __init__(self, inputs: tuple[int, ...], outputs: int, image: bool) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            make_pointwise(channels, outputs, image, bias=index == 0)
            for index, channels in enumerate(inputs)
        )

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        total = self.parts[0](inputs[0])
        for index, part in enumerate(self.parts):
            if index > 0:
                total = total + part(inputs[index])
        return total


class Gated(nn.Module):
    """A convex sum of all inputs; each channel of each input asks for its share with a linear map.

    Args:
        count: Number of inputs.
        channels: Channels of each.
        image: Whether the inputs are images, else tokens or vectors.
    """

    def __init__(self, count: int, channels: int, image: bool) -> None:
        super().__init__()
        self.gates = nn.ModuleList(make_pointwise(channels, channels, image) for _ in range(count))

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        stacked = torch.stack(inputs, 1)
        asked = [gate(inputs[index]) for index, gate in enumerate(self.gates)]
        return (torch.stack(asked, 1).softmax(1) * stacked).sum(1)


class Split(nn.Module):
    """Cut one axis into parts of the given sizes."""

    def __init__(self, sizes: tuple[int, ...], axis: int) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.axis = axis

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.split(x, self.sizes, self.axis)
