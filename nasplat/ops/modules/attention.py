"""Attention over the positions or the channels of images and tokens; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``H, W`` the plane, ``N`` positions, ``h`` heads, ``d`` width of a head.
Queries, keys and values come from projections of their own, so that the leading rows of each belong to
the leading heads. Fewer heads of keys and values than of queries are shared among the queries [Ainslie2023].

References:
    [Ainslie2023] J. Ainslie et al. GQA: training generalized multi-query transformer models. EMNLP 2023.
    [Liu2021] Z. Liu et al. Swin Transformer: hierarchical vision transformer using shifted windows. 2021.
    [Katharopoulos2020] A. Katharopoulos et al. Transformers are RNNs. ICML 2020.
    [ElNouby2021] A. El-Nouby et al. XCiT: cross-covariance image transformers. NeurIPS 2021.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.common import make_pointwise


def share_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Hand ``kv`` heads, ``(B, kv, ...)``, out to ``heads`` queries: query i reads head i * kv // heads."""
    given = x.shape[1]
    if given == heads:
        return x
    if heads % given == 0:
        return x.repeat_interleave(heads // given, dim=1)
    return torch.cat([x[:, i * given // heads].unsqueeze(1) for i in range(heads)], dim=1)


class HeadProjection(nn.Module):
    """The four projections of an attention with heads.

    Args:
        channels: Channels of the input and of the output.
        heads: Number of heads of the queries.
        kv_heads: Number of heads of keys and values, at most ``heads``.
        head_dim: Width of a head.
        image: Whether the input is an image, ``(B, C, H, W)``, else tokens, ``(B, N, C)``.
        bias: Whether queries, keys and values have a bias.
    """

    def __init__(
        self, channels: int, heads: int, kv_heads: int, head_dim: int, image: bool, bias: bool
    ) -> None:
        super().__init__()
        self.heads = heads
        self.kv_heads = kv_heads
        self.image = image
        self.query = make_pointwise(channels, heads * head_dim, image, bias)
        self.key = make_pointwise(channels, kv_heads * head_dim, image, bias)
        self.value = make_pointwise(channels, kv_heads * head_dim, image, bias)
        self.out = make_pointwise(heads * head_dim, channels, image)

    def columns(self, x: torch.Tensor, heads: int) -> torch.Tensor:
        """Split projected channels into heads: ``(B, h, d, N)``."""
        if self.image:
            return x.flatten(2).unflatten(1, (heads, -1))
        return x.unflatten(2, (heads, -1)).permute(0, 2, 3, 1)

    def merged(self, y: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Join heads, ``(B, h, d, N)``, and project them to the shape of ``like``."""
        if self.image:
            return self.out(y.flatten(1, 2).unflatten(2, like.shape[2:]))
        return self.out(y.flatten(1, 2).transpose(1, 2))


class SelfAttention(HeadProjection):
    """Every position attends to every other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self.columns(self.query(x), self.heads).transpose(2, 3)
        key = share_heads(self.columns(self.key(x), self.kv_heads), self.heads).transpose(2, 3)
        value = share_heads(self.columns(self.value(x), self.kv_heads), self.heads).transpose(2, 3)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.merged(mixed.transpose(2, 3), x)


class LinearAttention(HeadProjection):
    """Attention whose cost is linear in the positions [Katharopoulos2020].

    Args:
        channels: As in :class:`HeadProjection`, like all but the last.
        feature_map: ``"elu"`` (plus one) or ``"relu"``: what makes queries and keys positive; or
            ``"softmax"``: queries over their channels, keys over the positions.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        image: bool,
        bias: bool,
        feature_map: str,
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, image, bias)
        self.feature_map = feature_map

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self.columns(self.query(x), self.heads)  # (B, h, d, N)
        key = share_heads(self.columns(self.key(x), self.kv_heads), self.heads)
        value = share_heads(self.columns(self.value(x), self.kv_heads), self.heads)
        if self.feature_map == "softmax":
            query, key = query.softmax(2), key.softmax(3)
            mixed = torch.matmul(torch.matmul(value, key.transpose(2, 3)), query)
            return self.merged(mixed, x)
        if self.feature_map == "elu":
            query, key = functional.elu(query) + 1.0, functional.elu(key) + 1.0
        else:
            query, key = functional.relu(query), functional.relu(key)
        key = (
            key / key.shape[3]
        )  # means instead of sums: the same quotient, in the range of half floats
        mixed = torch.matmul(torch.matmul(value, key.transpose(2, 3)), query)
        total = (query * key.sum(3, keepdim=True)).sum(2, keepdim=True)
        return self.merged(mixed / (total + 1e-6), x)


class CrossCovarianceAttention(HeadProjection):
    """Channels of a head attend to each other through their covariance over positions [ElNouby2021]."""

    def __init__(
        self, channels: int, heads: int, kv_heads: int, head_dim: int, image: bool, bias: bool
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, image, bias)
        self.temperature = nn.Parameter(torch.ones(heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = functional.normalize(self.columns(self.query(x), self.heads), dim=3)
        key = functional.normalize(self.columns(self.key(x), self.kv_heads), dim=3)
        key = share_heads(key, self.heads)
        value = share_heads(self.columns(self.value(x), self.kv_heads), self.heads)
        scores = torch.matmul(query, key.transpose(2, 3)) * self.temperature.view(-1, 1, 1)
        return self.merged(torch.matmul(scores.softmax(3), value), x)


class WindowAttention(nn.Module):
    """Positions of an image attend within windows, regular or shifted by half a window [Liu2021].

    The image is padded to whole windows after the projections; a mask keeps padding and, where the
    shift wraps around, positions from opposite borders apart. An axis of one window is not shifted.

    Args:
        channels: Channels of the input and of the output.
        height: Height of the image.
        width: Width of the image.
        window: Height and width of a window, at most the image's.
        shifted: Whether windows are shifted.
        heads: Number of heads of the queries.
        kv_heads: Number of heads of keys and values, at most ``heads``.
        head_dim: Width of a head.
        bias: Whether queries, keys and values have a bias.
        relative_bias: Whether each head adds a learned number for each offset between two positions.
    """

    index: torch.Tensor
    mask: torch.Tensor | None

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        window: tuple[int, int],
        shifted: bool,
        heads: int,
        kv_heads: int,
        head_dim: int,
        bias: bool,
        relative_bias: bool,
    ) -> None:
        super().__init__()
        rows, columns = window
        self.size = (height, width)
        self.window = (rows, columns)
        self.count = (-(-height // rows), -(-width // columns))
        self.pad = (0, self.count[1] * columns - width, 0, self.count[0] * rows - height)
        self.shift = (
            rows // 2 if shifted and self.count[0] > 1 else 0,
            columns // 2 if shifted and self.count[1] > 1 else 0,
        )
        self.heads, self.kv_heads = heads, kv_heads
        self.query = nn.Conv2d(channels, heads * head_dim, 1, bias=bias)
        self.key = nn.Conv2d(channels, kv_heads * head_dim, 1, bias=bias)
        self.value = nn.Conv2d(channels, kv_heads * head_dim, 1, bias=bias)
        self.out = nn.Conv2d(heads * head_dim, channels, 1)
        self.relative_bias: nn.Parameter | None = None
        if relative_bias:
            self.relative_bias = nn.Parameter(torch.zeros(heads, 2 * rows - 1, 2 * columns - 1))
            nn.init.trunc_normal_(self.relative_bias, std=0.02)
            self.register_buffer("index", self._offsets(), persistent=False)
        self.register_buffer("mask", self._apart(), persistent=False)

    def _offsets(self) -> torch.Tensor:
        """For each pair of positions in a window, where its bias stands in the flattened table."""
        rows, columns = self.window
        y = torch.arange(rows).repeat_interleave(columns)
        x = torch.arange(columns).repeat(rows)
        down = y[:, None] - y[None, :] + rows - 1
        right = x[:, None] - x[None, :] + columns - 1
        return (down * (2 * columns - 1) + right).flatten()

    def _apart(self) -> torch.Tensor | None:
        """``-inf`` between positions that may not meet, ``(windows, N, N)``; ``None`` if all may."""
        if self.shift == (0, 0) and self.pad == (0, 0, 0, 0):
            return None
        region = torch.zeros(self.size)
        region = functional.pad(region, self.pad, value=-1.0)
        region = region.roll((-self.shift[0], -self.shift[1]), (0, 1))
        if self.shift[0]:
            region[-self.shift[0] :] += 2.0 * (region[-self.shift[0] :] >= 0)
        if self.shift[1]:
            region[:, -self.shift[1] :] += 4.0 * (region[:, -self.shift[1] :] >= 0)
        (down, right), (rows, columns) = self.count, self.window
        region = region.reshape(down, rows, right, columns).transpose(1, 2)
        region = region.reshape(down * right, rows * columns)
        apart = region[:, :, None] != region[:, None, :]
        return torch.zeros(apart.shape).masked_fill(apart, float("-inf"))

    def _windows(self, x: torch.Tensor, heads: int) -> torch.Tensor:
        """Cut projected channels, ``(B, h * d, H, W)``, into ``(B, windows * h, N, d)``."""
        if any(self.pad):
            x = functional.pad(x, self.pad)
        if any(self.shift):
            x = x.roll((-self.shift[0], -self.shift[1]), (2, 3))
        (down, right), (rows, columns) = self.count, self.window
        x = x.unflatten(3, (right, columns)).unflatten(2, (down, rows)).unflatten(1, (heads, -1))
        x = share_heads(x, self.heads)  # (B, h, d, down, rows, right, columns)
        return x.permute(0, 3, 5, 1, 4, 6, 2).flatten(4, 5).flatten(1, 3)

    def _plane(self, y: torch.Tensor) -> torch.Tensor:
        """Undo :meth:`_windows`: from ``(B, windows * h, N, d)`` to ``(B, h * d, H, W)``."""
        (down, right), (rows, columns) = self.count, self.window
        y = y.unflatten(1, (down, right, self.heads)).unflatten(4, (rows, columns))
        y = y.permute(0, 3, 6, 1, 4, 2, 5).flatten(5, 6).flatten(3, 4).flatten(1, 2)
        if any(self.shift):
            y = y.roll(self.shift, (2, 3))
        return y[:, :, : self.size[0], : self.size[1]] if any(self.pad) else y

    def _scores(self) -> torch.Tensor | None:
        """What is added to the scores, ``(1, windows * h, N, N)``."""
        count, area = self.count[0] * self.count[1], self.window[0] * self.window[1]
        added: torch.Tensor | None = None
        if self.relative_bias is not None:
            table = self.relative_bias.flatten(1).index_select(1, self.index)
            added = table.view(1, self.heads, area, area)
        if self.mask is not None:
            mask = self.mask.unsqueeze(1)
            added = mask if added is None else added + mask
        if added is None:
            return None
        return added.expand(count, self.heads, area, area).reshape(1, -1, area, area)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = functional.scaled_dot_product_attention(
            self._windows(self.query(x), self.heads),
            self._windows(self.key(x), self.kv_heads),
            self._windows(self.value(x), self.kv_heads),
            attn_mask=self._scores(),
        )
        return self.out(self._plane(mixed))


class CrossAttention(nn.Module):
    """The first input attends to the positions of all others and adds what it finds.

    Args:
        channels: Channels of the first input and of the output.
        context: Channels of every other input.
        heads: Number of heads of the queries.
        kv_heads: Number of heads of keys and values, at most ``heads``.
        head_dim: Width of a head.
        image: Whether the first input is an image, else tokens.
        context_image: The same of all others.
        bias: Whether queries, keys and values have a bias.
        residual: Whether what is found is added to the first input, else it is returned alone.
    """

    def __init__(
        self,
        channels: int,
        context: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        image: bool,
        context_image: bool,
        bias: bool,
        residual: bool,
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads
        self.image, self.context_image = image, context_image
        self.residual = residual
        self.query = make_pointwise(channels, heads * head_dim, image, bias)
        self.key = make_pointwise(context, kv_heads * head_dim, context_image, bias)
        self.value = make_pointwise(context, kv_heads * head_dim, context_image, bias)
        self.out = make_pointwise(heads * head_dim, channels, image)

    def _rows(self, x: torch.Tensor, heads: int, image: bool) -> torch.Tensor:
        """Split projected channels into heads: ``(B, h, N, d)``."""
        if image:
            return x.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3)
        return x.unflatten(2, (heads, -1)).transpose(1, 2)

    def forward(self, x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        query = self._rows(self.query(x), self.heads, self.image)
        keys = [self._rows(self.key(y), self.kv_heads, self.context_image) for y in others]
        values = [self._rows(self.value(y), self.kv_heads, self.context_image) for y in others]
        mixed = functional.scaled_dot_product_attention(
            query,
            share_heads(torch.cat(keys, dim=2), self.heads),
            share_heads(torch.cat(values, dim=2), self.heads),
        )
        if self.image:
            found = self.out(mixed.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:]))
        else:
            found = self.out(mixed.transpose(1, 2).flatten(2))
        return x + found if self.residual else found
