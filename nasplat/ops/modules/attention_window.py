"""Attention within groups of positions: windows, dilated groups, stripes; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``h`` heads, ``d`` width of a head, ``N`` positions of a group. Maps
are ``(B, C, *axes)`` with ``rank`` position axes; tokens, ``(B, length, C)``, have rank 0.

References:
    [Liu2021] Z. Liu et al. Swin Transformer: hierarchical vision transformer using shifted windows. 2021.
    [Wang2022] W. Wang et al. CrossFormer: a versatile vision transformer hinging on cross-scale attention.
        ICLR 2022.
    [Chen2023] X. Chen et al. Activating more pixels in image super-resolution transformer. CVPR 2023.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.heads import HeadProjection, RelativeBias, share_heads


class Partition(nn.Module):
    """Cut projected channels into groups of positions, join them again, and keep strangers apart.

    Each position axis is padded to whole groups. What a mask keeps apart are padding, positions that a
    shift wraps around the border, and places beyond the border that overlapping keys reach.

    Args:
        axes: Length of every position axis.
        window: Positions of a group on each axis, at most its length.
        shift: By how many positions groups are shifted on each axis [Liu2021].
        margin: By how many positions keys reach beyond their group on each side [Chen2023].
        dilated: Whether a group takes positions at equal distances all over an axis [Wang2022], else
            neighbours.
        causal: Whether, of one axis, no key that comes later is seen.
    """

    mask: torch.Tensor | None

    def __init__(
        self,
        axes: tuple[int, ...],
        window: tuple[int, ...],
        shift: tuple[int, ...],
        margin: tuple[int, ...],
        dilated: bool,
        causal: bool,
    ) -> None:
        super().__init__()
        self.axes, self.window, self.dilated = axes, window, dilated
        self.count = tuple(-(-size // side) for size, side in zip(axes, window, strict=True))
        self.shift, self.margin = shift, margin
        self.dims = tuple(range(2, 2 + len(axes)))
        self.back = tuple(-step for step in shift)
        self.spare = tuple(
            count * side - size for count, side, size in zip(self.count, window, axes, strict=True)
        )
        # functional.pad reads its numbers from the last axis to the first.
        self.pad = tuple(number for spare in reversed(self.spare) for number in (0, spare))
        self.keys = tuple(side + 2 * more for side, more in zip(window, margin, strict=True))
        for axis, more in enumerate(margin):
            if more:
                self.register_buffer(f"reach{axis}", self._reach(axis), persistent=False)
        self.register_buffer("mask", self._apart(causal), persistent=False)

    def _reach(self, axis: int) -> torch.Tensor:
        """Where on the padded axis the keys of each group lie, ``(groups * keys,)``, kept inside."""
        count, side, more = self.count[axis], self.window[axis], self.margin[axis]
        first = torch.arange(count).unsqueeze(1) * side - more
        place = (first + torch.arange(side + 2 * more)).flatten()
        return place.clamp(0, count * side - 1)

    def _strangers(self, axis: int) -> torch.Tensor:
        """Which keys of an axis a query may not meet, ``(groups, queries, keys)``."""
        count, side, more = self.count[axis], self.window[axis], self.margin[axis]
        shift = self.shift[axis]
        label = functional.pad(torch.zeros(self.axes[axis]), (0, self.spare[axis]), value=-1.0)
        label = label.roll(-shift)
        if shift:
            label[-shift:] += 2.0 * (label[-shift:] >= 0)
        if self.dilated:
            own = label.unflatten(0, (side, count)).transpose(0, 1)
            return own.unsqueeze(2) != own.unsqueeze(1)
        beyond = functional.pad(label, (more, more), value=-2.0)
        place = torch.arange(count).unsqueeze(1) * side + torch.arange(side + 2 * more)
        others = beyond.index_select(0, place.flatten()).unflatten(0, (count, side + 2 * more))
        return label.unflatten(0, (count, side)).unsqueeze(2) != others.unsqueeze(1)

    def _apart(self, causal: bool) -> torch.Tensor | None:
        """``-inf`` where a query may not meet a key, ``(groups, N, keys)``; ``None`` if all may meet."""
        if not (any(self.shift) or any(self.spare) or any(self.margin) or causal):
            return None
        apart = self._strangers(0)
        for axis in range(1, len(self.axes)):
            more = self._strangers(axis)
            both = apart[:, None, :, None, :, None] | more[None, :, None, :, None, :]
            apart = both.flatten(4).flatten(2, 3).flatten(0, 1)
        if causal:
            place = torch.arange(self.keys[0])
            later = place.unsqueeze(0) - self.margin[0] > place[: self.window[0]].unsqueeze(1)
            apart = apart | later
        return torch.zeros(apart.shape).masked_fill(apart, float("-inf"))

    def cut(self, x: torch.Tensor, heads: int, shared: int, keys: bool) -> torch.Tensor:
        """From ``(B, h * d, *axes)`` to ``(B, groups * shared, N, d)``; ``keys`` reach the margin too."""
        if any(self.pad):
            x = functional.pad(x, self.pad)
        if any(self.shift):
            x = x.roll(self.back, self.dims)
        for axis in reversed(range(len(self.axes))):
            count, side = self.count[axis], self.window[axis]
            if keys and self.margin[axis]:
                x = x.index_select(2 + axis, self.get_buffer(f"reach{axis}"))
                side = self.keys[axis]
            x = x.unflatten(2 + axis, (side, count) if self.dilated else (count, side))
        x = share_heads(x.unflatten(1, (heads, -1)), shared)  # (B, h, d, a0, b0, a1, b1, ...)
        rank, first = len(self.axes), 4 if self.dilated else 3
        outer = range(first, 3 + 2 * rank, 2)
        inner = range(7 - first, 3 + 2 * rank, 2)
        x = x.permute(0, *outer, 1, *inner, 2)
        return x.flatten(2 + rank, 1 + 2 * rank).flatten(1, 1 + rank)

    def join(self, y: torch.Tensor) -> torch.Tensor:
        """Undo :meth:`cut`: from ``(B, groups * h, N, d)`` to ``(B, h * d, *axes)``."""
        rank = len(self.axes)
        y = y.unflatten(2, self.window).unflatten(1, (*self.count, -1))
        order = [0, rank + 1, 2 * rank + 2]
        for axis in range(rank):
            outer, inner = 1 + axis, rank + 2 + axis
            order += [inner, outer] if self.dilated else [outer, inner]
        y = y.permute(order)
        for axis in reversed(range(rank)):
            y = y.flatten(3 + 2 * axis, 4 + 2 * axis)
        y = y.flatten(1, 2)
        if any(self.shift):
            y = y.roll(self.shift, self.dims)
        for axis, spare in enumerate(self.spare):
            if spare:
                y = y.narrow(2 + axis, 0, self.axes[axis])
        return y

    def added(self, bias: torch.Tensor | None, heads: int) -> torch.Tensor | None:
        """What is added to the scores, ``(1, groups * h, N, keys)``: the bias of heads and the mask."""
        total: torch.Tensor | None = None if bias is None else bias.unsqueeze(0)
        if self.mask is not None:
            mask = self.mask.unsqueeze(1)
            total = mask if total is None else total + mask
        if total is None:
            return None
        groups = 1
        for count in self.count:
            groups *= count
        return total.expand(groups, heads, -1, -1).flatten(0, 1).unsqueeze(0)


class WindowAttention(HeadProjection):
    """Positions attend within groups: regular or shifted windows, or dilated groups.

    Padding comes after the projections and is never seen. A whole axis in one group is not shifted.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        axes: As in :class:`Partition`, like all up to ``causal``.
        relative_bias: ``none``, or a form of :class:`RelativeBias`.
        bias_width: Hidden width of the network of an ``mlp`` bias.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        rank: int,
        bias: bool,
        key_bias: bool,
        out_bias: bool,
        axes: tuple[int, ...],
        window: tuple[int, ...],
        shift: tuple[int, ...],
        margin: tuple[int, ...],
        dilated: bool,
        causal: bool,
        relative_bias: str,
        bias_width: int,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.groups = Partition(axes, window, shift, margin, dilated, causal)
        self.relative_bias: nn.Module | None = None
        if relative_bias != "none":
            keys = self.groups.keys
            self.relative_bias = RelativeBias(relative_bias, heads, window, keys, bias_width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.query(x), self.key(x), self.value(x)
        if not self.rank:
            query, key, value = (item.transpose(1, 2) for item in (query, key, value))
        bias = None if self.relative_bias is None else self.relative_bias()
        mixed = functional.scaled_dot_product_attention(
            self.groups.cut(query, self.heads, self.heads, False),
            self.groups.cut(key, self.kv_heads, self.heads, True),
            self.groups.cut(value, self.kv_heads, self.heads, True),
            attn_mask=self.groups.added(bias, self.heads),
        )
        joined = self.groups.join(mixed)
        return self.out(joined if self.rank else joined.transpose(1, 2))
