"""Attention over fewer positions than there are: queries, keys or both are pooled; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``N`` positions. Maps are ``(B, C, *axes)`` with ``rank`` position axes;
tokens, ``(B, N, C)``, have rank 0.

References:
    [Wang2021] W. Wang et al. Pyramid vision transformer. ICCV 2021.
    [Fan2021] H. Fan et al. Multiscale vision transformers. ICCV 2021.
    [Nottebaum2025] M. Nottebaum et al. LowFormer: hardware efficient design for convolutional transformer
        backbones. WACV 2025.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.conv import make_conv, make_transposed
from nasplat.ops.modules.heads import HeadProjection, attend, share_heads
from nasplat.ops.modules.norm import make_norm


class Pool(nn.Module):
    """Shrink every position axis by its stride, rounded up; what stands over at the end counts less.

    Args:
        form: ``conv``: a convolution; ``depthwise``: one of each channel; ``avg``, ``max``.
        channels: Number of channels.
        rank: Number of position axes behind the channels; 0: tokens.
        axes: Length of every position axis.
        stride: Side of the kernel and step on each axis.
        norm: Normalisation of the channels after a convolution.
    """

    def __init__(
        self,
        form: str,
        channels: int,
        rank: int,
        axes: tuple[int, ...],
        stride: tuple[int, ...],
        norm: str,
    ) -> None:
        super().__init__()
        self.form, self.tokens = form, rank == 0
        self.stride = stride
        spare = [-size % step for size, step in zip(axes, stride, strict=True)]
        self.pad = tuple(number for more in reversed(spare) for number in (0, more))
        self.conv: nn.Module | None = None
        self.norm: nn.Module = nn.Identity()
        if form in ("conv", "depthwise"):
            groups = channels if form == "depthwise" else 1
            self.conv = make_conv(
                len(axes), channels, channels, stride, stride, groups=groups, padded=False
            )
            self.norm = make_norm(norm, channels, rank=len(axes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.tokens:
            x = x.transpose(1, 2)
        if any(self.pad):
            x = functional.pad(x, self.pad, value=float("-inf") if self.form == "max" else 0.0)
        if self.conv is not None:
            x = self.norm(self.conv(x))
        else:
            for axis, step in enumerate(self.stride):
                cut = x.unflatten(2 + axis, (-1, step))
                x = cut.amax(3 + axis) if self.form == "max" else cut.mean(3 + axis)
        return x.transpose(1, 2) if self.tokens else x


class Restore(nn.Module):
    """Enlarge every position axis by its stride and cut it to its length, undoing a :class:`Pool`.

    Args:
        learned: Whether by a transposed convolution of each channel, else by repetition.
        channels: As in :class:`Pool`, like all that follow.
    """

    def __init__(
        self,
        learned: bool,
        channels: int,
        rank: int,
        axes: tuple[int, ...],
        stride: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.axes, self.stride, self.tokens = axes, stride, rank == 0
        self.conv: nn.Module | None = None
        if learned:
            self.conv = make_transposed(
                len(axes), channels, channels, stride, stride, channels, True
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.tokens:
            x = x.transpose(1, 2)
        if self.conv is not None:
            x = self.conv(x)
        for axis, (size, step) in enumerate(zip(self.axes, self.stride, strict=True)):
            if self.conv is None:
                x = x.repeat_interleave(step, 2 + axis)
            x = x.narrow(2 + axis, 0, size)
        return x.transpose(1, 2) if self.tokens else x


class PooledAttention(HeadProjection):
    """Attention in which queries, keys and values are made from pooled positions.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``out_bias``.
        axes: Length of every position axis.
        query_stride: By what the axes of the queries shrink [Fan2021].
        kv_stride: By what those of keys and values shrink [Wang2021].
        restore: Whether the output is enlarged to the positions of the input [Nottebaum2025].
        pool: Form of the :class:`Pool`; queries, keys and values of one stride share it.
        norm: Normalisation after a pool that is a convolution.
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
        query_stride: tuple[int, ...],
        kv_stride: tuple[int, ...],
        restore: bool,
        pool: str,
        norm: str,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, rank, bias, key_bias, out_bias)
        self.query_pool: nn.Module | None = None
        if max(query_stride) > 1:
            self.query_pool = Pool(pool, channels, rank, axes, query_stride, norm)
        self.kv_pool: nn.Module | None = None
        self.shared = query_stride == kv_stride
        if max(kv_stride) > 1 and not self.shared:
            self.kv_pool = Pool(pool, channels, rank, axes, kv_stride, norm)
        self.restore: nn.Module | None = None
        if restore and max(query_stride) > 1:
            learned = pool in ("conv", "depthwise")
            self.restore = Restore(learned, channels, rank, axes, query_stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        own = x if self.query_pool is None else self.query_pool(x)
        other = own if self.shared else x if self.kv_pool is None else self.kv_pool(x)
        key = self.rows(self.key(other), self.kv_heads)
        value = self.rows(self.value(other), self.kv_heads)
        mixed = attend(
            self.rows(self.query(own), self.heads),
            share_heads(key, self.heads),
            share_heads(value, self.heads),
            None,
        )
        found = self.merged_rows(mixed, own)
        return found if self.restore is None else self.restore(found)
