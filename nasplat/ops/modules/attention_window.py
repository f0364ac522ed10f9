"""Attention within groups of positions: windows, dilated groups, stripes; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``h`` heads, ``d`` width of a head, ``N`` positions of a group. Maps
are ``(B, C, *axes)`` with ``rank`` position axes; tokens, ``(B, length, C)``, have rank 0.

References:
    [Liu2021] Z. Liu et al. Swin Transformer: hierarchical vision transformer using shifted windows. 2021.
    [Wang2022] W. Wang et al. CrossFormer: a versatile vision transformer hinging on cross-scale attention.
        ICLR 2022.
    [Dong2022] X. Dong et al. CSWin Transformer: a general vision transformer backbone with cross-shaped
        windows. CVPR 2022.
    [Chen2023] X. Chen et al. Activating more pixels in image super-resolution transformer. CVPR 2023.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.conv import make_conv
from nasplat.ops.modules.heads import HeadProjection, RelativeBias, Rotary, share_heads


class Partition(nn.Module):
    """Cut projected channels into groups of positions, join them again, and keep strangers apart.

    Each position axis is padded to whole groups. What a mask keeps apart are padding, positions that a
    shift wraps around the border, and places beyond the border that overlapping keys reach.

    Args:
        axes: Length of every position axis.
        window: Positions of a group on each axis, at most its length.
        dilation: Distance between neighbours of a group on each axis [Wang2022].
        shift: By how many positions groups are shifted on each axis [Liu2021].
        margin: By how many positions keys reach beyond their group on each side [Chen2023].
        reach: Greatest distance of a key on each axis; ``None``: any.
        causal: Whether, along the longest axis of a group, no key that comes later is seen.
    """

    mask: torch.Tensor | None

    def __init__(
        self,
        axes: tuple[int, ...],
        window: tuple[int, ...],
        dilation: tuple[int, ...],
        shift: tuple[int, ...],
        margin: tuple[int, ...],
        reach: tuple[int, ...] | None,
        causal: bool,
    ) -> None:
        super().__init__()
        self.axes, self.window, self.dilation = axes, window, dilation
        self.shift, self.margin, self.reach = shift, margin, reach
        self.regions = tuple(
            -(-size // (side * step))
            for size, side, step in zip(axes, window, dilation, strict=True)
        )
        self.count = tuple(
            regions * step for regions, step in zip(self.regions, dilation, strict=True)
        )
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
                place = self._places(axis).clamp(0, self.count[axis] * window[axis] - 1)
                self.register_buffer(f"place{axis}", place, persistent=False)
        self.register_buffer("mask", self._apart(causal), persistent=False)

    def _places(self, axis: int) -> torch.Tensor:
        """Where on the padded axis the keys of each group lie, ``(groups * keys,)``, also outside it."""
        first = torch.arange(self.count[axis]).unsqueeze(1) * self.window[axis]
        return (first + torch.arange(self.keys[axis]) - self.margin[axis]).flatten()

    def _near(self, x: torch.Tensor, dim: int, axis: int) -> torch.Tensor:
        """Put the members of each dilated group of a padded axis side by side."""
        step = self.dilation[axis]
        if step == 1:
            return x
        x = x.unflatten(dim, (self.regions[axis], self.window[axis], step))
        return x.transpose(dim + 1, dim + 2).flatten(dim, dim + 2)

    def _far(self, x: torch.Tensor, dim: int, axis: int) -> torch.Tensor:
        """Undo :meth:`_near`."""
        step = self.dilation[axis]
        if step == 1:
            return x
        x = x.unflatten(dim, (self.regions[axis], step, self.window[axis]))
        return x.transpose(dim + 1, dim + 2).flatten(dim, dim + 2)

    def _strangers(self, axis: int) -> torch.Tensor:
        """Which keys of an axis a query may not meet, ``(groups, queries, keys)``."""
        count, side, more = self.count[axis], self.window[axis], self.margin[axis]
        shift = self.shift[axis]
        label = functional.pad(torch.zeros(self.axes[axis]), (0, self.spare[axis]), value=-1.0)
        label = label.roll(-shift)
        if shift:
            label[-shift:] += 2.0 * (label[-shift:] >= 0)
        label = self._near(label, 0, axis)
        beyond = functional.pad(label, (more, more), value=-2.0)
        others = beyond.index_select(0, self._places(axis) + more)
        own, others = label.unflatten(0, (count, side)), others.unflatten(0, (count, -1))
        apart = own.unsqueeze(2) != others.unsqueeze(1)
        if self.reach is None:
            return apart
        distance = torch.arange(side).unsqueeze(1) - torch.arange(side + 2 * more) + more
        return apart | (distance.abs() > self.reach[axis])

    def _apart(self, causal: bool) -> torch.Tensor | None:
        """``-inf`` where a query may not meet a key, ``(groups, N, keys)``; ``None`` if all may meet."""
        moved = any(self.shift) or any(self.spare) or any(self.margin)
        if not (moved or self.reach is not None or causal):
            return None
        longest = max(range(len(self.axes)), key=self.window.__getitem__)
        apart: torch.Tensor | None = None
        for axis, side in enumerate(self.window):
            more = self._strangers(axis)
            if causal and axis == longest:
                place = torch.arange(self.keys[axis]) - self.margin[axis]
                more = more | (place > torch.arange(side).unsqueeze(1))
            if apart is None:
                apart = more
                continue
            both = apart[:, None, :, None, :, None] | more[None, :, None, :, None, :]
            apart = both.flatten(4).flatten(2, 3).flatten(0, 1)
        if apart is None:
            return None
        return torch.zeros(apart.shape).masked_fill(apart, float("-inf"))

    def cut(self, x: torch.Tensor, heads: int, shared: int, keys: bool) -> torch.Tensor:
        """From ``(B, h * d, *axes)`` to ``(B, groups * shared, N, d)``; ``keys`` reach the margin too."""
        if any(self.pad):
            x = functional.pad(x, self.pad)
        if any(self.shift):
            x = x.roll(self.back, self.dims)
        for axis in reversed(range(len(self.axes))):
            x = self._near(x, 2 + axis, axis)
            side = self.window[axis]
            if keys and self.margin[axis]:
                x = x.index_select(2 + axis, self.get_buffer(f"place{axis}"))
                side = self.keys[axis]
            x = x.unflatten(2 + axis, (self.count[axis], side))
        x = share_heads(
            x.unflatten(1, (heads, -1)), shared
        )  # (B, h, d, count, side, count, side, ...)
        rank = len(self.axes)
        x = x.permute(0, *range(3, 3 + 2 * rank, 2), 1, *range(4, 3 + 2 * rank, 2), 2)
        return x.flatten(2 + rank, 1 + 2 * rank).flatten(1, 1 + rank)

    def join(self, y: torch.Tensor) -> torch.Tensor:
        """Undo :meth:`cut`: from ``(B, groups * h, N, d)`` to ``(B, h * d, *axes)``."""
        rank = len(self.axes)
        y = y.unflatten(2, self.window).unflatten(1, (*self.count, -1))
        order = [0, rank + 1, 2 * rank + 2]
        for axis in range(rank):
            order += [1 + axis, rank + 2 + axis]
        y = y.permute(order)
        for axis in reversed(range(rank)):
            y = self._far(y.flatten(3 + 2 * axis, 4 + 2 * axis), 3 + 2 * axis, axis)
        y = y.flatten(1, 2)
        if any(self.shift):
            y = y.roll(self.shift, self.dims)
        for axis, spare in enumerate(self.spare):
            if spare:
                y = y.narrow(2 + axis, 0, self.axes[axis])
        return y

    def attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Attention within the groups, all ``(B, groups * h, N, d)``; a bias is ``(h, N, keys)``."""
        total: torch.Tensor | None = None if bias is None else bias.unsqueeze(0)
        if self.mask is not None:
            mask = self.mask.unsqueeze(1)
            total = mask if total is None else total + mask
        if total is not None:
            groups = 1
            for count in self.count:
                groups *= count
            total = total.expand(groups, query.shape[1] // groups, -1, -1)
            total = total.flatten(0, 1).unsqueeze(0)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=total)


