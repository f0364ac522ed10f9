"""What attentions are made of: projections into heads, rotations, biases and masks; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``N`` positions, ``h`` heads, ``d`` width of a head. Maps are
``(B, C, *axes)`` with ``rank`` position axes; tokens, ``(B, N, C)``, have rank 0: their channels come last.

References:
    [Ainslie2023] J. Ainslie et al. GQA: training generalized multi-query transformer models. EMNLP 2023.
    [Su2021] J. Su et al. RoFormer: enhanced transformer with rotary position embedding. 2021.
    [Liu2021] Z. Liu et al. Swin Transformer: hierarchical vision transformer using shifted windows. 2021.
    [Wang2022] W. Wang et al. CrossFormer: a versatile vision transformer hinging on cross-scale attention.
        ICLR 2022.
    [Press2022] O. Press et al. Train short, test long: attention with linear biases. ICLR 2022.
    [Martins2016] A. Martins, R. Astudillo. From softmax to sparsemax. ICML 2016.
    [Song2022] C. Song et al. Uni-Encoder: a fast and accurate response selection paradigm. 2022.
    [Wang2024] J. Wang et al. Adapting LLaMA decoder to vision transformer. 2024.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import make_channel_map

LEAST = 1e-30
"""The share of attention that a place which is not occupied has: its logarithm is finite."""


def share_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Hand ``kv`` heads, ``(B, kv, ...)``, out to ``heads`` queries: query i reads head i * kv // heads."""
    given = x.shape[1]
    if given == heads:
        return x
    if heads % given == 0:
        return x.repeat_interleave(heads // given, dim=1)
    return torch.cat([x[:, i * given // heads].unsqueeze(1) for i in range(heads)], dim=1)


def split_rows(x: torch.Tensor, heads: int, rank: int) -> torch.Tensor:
    """Split projected channels into heads with their positions as rows: ``(B, h, N, d)``."""
    if rank:
        return x.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3)
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


class HeadProjection(nn.Module):
    """The four projections of an attention with heads.

    Args:
        channels: Channels of the input, and of the output where ``outputs`` does not say.
        heads: Number of heads of the queries.
        kv_heads: Number of heads of keys and values, at most ``heads``.
        head_dim: Width of a head.
        rank: Number of position axes behind the channels; 0: the channels are the last axis.
        bias: Whether queries, keys and values have a bias.
        key_bias: Whether keys have one too, where the others do.
        out_bias: Whether the output has a bias.
        context: Channels that keys and values are made from; ``None``: ``channels``.
        context_rank: The rank of what they are made from; ``None``: ``rank``.
        outputs: Channels of the output; ``None``: ``channels``.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        rank: int,
        bias: bool = True,
        key_bias: bool = True,
        out_bias: bool = True,
        context: int | None = None,
        context_rank: int | None = None,
        outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.kv_heads = kv_heads
        self.rank = rank
        self.context_rank = rank if context_rank is None else context_rank
        context = context or channels
        self.query = make_channel_map(channels, heads * head_dim, rank, bias)
        self.key = make_channel_map(
            context, kv_heads * head_dim, self.context_rank, bias and key_bias
        )
        self.value = make_channel_map(context, kv_heads * head_dim, self.context_rank, bias)
        self.out = make_channel_map(heads * head_dim, outputs or channels, rank, out_bias)

    def rows(self, x: torch.Tensor, heads: int) -> torch.Tensor:
        """Split projected channels into heads with their positions as rows: ``(B, h, N, d)``."""
        return split_rows(x, heads, self.rank)

    def columns(self, x: torch.Tensor, heads: int) -> torch.Tensor:
        """Split projected channels into heads with their positions as columns: ``(B, h, d, N)``."""
        if self.rank:
            return x.flatten(2).unflatten(1, (heads, -1))
        return x.unflatten(2, (heads, -1)).permute(0, 2, 3, 1)

    def merged(self, y: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Join heads, ``(B, h, d, N)``, and project them to the shape of ``like``."""
        if self.rank:
            return self.out(y.flatten(1, 2).unflatten(2, like.shape[2:]))
        return self.out(y.flatten(1, 2).transpose(1, 2))

    def merged_rows(self, y: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Join heads, ``(B, h, N, d)``, and project them to the shape of ``like``.

        The copy is made explicitly: what torch's attention returns lies in memory in one way when it
        runs and in another when an exporter takes it apart.
        """
        if self.rank:
            y = y.transpose(2, 3).clone(memory_format=torch.contiguous_format)
            return self.out(y.flatten(1, 2).unflatten(2, like.shape[2:]))
        y = y.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        return self.out(y.flatten(2))


def make_head_norm(form: str, head_dim: int) -> nn.Module:
    """Make the normalisation of queries or keys within a head: ``none``, ``rms`` or ``layer``."""
    if form == "none":
        return nn.Identity()
    return nn.RMSNorm(head_dim, eps=1e-6) if form == "rms" else nn.LayerNorm(head_dim)


class Rotary(nn.Module):
    """Rotate pairs of channels of a head by angles that grow with the position [Su2021].

    Channels are divided among the position axes; a pair is a channel of the first half and the same of
    the second.

    Args:
        axes: Length of every position axis.
        dim: Channels that are rotated, a multiple of twice the number of axes.
        base: The longest wave is this many times two pi positions long.
    """

    cosine: torch.Tensor
    sine: torch.Tensor

    def __init__(self, axes: tuple[int, ...], dim: int, base: float) -> None:
        super().__init__()
        self.dim = dim
        pairs = dim // (2 * len(axes))
        frequency = base ** (-torch.arange(pairs) / pairs)
        angles = []
        for axis, length in enumerate(axes):
            shape = [length if other == axis else 1 for other in range(len(axes))]
            angle = torch.arange(length).unsqueeze(1) * frequency
            angles.append(angle.view(*shape, pairs).expand(*axes, pairs))
        angle = torch.cat(angles, -1).flatten(0, -2)
        self.register_buffer("cosine", angle.cos(), persistent=False)
        self.register_buffer("sine", angle.sin(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x[..., : self.dim].chunk(2, -1)
        parts = [
            first * self.cosine - second * self.sine,
            second * self.cosine + first * self.sine,
        ]
        if self.dim < x.shape[-1]:
            parts.append(x[..., self.dim :])
        return torch.cat(parts, -1)


class RelativeBias(nn.Module):
    """A number for each head and offset between a query and a key, to add to their score.

    Keys lie around the queries: as many before the first query of an axis as after the last.

    Args:
        form: ``table``: one learned number for each offset [Liu2021]; ``mlp``: a small network of the
            offset [Wang2022]; ``alibi``: a fixed slope of the distance for each head [Press2022].
        heads: Number of heads.
        queries: Queries on each position axis.
        keys: Keys on each position axis, at least as many.
        width: Hidden width of the network.

    Output shape: ``(h, queries, keys)``, positions flattened.
    """

    def __init__(
        self,
        form: str,
        heads: int,
        queries: tuple[int, ...],
        keys: tuple[int, ...],
        width: int,
    ) -> None:
        super().__init__()
        self.sizes = tuple(zip(queries, keys, strict=True))
        reach = tuple(few + many - 1 for few, many in self.sizes)
        for axis, (few, many) in enumerate(self.sizes):
            apart = torch.arange(few).unsqueeze(1) - torch.arange(many) + many - 1
            self.register_buffer(f"offset{axis}", apart.flatten(), persistent=False)
        self.mlp: nn.Module | None = None
        if form == "table":
            self.table = nn.Parameter(torch.zeros(heads, *reach))
            nn.init.trunc_normal_(self.table, std=0.02)
            return
        places = [
            torch.arange(count) - (many - 1 - (many - few) // 2)
            for count, (few, many) in zip(reach, self.sizes, strict=True)
        ]
        offsets = torch.stack(torch.meshgrid(*places, indexing="ij"), -1).float()
        if form == "mlp":
            longest = torch.tensor([float(max(many - 1, 1)) for _, many in self.sizes])
            scaled = 8.0 * offsets / longest
            coordinates = scaled.sign() * (1.0 + scaled.abs()).log2() / 3.0
            self.register_buffer("coordinates", coordinates.flatten(0, -2), persistent=False)
            self.mlp = nn.Sequential(
                nn.Linear(len(queries), width), nn.ReLU(), nn.Linear(width, heads, bias=False)
            )
        else:
            slopes = 2.0 ** (-8.0 * (torch.arange(heads) + 1.0) / heads)
            distance = offsets.square().sum(-1).sqrt()
            slopes = slopes.view(-1, *(1 for _ in reach))
            self.register_buffer("table", -slopes * distance, persistent=False)

    def forward(self) -> torch.Tensor:
        if self.mlp is None:
            bias = self.get_buffer("table") if "table" in self._buffers else self.table
        else:
            reach = [few + many - 1 for few, many in self.sizes]
            bias = self.mlp(self.get_buffer("coordinates")).transpose(0, 1).unflatten(1, reach)
        for axis, size in enumerate(self.sizes):
            index = self.get_buffer(f"offset{axis}")
            bias = bias.index_select(1 + 2 * axis, index).unflatten(1 + 2 * axis, size)
        count = len(self.sizes)
        few, many = range(1, 2 * count, 2), range(2, 2 * count + 1, 2)
        return bias.permute(0, *few, *many).flatten(1, count).flatten(2)


def allowed(mask: str, length: int, prefix: int, segment: int) -> torch.Tensor:
    """Which key each query may see, ``(length, length)`` of truth values.

    Args:
        mask: ``causal`` and ``soft_causal``: none that comes later; ``semi_causal``: the same, but the
            prefix sees itself; ``causal_blocks``: no segment that comes later; ``candidate_isolating``
            [Song2022]: the prefix and the own segment.
        length: Number of positions.
        prefix: Number of leading positions that are apart from the segments.
        segment: Length of the segments that follow the prefix.
    """
    place = torch.arange(length)
    query, key = place.unsqueeze(1), place.unsqueeze(0)
    if mask == "semi_causal":
        return (key <= query) | ((query < prefix) & (key < prefix))
    if mask in ("causal_blocks", "candidate_isolating"):
        block = torch.div(place - prefix, segment, rounding_mode="floor")
        block = torch.where(place < prefix, -1, block)
        query, key = block.unsqueeze(1), block.unsqueeze(0)
        return key <= query if mask == "causal_blocks" else (key == query) | (key == -1)
    return key <= query


def closed(may: torch.Tensor) -> torch.Tensor:
    """What to add to scores: 0 where a query may see a key, minus infinity where not."""
    return torch.zeros(may.shape, device=may.device).masked_fill(~may, float("-inf"))


class SoftCausal(nn.Module):
    """What to add to scores so that the future closes little by little during training [Wang2024].

    The weights of later positions are multiplied by a share that falls from 1 to 0 over the first
    ``steps`` forward passes of training; it is kept with the weights.

    Args:
        length: Number of positions.
        steps: Forward passes until the mask is causal.
    """

    later: torch.Tensor
    share: torch.Tensor

    def __init__(self, length: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.register_buffer("later", ~allowed("causal", length, 0, 1), persistent=False)
        self.register_buffer("share", torch.ones(()))

    def forward(self) -> torch.Tensor:
        if self.training:
            self.share.sub_(1.0 / self.steps).clamp_(min=0.0)
        return self.later * self.share.clamp_min(LEAST).log()


def occupied(presence: torch.Tensor) -> torch.Tensor:
    """What to add to scores, ``(B, 1, 1, N)``: nothing for 1, so little that none is left for 0.

    Shares between 0 and 1 weigh a key, and learn.
    """
    return presence.clamp_min(LEAST).log().unsqueeze(1).unsqueeze(1)


def sparsemax(scores: torch.Tensor) -> torch.Tensor:
    """The nearest point of the simplex on the last axis; most of it may be zero [Martins2016]."""
    ordered = scores.sort(-1, descending=True).values
    count = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    total = ordered.cumsum(-1) - 1.0
    inside = (count * ordered > total).to(scores.dtype)
    size = inside.sum(-1, keepdim=True)
    threshold = total.gather(-1, size.long() - 1) / size
    return (scores - threshold).clamp_min(0.0)


def normalise(scores: torch.Tensor, form: str) -> torch.Tensor:
    """Turn scores into weights over the last axis: ``softmax``, ``sparsemax``, ``relu``, ``layer_norm``."""
    if form == "softmax":
        return scores.softmax(-1)
    if form == "sparsemax":
        return sparsemax(scores)
    if form == "relu":
        return functional.relu(scores) / scores.shape[-1]
    return functional.layer_norm(scores, scores.shape[-1:])


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    added: torch.Tensor | None,
    normaliser: str = "softmax",
) -> torch.Tensor:
    """Mix values, ``(B, h, M, d)``, by the scores of queries, ``(B, h, N, d)``, with keys.

    ``added`` broadcasts to the scores, ``(B, h, N, M)``.
    """
    if normaliser == "softmax":
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=added)
    scores = torch.matmul(query / math.sqrt(query.shape[-1]), key.transpose(2, 3))
    if added is not None:
        scores = scores + added
    return torch.matmul(normalise(scores, normaliser), value)
