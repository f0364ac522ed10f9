"""Layers of dense prediction: back to a finer grid, one value for each position, scales that meet.

They know nothing of ops. Maps are ``(B, C, *axes)`` with any number of position axes, tokens ``(B, L, C)``.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

CONVS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
TRANSPOSED: dict[int, type[nn.Module]] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}


def resample(x: torch.Tensor, size: tuple[int, ...], mode: str = "linear") -> torch.Tensor:
    """Maps at other sizes of their grid; unchanged where it has them."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    if mode == "nearest":
        return functional.interpolate(x, size=list(size), mode="nearest")
    return functional.interpolate(x, size=list(size), mode=LINEAR[len(size)], align_corners=False)


def cropped(x: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """The leading part of every position axis."""
    for axis, length in enumerate(size, start=2):
        if x.shape[axis] != length:
            x = x.narrow(axis, 0, length)
    return x


class UpsampleTo(nn.Module):
    """Maps with other channels on a finer grid.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        size: Position axes that go out.
        factors: By how much each axis grows, rounded up; what is too much is cut off.
        mode: ``nearest``, ``linear``, ``pixel_shuffle`` or ``transposed``.
    """

    def __init__(
        self, inputs: int, outputs: int, size: tuple[int, ...], factors: tuple[int, ...], mode: str
    ) -> None:
        super().__init__()
        self.size = tuple(size)
        self.factors = tuple(factors)
        self.mode = mode
        rank, times = len(self.size), 1
        for factor in self.factors:
            times *= factor
        if mode == "transposed":
            self.project = TRANSPOSED[rank](inputs, outputs, self.factors, self.factors)
        else:
            wide = outputs * times if mode == "pixel_shuffle" else outputs
            self.project = CONVS[rank](inputs, wide, 1)

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        y = self.project(x)
        if self.mode == "transposed":
            return cropped(y, self.size)
        if self.mode != "pixel_shuffle":
            return resample(y, self.size, self.mode)
        rank = len(self.size)
        y = y.unflatten(1, (-1, *self.factors))  # (B, C, f.., axes..)
        order = [0, 1]
        for axis in range(rank):
            order += [2 + rank + axis, 2 + axis]
        y = y.permute(order)
        for axis in range(rank):
            y = y.flatten(2 + axis, 3 + axis)
        return cropped(y, self.size)


class PixelHead(nn.Module):
    """A convolution to one value for each class and position, then the size of the answer.

    Args:
        channels: Channels of the features.
        classes: Channels that go out.
        kernel: Odd side of the kernel.
        size: Position axes that go out.
    """

    def __init__(self, channels: int, classes: int, kernel: int, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = tuple(size)
        self.conv = CONVS[len(self.size)](channels, classes, kernel, padding=kernel // 2)

    def forward(self, x: torch.Tensor, *like: torch.Tensor) -> torch.Tensor:
        return resample(self.conv(x), self.size)


class MaskQueryHead(nn.Module):
    """Each query draws a mask and votes for classes; a class at a position is the sum of both.

    Args:
        dim: Channels of the queries.
        channels: Channels of the features.
        classes: Channels that go out.
        size: Position axes that go out.
    """

    def __init__(self, dim: int, channels: int, classes: int, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = tuple(size)
        self.norm = nn.LayerNorm(dim)
        self.vote = nn.Linear(dim, classes)
        self.embed = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, channels))
        self.scale = channels**-0.5

    def forward(self, queries: torch.Tensor, x: torch.Tensor, *like: torch.Tensor) -> torch.Tensor:
        queries = self.norm(queries)
        masks = torch.matmul(self.embed(queries) * self.scale, x.flatten(2)).sigmoid()
        y = torch.matmul(self.vote(queries).transpose(1, 2), masks)
        return resample(y.unflatten(2, x.shape[2:]), self.size)


class ScaleExchange(nn.Module):
    """Every scale takes a linear map of every other one at its own size and adds it.

    Args:
        channels: Channels of each scale.
        sizes: Position axes of each scale.
    """

    def __init__(self, channels: tuple[int, ...], sizes: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.sizes = [tuple(size) for size in sizes]
        self.maps = nn.ModuleDict(
            {
                f"{source}_{target}": CONVS[len(sizes[0])](channels[source], channels[target], 1)
                for target in range(len(channels))
                for source in range(len(channels))
                if source != target
            }
        )

    def forward(self, *scales: torch.Tensor) -> tuple[torch.Tensor, ...]:
        made = []
        for target, own in enumerate(scales):
            total = own
            for source, other in enumerate(scales):
                if source != target:
                    moved = self.maps[f"{source}_{target}"](other)
                    total = total + resample(moved, self.sizes[target])
            made.append(total)
        return tuple(made)


class ScaleAttention(nn.Module):
    """Positions of all scales, each brought to the coarsest grid, attend to each other.

    What each scale finds is brought back to its own grid and added.

    Args:
        channels: Channels of each scale.
        sizes: Position axes of each scale.
        dim: Channels in which they meet; whole heads.
        heads: Number of heads.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        sizes: tuple[tuple[int, ...], ...],
        dim: int,
        heads: int,
    ) -> None:
        super().__init__()
        self.sizes = [tuple(size) for size in sizes]
        self.coarsest = min(self.sizes, key=lambda size: torch.Size(size).numel())
        self.heads = heads
        layer = CONVS[len(self.coarsest)]
        self.enter = nn.ModuleList(layer(width, dim, 1) for width in channels)
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.leave = nn.ModuleList(layer(dim, width, 1) for width in channels)

    def forward(self, *scales: torch.Tensor) -> tuple[torch.Tensor, ...]:
        met = [
            enter(resample(scales[index], self.coarsest)).flatten(2)
            for index, enter in enumerate(self.enter)
        ]
        tokens = torch.cat(met, 2).transpose(1, 2)  # (B, scales * P, dim)
        qkv = self.qkv(self.norm(tokens)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        found = mixed.transpose(1, 2).flatten(2).transpose(1, 2).chunk(len(self.sizes), 2)
        made = []
        for index, leave in enumerate(self.leave):
            back = leave(found[index].unflatten(2, self.coarsest))
            made.append(scales[index] + resample(back, self.sizes[index]))
        return tuple(made)


class ContextGate(nn.Module):
    """Scale and shift each channel by what a learned mean over all positions says.

    Args:
        channels: Number of channels.
        hidden: Width between the mean and the two answers.
        rank: Number of position axes.
    """

    def __init__(self, channels: int, hidden: int, rank: int) -> None:
        super().__init__()
        self.shape = (-1, 2 * channels) + (1,) * rank
        self.look = CONVS[rank](channels, 1, 1)
        self.squeeze = nn.Linear(channels, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.excite = nn.Linear(hidden, 2 * channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.look(x).flatten(2).softmax(2)
        mean = (x.flatten(2) * weights).sum(2)
        asked = self.excite(functional.relu(self.norm(self.squeeze(mean)))).view(self.shape)
        scale, shift = asked.chunk(2, 1)
        return x * scale.sigmoid() + shift


class PoolTo(nn.Module):
    """Means over blocks of ``stride`` along every axis; the last block of an axis may be smaller."""

    def __init__(self, stride: int, rank: int) -> None:
        super().__init__()
        pools: dict[int, type[nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
        self.pool: nn.Module = nn.Identity()
        if stride > 1:
            self.pool = pools[rank](stride, stride, ceil_mode=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(x)


class ScoresToMap(nn.Module):
    """The mean of scores, ``(B, h, N, M)``, over the queries, on a grid of ``M`` positions."""

    def __init__(self, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = tuple(size)

    def forward(self, scores: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return scores.mean(2).unflatten(2, self.size)


class DepthGate(nn.Module):
    """One of several maps for each example, decided by the means of the first input.

    Args:
        channels: Channels of the first input.
        hidden: Width of the gate.
        count: Number of candidates.
        rank: Number of position axes.
    """

    def __init__(self, channels: int, hidden: int, count: int, rank: int) -> None:
        super().__init__()
        self.shape = (-1, 1) + (1,) * rank
        self.gate = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, count))

    def forward(self, x: torch.Tensor, *candidates: torch.Tensor) -> torch.Tensor:
        soft = self.gate(x.flatten(2).mean(2)).softmax(1)
        taken = (soft == soft.amax(1, keepdim=True)).to(soft.dtype)
        weights = (taken / taken.sum(1, keepdim=True) - soft).detach() + soft
        total = torch.zeros_like(candidates[0])
        for number, candidate in enumerate(candidates):
            total = total + weights[:, number].view(self.shape) * candidate
        return total


class PositionGate(nn.Module):
    """Scale each position by a convolution of the mean and the largest of its channels."""

    def __init__(self, kernel: int, rank: int) -> None:
        super().__init__()
        self.conv = CONVS[rank](2, 1, kernel, padding=kernel // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
        return x * self.conv(seen).sigmoid()
