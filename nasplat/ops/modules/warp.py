"""Images read at other places than their own; they know nothing of ops. Images are ``(B, C, H, W)``.

Places run from -1 to 1 along both axes, ``x`` before ``y``, and refer to the borders of the image.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


def centres(size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The places of the positions of an image: ``x`` and ``y``, each ``(H, W)``."""
    height, width = size
    y = (torch.arange(height) * 2.0 + 1.0) / height - 1.0
    x = (torch.arange(width) * 2.0 + 1.0) / width - 1.0
    return x.expand(height, width), y.unsqueeze(1).expand(height, width)


def read(image: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The image at places ``(B, H, W)``, interpolated; beyond the border it goes on as at the border."""
    grid = torch.stack((x, y), 3)
    return functional.grid_sample(image, grid, padding_mode="border", align_corners=False)


class PolarWarp(nn.Module):
    """An image about its middle: rows are radii up to the corners, columns are angles; or back again.

    Args:
        size: Height and width.
        inverse: Whether the way leads back.
    """

    x: torch.Tensor
    y: torch.Tensor

    def __init__(self, size: tuple[int, int], inverse: bool) -> None:
        super().__init__()
        x, y = centres(size)
        if inverse:
            angle = torch.atan2(y, x) / math.pi  # -1 to 1
            place = torch.where(angle < 0, angle + 1.0, angle - 1.0)
            radius = torch.sqrt((x * x + y * y) / 2.0) * 2.0 - 1.0
            x, y = place, radius
        else:
            angle, radius = (x + 1.0) * math.pi, (y + 1.0) / math.sqrt(2.0)
            x, y = radius * angle.cos(), radius * angle.sin()
        self.register_buffer("x", x.contiguous(), persistent=False)
        self.register_buffer("y", y.contiguous(), persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        count = image.shape[0]
        return read(image, self.x.expand(count, -1, -1), self.y.expand(count, -1, -1))


class AffineWarp(nn.Module):
    """An image after a shift, turn and stretch that follow from it; hands on the map as well.

    Args:
        channels: Channels of the image.
        size: Height and width.
        hidden: Channels of the features that the map follows from.
    """

    x: torch.Tensor
    y: torch.Tensor

    def __init__(self, channels: int, size: tuple[int, int], hidden: int) -> None:
        super().__init__()
        x, y = centres(size)
        self.register_buffer("x", x.contiguous(), persistent=False)
        self.register_buffer("y", y.contiguous(), persistent=False)
        self.look = nn.Conv2d(channels, hidden, 3, padding=1)
        self.decide = nn.Linear(3 * hidden, 6)
        nn.init.zeros_(self.decide.weight)
        nn.init.zeros_(self.decide.bias)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = functional.relu(self.look(image))
        moments = [seen.mean((2, 3)), (seen * self.x).mean((2, 3)), (seen * self.y).mean((2, 3))]
        # At most a quarter away from the identity, so that there always is an inverse.
        change = 0.25 * torch.tanh(self.decide(torch.cat(moments, 1))).unflatten(1, (2, 3))
        matrix = change + torch.eye(2, 3, dtype=change.dtype, device=change.device)
        return transformed(image, matrix, self.x, self.y), matrix


class AffineUnwarp(nn.Module):
    """An image after the inverse of a map."""

    x: torch.Tensor
    y: torch.Tensor

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        x, y = centres(size)
        self.register_buffer("x", x.contiguous(), persistent=False)
        self.register_buffer("y", y.contiguous(), persistent=False)

    def forward(self, image: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        a, b, u = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 0, 2]
        c, d, v = matrix[:, 1, 0], matrix[:, 1, 1], matrix[:, 1, 2]
        size = a * d - b * c
        top = torch.stack((d, -b, b * v - d * u), 1)
        low = torch.stack((-c, a, c * u - a * v), 1)
        inverse = torch.stack((top, low), 1) / size.view(-1, 1, 1)
        return transformed(image, inverse, self.x, self.y)


def transformed(
    image: torch.Tensor, matrix: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """The image at the places that ``matrix``, ``(B, 2, 3)``, gives for each position."""
    entry = matrix.unsqueeze(3).unsqueeze(4)
    moved = entry[:, :, 0] * x + entry[:, :, 1] * y + entry[:, :, 2]
    return read(image, moved[:, 0], moved[:, 1])


class FlowWarp(nn.Module):
    """An image at places that a field of shifts, which follows from it, leads to; hands on the field.

    Args:
        channels: Channels of the image.
        size: Height and width.
        hidden: Channels of the features that the field follows from.
    """

    def __init__(self, channels: int, size: tuple[int, int], hidden: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(channels, hidden, 3, padding=1)
        self.decide = nn.Conv2d(hidden, 2, 3, padding=1)
        nn.init.zeros_(self.decide.weight)
        if self.decide.bias is not None:
            nn.init.zeros_(self.decide.bias)
        self.shift = FlowShift(size, 1.0)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        flow = 0.25 * torch.tanh(self.decide(functional.relu(self.look(image))))
        return self.shift(image, flow), flow


class FlowShift(nn.Module):
    """An image at places that are shifted by a field, ``(B, 2, H', W')``, or against it.

    Against it is the inverse up to first order: exact where the field is constant.

    Args:
        size: Height and width of the image; the field is brought to it.
        sign: 1 along the field, -1 against it.
    """

    x: torch.Tensor
    y: torch.Tensor

    def __init__(self, size: tuple[int, int], sign: float) -> None:
        super().__init__()
        x, y = centres(size)
        self.size, self.sign = list(size), sign
        self.register_buffer("x", x.contiguous(), persistent=False)
        self.register_buffer("y", y.contiguous(), persistent=False)

    def forward(self, image: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        if list(flow.shape[2:]) != self.size:
            flow = functional.interpolate(flow, self.size, mode="bilinear", align_corners=False)
        return read(image, self.x + self.sign * flow[:, 0], self.y + self.sign * flow[:, 1])