class WindowAttention(HeadProjection):
    """Positions attend within groups: windows, dilated groups, one axis, or a sliding neighbourhood.

    Padding comes after the projections and is never seen. A whole axis in one group is not shifted.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        axes: As in :class:`Partition`, like all up to ``causal``.
        rotated: Channels of a head that are rotated by position; 0: none.
        rotary_base: Base of the wave lengths.
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
        dilation: tuple[int, ...],
        shift: tuple[int, ...],
        margin: tuple[int, ...],
        reach: tuple[int, ...] | None = None,
        causal: bool = False,
        rotated: int = 0,
        rotary_base: float = 10000.0,
        relative_bias: str = "none",
        bias_width: int = 64,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.groups = Partition(axes, window, dilation, shift, margin, reach, causal)
        self.rotary: nn.Module | None = None
        if rotated:
            self.rotary = Rotary(axes, rotated, rotary_base)
        self.relative_bias: nn.Module | None = None
        if relative_bias != "none":
            keys = self.groups.keys
            self.relative_bias = RelativeBias(relative_bias, heads, window, keys, bias_width)

    def _turned(self, x: torch.Tensor, heads: int) -> torch.Tensor:
        """Rotate projected channels, ``(B, h * d, *axes)``, by position."""
        if self.rotary is None:
            return x
        rows = self.rotary(x.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3))
        return rows.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.query(x), self.key(x), self.value(x)
        if not self.rank:
            query, key, value = (item.transpose(1, 2) for item in (query, key, value))
        query, key = self._turned(query, self.heads), self._turned(key, self.kv_heads)
        mixed = self.groups.attend(
            self.groups.cut(query, self.heads, self.heads, False),
            self.groups.cut(key, self.kv_heads, self.heads, True),
            self.groups.cut(value, self.kv_heads, self.heads, True),
            None if self.relative_bias is None else self.relative_bias(),
        )
        joined = self.groups.join(mixed)
        return self.out(joined if self.rank else joined.transpose(1, 2))


class StripeAttention(HeadProjection):
    """Heads attend within stripes, an equal part of the heads along each position axis [Dong2022].

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        axes: Length of every position axis, two or three.
        stripe: Width of a stripe.
        enhanced: Whether a depthwise convolution of the values is added to what is found.
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
        stripe: int,
        enhanced: bool,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        none = (0,) * rank
        self.part = [heads * (axis + 1) // rank - heads * axis // rank for axis in range(rank)]
        self.stripes = nn.ModuleList()
        for long in range(rank):
            window = tuple(
                size if axis == long else min(stripe, size) for axis, size in enumerate(axes)
            )
            self.stripes.append(Partition(axes, window, (1,) * rank, none, none, None, False))
        self.local: nn.Module | None = None
        if enhanced:
            width = heads * head_dim
            self.local = make_conv(rank, width, width, 3, groups=width)

    def _all_heads(self, x: torch.Tensor) -> torch.Tensor:
        """Hand heads of keys or values, ``(B, kv * d, *axes)``, out to all heads of the queries."""
        return share_heads(x.unflatten(1, (self.kv_heads, -1)), self.heads).flatten(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self.query(x)
        key, value = self._all_heads(self.key(x)), self._all_heads(self.value(x))
        width = query.shape[1] // self.heads
        found, first = [], 0
        for stripe, heads in zip(cast("list[Partition]", self.stripes), self.part, strict=True):
            own_query, own_key, own_value = (
                stripe.cut(item.narrow(1, first * width, heads * width), heads, heads, False)
                for item in (query, key, value)
            )
            found.append(stripe.join(stripe.attend(own_query, own_key, own_value, None)))
            first += heads
        y = torch.cat(found, 1)
        return self.out(y if self.local is None else y + self.local(value))
