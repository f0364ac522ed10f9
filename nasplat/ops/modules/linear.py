"""Linear maps of the channels in many forms, on tensors of any layout; they know nothing of ops.

Shapes: maps are ``(B, C, *axes)`` with ``rank`` position axes, tokens ``(B, L, C)`` and vectors ``(B, C)``
have rank 0: their channels are the last axis.

References:
    [Mishra2021] A. Mishra et al. Accelerating sparse deep neural networks. 2021.
    [Zhou2021] A. Zhou et al. Learning N:M fine-grained structured sparse neural networks. ICLR 2021.
    [Chand2023] R. Chand et al. DSFormer. EMNLP 2023.
    [Pei2024] Z. Pei et al. FuseGPT. 2024.
    [Ding2024] N. Ding et al. MemoryFormer. NeurIPS 2024.
    [Wang2024] H. Wang et al. TokenFormer. 2024.
    [Houlsby2019] N. Houlsby et al. Parameter-efficient transfer learning for NLP. ICML 2019.
    [Hu2022] E. J. Hu et al. LoRA. ICLR 2022.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.common import linear_with


class ChannelsLast(nn.Module):
    """Base of layers that are written for channels on the last axis: moves them there and back.

    Args:
        rank: Position axes behind the channels, 0 where the channels are last.
    """

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.rank == 0:
            return self.mapped(x)
        return self.mapped(x.movedim(1, -1)).movedim(-1, 1)

    def mapped(self, x: torch.Tensor) -> torch.Tensor:
        """What the layer does to channels on the last axis."""
        raise NotImplementedError


def kept_of_groups(weight: torch.Tensor, kept: int, group: int) -> torch.Tensor:
    """The largest ``kept`` of every ``group`` neighbours of a row, and zero elsewhere.

    Gradients reach all of them, so that what was dropped can come back [Zhou2021]. A row that is no
    whole number of groups ends in a smaller one, of which at most ``kept`` stay too.
    """
    rows, width = weight.shape
    padded = functional.pad(weight.detach().abs(), (0, -width % group), value=-1.0)
    scores = padded.view(rows, -1, group)
    chosen = scores.topk(kept, 2).indices
    mask = torch.zeros_like(scores).scatter(2, chosen, 1.0).view(rows, -1)[:, :width]
    return weight + (weight * mask - weight).detach()


class SparseLinear(nn.Linear):
    """A linear layer with some of every four neighbouring weights, the largest [Mishra2021].

    Args:
        in_features: Channels that come in.
        out_features: Channels that go out.
        bias: Whether it adds a learned shift.
        kept: Weights of four that stay, 1 to 4.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool, kept: int) -> None:
        super().__init__(in_features, out_features, bias)
        self.kept = kept

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.linear(input, kept_of_groups(self.weight, self.kept, 4), self.bias)


