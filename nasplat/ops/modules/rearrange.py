"""Rearrangements of positions and channels, and wavelets; they know nothing of ops.

Shapes: maps are ``(B, C, *axes)``, tokens are ``(B, L, C)``.

References:
    [Daubechies1988] I. Daubechies. Orthonormal bases of compactly supported wavelets. 1988.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from nasplat.ops.modules.resample import fold_positions, unfold_positions

_ROOT = math.sqrt(3)
FILTERS: dict[str, tuple[float, ...]] = {
    "haar": (1 / math.sqrt(2), 1 / math.sqrt(2)),
    "db2": tuple(tap / (4 * math.sqrt(2)) for tap in (1 + _ROOT, 3 + _ROOT, 3 - _ROOT, 1 - _ROOT)),
}
"""Low-pass filters of wavelets [Daubechies1988]."""


class SpaceToDepth(nn.Module):
    """Lay neighbouring positions side by side in the channels, or put them back.

    Args:
        factor: Positions of each axis that go together.
        inverse: Whether they are put back.
        tokens: Whether the input is tokens.
    """

    def __init__(self, factor: int, inverse: bool, tokens: bool) -> None:
        super().__init__()
        self.factor, self.inverse, self.tokens = factor, inverse, tokens

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.tokens:
            # The channels of one token stay together.
            if self.inverse:
                return x.unflatten(2, (self.factor, -1)).flatten(1, 2)
            return x.unflatten(1, (-1, self.factor)).flatten(2)
        if self.inverse:
            return unfold_positions(x, self.factor)
        return fold_positions(x, self.factor)


class Permute(nn.Module):
    """Exchange the axes behind the batch."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = [0, *(axis + 1 for axis in order)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(self.order)


class Unpatchify(nn.Module):
    """Map each token to the positions of a patch and lay the patches out; a second input is not read.

    Args:
        dim: Channels of a token.
        channels: Channels that go out.
        patch: Side of a patch.
        grid: Patches along each axis.
        axes: Positions along each axis; what the patches have more is cut off.
    """

    def __init__(
        self, dim: int, channels: int, patch: int, grid: tuple[int, ...], axes: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.grid, self.axes, self.patch = tuple(grid), tuple(axes), patch
        self.project = nn.Linear(dim, channels * patch ** len(grid))

    def forward(self, x: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
        x = self.project(x).transpose(1, 2).unflatten(2, self.grid)
        x = unfold_positions(x, self.patch)
        for axis, size in enumerate(self.axes):
            x = x.narrow(2 + axis, 0, size)
        return x


class WaveletTransform(nn.Module):
    """An orthonormal wavelet transform of every axis, on a ring, or its inverse.

    Each level halves all axes and gives every channel ``2 ** rank`` bands, side by side, the low-pass
    band first; the next level transforms all of them.

    Args:
        levels: How many times.
        basis: ``"haar"`` or ``"db2"``.
        inverse: Whether it is undone.
        rank: Number of position axes.
    """

    def __init__(self, levels: int, basis: str, inverse: bool, rank: int) -> None:
        super().__init__()
        self.levels, self.inverse, self.rank = levels, inverse, rank
        self.low = FILTERS[basis]
        # The high-pass filter is the low-pass one backwards with every other sign turned.
        self.high = tuple((-1) ** tap * value for tap, value in enumerate(reversed(self.low)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.levels):
            for axis in range(self.rank):
                at = 2 + (self.rank - 1 - axis if self.inverse else axis)
                x = self._join(x, at) if self.inverse else self._part(x, at)
        return x

    def _part(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        even, odd = x.unflatten(axis, (-1, 2)).unbind(axis + 1)
        bands = []
        for taps in (self.low, self.high):
            band = taps[0] * even + taps[1] * odd
            if len(taps) > 2:
                band = band + taps[2] * even.roll(-1, axis) + taps[3] * odd.roll(-1, axis)
            bands.append(band)
        return torch.stack(bands, 2).flatten(1, 2)

    def _join(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        low, high = x.unflatten(1, (-1, 2)).unbind(2)
        even = self.low[0] * low + self.high[0] * high
        odd = self.low[1] * low + self.high[1] * high
        if len(self.low) > 2:
            even = even + (self.low[2] * low + self.high[2] * high).roll(1, axis)
            odd = odd + (self.low[3] * low + self.high[3] * high).roll(1, axis)
        return torch.stack([even, odd], axis + 1).flatten(axis, axis + 1)
