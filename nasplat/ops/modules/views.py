"""One input seen in several ways, and what leads from one view to another; they know nothing of ops."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class FrequencySplit(nn.Module):
    """What varies slowly and the rest: the mean around each position, and the image less that mean."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(kernel, 1, kernel // 2, count_include_pad=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        low = self.pool(x)
        return x - low, low


class ColourSplit(nn.Module):
    """Brightness and the two colour differences of an image in red, green and blue, ``(B, 3, H, W)``."""

    matrix: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        rows = ((0.299, 0.587, 0.114), (-0.14713, -0.28886, 0.436), (0.615, -0.51499, -0.10001))
        self.register_buffer("matrix", torch.tensor(rows), persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mixed = (x.unsqueeze(1) * self.matrix.view(1, 3, 3, 1, 1)).sum(2)
        return mixed[:, :1], mixed[:, 1:]


class Flatten(nn.Module):
    """The mean of a volume, ``(B, C, D, H, W)``, over its first position axis: seen from above."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(2)


class Extrude(nn.Module):
    """An image at every place along the first position axis of a volume."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return x.unsqueeze(2).expand(-1, -1, self.depth, -1, -1)


class Average(nn.Module):
    """The mean of all inputs."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
        return total / len(inputs)


class PhasePosition(nn.Module):
    """Add waves whose amplitudes and phases are read off each token, ``(B, L, C)``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.amplitude = nn.Linear(dim, dim)
        self.phase = nn.Linear(dim, dim)
        self.out = nn.Linear(2 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size, angle = self.amplitude(x), self.phase(x)
        return x + self.out(torch.cat((size * angle.cos(), size * angle.sin()), 2))


class PointEmbed(nn.Module):
    """Points as tokens of groups of neighbours, or spread over the cells of a grid.

    Args:
        dim: Channels that go out.
        form: ``group``, ``voxel`` or ``projection``.
        tokens: Groups that go out.
        neighbours: Points of a group.
        size: Cells along each axis.
    """

    cells: torch.Tensor

    def __init__(
        self, dim: int, form: str, tokens: int, neighbours: int, size: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.form, self.tokens, self.neighbours = form, tokens, neighbours
        self.size = tuple(size)
        self.first = nn.Linear(6 if form == "group" else 3, dim)
        self.second = nn.Linear(dim, dim)
        if form != "group":
            lines = [(torch.arange(side) * 2.0 + 1.0) / side - 1.0 for side in self.size]
            cells = torch.stack(torch.meshgrid(*lines, indexing="ij"), 0).flatten(1)
            self.register_buffer("cells", cells, persistent=False)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(functional.gelu(self.first(x)))

    def _grouped(self, points: torch.Tensor) -> torch.Tensor:
        step = points.shape[1] // self.tokens
        centres = points[:, : step * self.tokens : step]
        apart = (centres.unsqueeze(2) - points.unsqueeze(1)).square().sum(3)  # (B, T, N)
        near = apart.topk(self.neighbours, 2, largest=False).indices
        index = near.flatten(1).unsqueeze(2).expand(-1, -1, 3)
        around = points.gather(1, index).unflatten(1, (self.tokens, self.neighbours))
        centre = centres.unsqueeze(2).expand_as(around)
        return self._features(torch.cat((centre, around - centre), 3)).amax(2)

    def _spread(self, points: torch.Tensor) -> torch.Tensor:
        centred = points - points.mean(1, keepdim=True)
        centred = centred / (centred.abs().amax((1, 2), keepdim=True) + 1e-6)
        places = [centred[:, :, axis] for axis in range(3)]
        if self.form == "projection":
            flat = (places[0].square() + places[1].square()).sqrt()
            rise = torch.atan2(places[2], flat + 1e-6) / (torch.pi / 2)
            places = [rise, torch.atan2(places[1], places[0] + 1e-6) / torch.pi]
        weights: torch.Tensor | None = None
        for axis, place in enumerate(places):
            away = (place.unsqueeze(2) - self.cells[axis]).abs() * (self.size[axis] / 2)
            near = functional.relu(1.0 - away)  # linear interpolation, (B, N, cells)
            weights = near if weights is None else weights * near
        assert weights is not None
        total = torch.matmul(weights.transpose(1, 2), self._features(centred))
        mean = total / (weights.sum(1).unsqueeze(2) + 1e-3)
        return mean.transpose(1, 2).unflatten(2, self.size)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self._grouped(points) if self.form == "group" else self._spread(points)


class VoteHead(nn.Module):
    """Every point votes for where each wanted point is; votes are weighed against each other.

    Args:
        dim: Channels of the token of a point.
        count: Wanted points.
        weighted: Whether votes are weighed, else all points count alike.
    """

    def __init__(self, dim: int, count: int, weighted: bool) -> None:
        super().__init__()
        self.count = count
        self.norm = nn.LayerNorm(dim)
        self.shift = nn.Linear(dim, 3 * count)
        self.weigh = nn.Linear(dim, count) if weighted else None

    def forward(self, tokens: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        tokens = self.norm(tokens)
        votes = points.unsqueeze(2) + self.shift(tokens).unflatten(2, (self.count, 3))
        if self.weigh is None:
            return votes.mean(1)
        return (votes * self.weigh(tokens).softmax(1).unsqueeze(3)).sum(1)