class SparseChannelMap(ChannelsLast):
    """:class:`SparseLinear` on tensors of any layout."""

    def __init__(self, channels: int, outputs: int, bias: bool, kept: int, rank: int) -> None:
        super().__init__(rank)
        self.linear = SparseLinear(channels, outputs, bias, kept)

    def mapped(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


class FactorisedLinear(ChannelsLast):
    """Two maps in the place of one, through ``inner`` channels.

    Args:
        channels: Channels that come in.
        outputs: Channels that go out.
        inner: Channels between the maps.
        bias: Whether the second map has a bias.
        kept: Weights of four that stay in the first map, 1 to 4; 4: it is dense, the product has a low
            rank. Less: a sparse map before a dense one [Chand2023].
        rank: Position axes behind the channels, 0 where the channels are last.
    """

    def __init__(
        self, channels: int, outputs: int, inner: int, bias: bool, kept: int, rank: int
    ) -> None:
        super().__init__(rank)
        self.first = (
            nn.Linear(channels, inner, bias=False)
            if kept == 4
            else SparseLinear(channels, inner, False, kept)
        )
        self.second = nn.Linear(inner, outputs, bias=bias)

    def mapped(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


class MergedLinear(ChannelsLast):
    """A linear map whose weights are ``W + S * V``: own ones and scaled ones of a map that is gone [Pei2024].

    ``S`` is one number, or the product of two thin matrices, entry by entry; it starts at a tenth.

    Args:
        channels: Channels that come in.
        outputs: Channels that go out.
        bias: Whether it adds a learned shift.
        inner: Width of the thin matrices; 0: ``S`` is one number.
        rank: Position axes behind the channels, 0 where the channels are last.
    """

    def __init__(self, channels: int, outputs: int, bias: bool, inner: int, rank: int) -> None:
        super().__init__(rank)
        self.own = nn.Linear(channels, outputs, bias=bias)
        self.merged = nn.Linear(channels, outputs, bias=False)
        if inner:
            start = math.sqrt(0.1 / inner)
            self.left = nn.Parameter(torch.full((outputs, inner), start))
            self.right = nn.Parameter(torch.full((inner, channels), start))
        else:
            self.scale = nn.Parameter(torch.full((), 0.1))
        self.inner = inner

    def mapped(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.left @ self.right if self.inner else self.scale
        return linear_with(self.own, x, self.own.weight + scale * self.merged.weight)


class HashLookupLinear(ChannelsLast):
    """A linear map by look-up: groups of channels are hashed to rows of tables, whose sum is the output.

    The hash of a group is the signs of its channels. Rows are weighed by how sure the signs are, which
    lets gradients through to the channels [Ding2024].

    Args:
        channels: Channels that come in; the last group may hold fewer than the others.
        outputs: Channels that go out.
        bits: Channels of a group.
        rank: Position axes behind the channels, 0 where the channels are last.
    """

    powers: torch.Tensor
    offsets: torch.Tensor

    def __init__(self, channels: int, outputs: int, bits: int, rank: int) -> None:
        super().__init__(rank)
        self.bits, self.groups = bits, -(-channels // bits)
        self.missing = self.groups * bits - channels
        self.tables = nn.Embedding(self.groups << bits, outputs)
        nn.init.normal_(self.tables.weight, std=1.0 / math.sqrt(self.groups))
        self.register_buffer("powers", 2 ** torch.arange(bits), persistent=False)
        offsets = torch.arange(self.groups) << bits
        self.register_buffer("offsets", offsets, persistent=False)

    def mapped(self, x: torch.Tensor) -> torch.Tensor:
        groups = functional.pad(x, (0, self.missing)).unflatten(-1, (self.groups, self.bits))
        rows = ((groups > 0) * self.powers).sum(-1) + self.offsets
        # The probability of the signs met, of independent bits with logits of twice the channels.
        sure = functional.logsigmoid(2.0 * groups.abs()).sum(-1).exp()
        return (self.tables(rows) * sure.unsqueeze(-1)).sum(-2)


class TokenParameterAttention(ChannelsLast):
    """A linear map by attention to learned tokens: keys are compared, values summed [Wang2024].

    Scores are divided by their root mean square over the tokens and pass through GELU.

    Args:
        channels: Channels that come in.
        outputs: Channels that go out.
        tokens: Learned pairs of key and value.
        rank: Position axes behind the channels, 0 where the channels are last.
    """

    def __init__(self, channels: int, outputs: int, tokens: int, rank: int) -> None:
        super().__init__(rank)
        self.keys = nn.Linear(channels, tokens, bias=False)
        self.values = nn.Linear(tokens, outputs, bias=False)

    def mapped(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.keys(x)
        size = scores.square().mean(-1, keepdim=True)
        return self.values(functional.gelu(scores * torch.rsqrt(size + 1e-6)))


class Adapter(ChannelsLast):
    """What comes in plus a thin map of it; the thin map gives zero at first.

    Args:
        channels: Number of channels.
        inner: Channels between the two thin matrices.
        activated: Whether GELU stands between them [Houlsby2019], with biases; else not [Hu2022].
        rank: Position axes behind the channels, 0 where the channels are last.
    """

    def __init__(self, channels: int, inner: int, activated: bool, rank: int) -> None:
        super().__init__(rank)
        self.down = nn.Linear(channels, inner, bias=activated)
        self.activation = nn.GELU() if activated else nn.Identity()
        self.up = nn.Linear(inner, channels, bias=activated)
        for parameter in self.up.parameters():
            nn.init.zeros_(parameter)

    def mapped(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.up(self.activation(self.down(x)))
