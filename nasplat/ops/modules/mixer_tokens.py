"""Mixers whose weights belong to positions; they know nothing of ops.

Shapes: maps are ``(B, C, *axes)`` with ``rank`` position axes; tokens ``(B, L, C)`` have rank 0 here.

References:
    [Tolstikhin2021] I. Tolstikhin et al. MLP-Mixer: an all-MLP architecture for vision. NeurIPS 2021.
    [Tatsunami2022] Y. Tatsunami, M. Taki. RaftMLP. ACCV 2022.
    [Liu2021] H. Liu et al. Pay attention to MLPs. NeurIPS 2021.
    [Tu2022] Z. Tu et al. MAXIM: multi-axis MLP for image processing. CVPR 2022.
    [Yamada2025] Y. Yamada. CAT: circular-convolutional attention for sub-quadratic transformers. 2025.
    [Cao2025] K. Cao et al. RelaCtrl: relevance-guided efficient control for diffusion transformers. 2025.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.common import make_activation
from nasplat.ops.modules.norm import make_norm


class CausalLinear(nn.Linear):
    """A linear map of positions that reads no later position."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.linear(input, self.weight.tril(), self.bias)


class PositionMLP(nn.Module):
    """One linear map of the last axis, or two with an activation between them.

    Args:
        positions: Length of the axis.
        hidden: Width inside; 0: one map.
        activation: Form of the activation.
        causal: Whether no output reads a later position; with one map only.
    """

    def __init__(self, positions: int, hidden: int, activation: str, causal: bool) -> None:
        super().__init__()
        kind = CausalLinear if causal else nn.Linear
        self.up = kind(positions, hidden or positions)
        self.activation = make_activation(activation) if hidden else nn.Identity()
        self.down = nn.Linear(hidden, positions) if hidden else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.activation(self.up(x)))


class TokenMLP(nn.Module):
    """A small network over the positions, the same for every channel [Tolstikhin2021].

    Args:
        positions: Positions on the mixed axis, or of all.
        group: Neighbouring channels whose positions are mixed together [Tatsunami2022].
        hidden: Width inside; 0: one map.
        activation: Form of the activation.
        axis: The one position axis that is mixed, from 0, or ``None`` for all together.
        causal: As in :class:`PositionMLP`.
        rank: Number of position axes.
    """

    def __init__(
        self,
        positions: int,
        group: int,
        hidden: int,
        activation: str,
        axis: int | None,
        causal: bool,
        rank: int,
    ) -> None:
        super().__init__()
        self.group, self.axis, self.tokens = group, axis, rank == 0
        self.mix = PositionMLP(group * positions, hidden, activation, causal)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.tokens:
            x = x.transpose(1, 2)
        shape = x.shape
        x = x.flatten(2) if self.axis is None else x.movedim(2 + self.axis, -1)
        # The channels of a group stand side by side with the positions on the last axis.
        x = x.unflatten(1, (self.group, -1)).movedim(1, -2)
        x = self.mix(x.flatten(-2)).unflatten(-1, (self.group, -1)).movedim(-2, 1).flatten(1, 2)
        x = x.unflatten(2, shape[2:]) if self.axis is None else x.movedim(-1, 2 + self.axis)
        return x.transpose(1, 2) if self.tokens else x


class GateMixer(nn.Module):
    """A gate from a mixer: a small network over positions and one over channels, each with a skip.

    Args:
        positions: Number of positions.
        channels: Number of channels.
        activation: Form of the activation.
    """

    def __init__(self, positions: int, channels: int, activation: str) -> None:
        super().__init__()
        self.tokens = PositionMLP(positions, positions, activation, False)
        self.channels = nn.Sequential(
            nn.Linear(channels, channels),
            make_activation(activation),
            nn.Linear(channels, channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.tokens(x.transpose(-1, -2)).transpose(-1, -2)
        return x + self.channels(x)


class SpatialGatingUnit(nn.Module):
    """Half of the channels, mixed over positions, multiplies the other half [Liu2021].

    Args:
        channels: Channels that come in.
        sizes: Position axes; ``(L,)`` for tokens.
        blocks: Position axes of one part within which positions are mixed, or ``None`` for all.
        grid: Whether a part holds positions that stand far apart, else neighbours [Tu2022].
        split: Whether the input is split in halves, else a linear map of it is gated.
        network: ``"linear"`` or ``"mixer"``.
        causal: Whether no output reads a later position.
        activation: Form of the activation of a mixer.
        tokens: Whether the input is tokens.
    """

    def __init__(
        self,
        channels: int,
        sizes: tuple[int, ...],
        blocks: tuple[int, ...] | None,
        grid: bool,
        split: bool,
        network: str,
        causal: bool,
        activation: str,
        tokens: bool,
    ) -> None:
        super().__init__()
        self.split, self.tokens = split, tokens
        self.sizes = tuple(sizes)
        self.parts = None if blocks is None else tuple(blocks)
        self.grid = grid
        width = channels // 2 if split else channels
        positions = 1
        for size in self.parts or self.sizes:
            positions *= size
        self.value = nn.Identity() if split else make_channel_map(channels, channels, 0)
        self.norm = make_norm("layer", width, rank=0)
        self.mix: nn.Module
        if network == "mixer":
            self.mix = GateMixer(positions, width, activation)
        else:
            self.mix = (CausalLinear if causal else nn.Linear)(positions, positions)
            # At first the gate is one.
            nn.init.normal_(self.mix.weight, std=1e-6)
            nn.init.ones_(self.mix.bias)
        self.over_positions = network == "linear"

    def _gate(self, x: torch.Tensor) -> torch.Tensor:
        """The gate of parts, ``(..., positions, C)``."""
        if self.over_positions:
            return self.mix(x.transpose(-1, -2)).transpose(-1, -2)
        return self.mix(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.tokens:
            x = x.flatten(2).transpose(1, 2)
        value, gate = x.chunk(2, -1) if self.split else (self.value(x), x)
        gate = self.norm(gate)
        y = value * (self._gate(gate) if self.parts is None else self._in_parts(gate))
        return y if self.tokens else y.transpose(1, 2).unflatten(2, self.sizes)

    def _in_parts(self, x: torch.Tensor) -> torch.Tensor:
        """The gate of positions, ``(B, L, C)``, computed part by part."""
        assert self.parts is not None
        rank = len(self.sizes)
        cut: list[int] = []
        for size, part in zip(self.sizes, self.parts, strict=True):
            # A part of neighbours is the inner axis; one of a grid the outer.
            cut += [part, size // part] if self.grid else [size // part, part]
        inner = [1 + 2 * axis + (not self.grid) for axis in range(rank)]
        outer = [1 + 2 * axis + self.grid for axis in range(rank)]
        order = [0, *outer, *inner, 1 + 2 * rank]
        back = [order.index(axis) for axis in range(len(order))]
        parted = x.unflatten(1, tuple(cut)).permute(order)
        shape = parted.shape
        gated = self._gate(parted.flatten(1 + rank, 2 * rank))
        return gated.reshape(shape).permute(back).flatten(1, 2 * rank)


class CircularConvMixer(nn.Module):
    """Each head rolls its values by weights that a softmax over the positions makes [Yamada2025].

    ``y_i = sum_j w_(i - j) v_j``, by Fourier transforms; while a program is exported by a matrix.

    Args:
        channels: Channels of the input and of the output.
        heads: Number of heads.
        bias: Whether the maps have biases.
        rank: Number of position axes, which are read as one sequence.
    """

    def __init__(self, channels: int, heads: int, bias: bool, rank: int) -> None:
        super().__init__()
        self.heads, self.tokens = heads, rank == 0
        self.weights = nn.Linear(channels, heads, bias=bias)
        self.value = nn.Linear(channels, channels, bias=bias)
        self.project = nn.Linear(channels, channels, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        axes = x.shape[2:]
        if not self.tokens:
            x = x.flatten(2).transpose(1, 2)
        weight = self.weights(x).softmax(1).transpose(1, 2)
        value = self.value(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        length = x.shape[1]
        if torch.compiler.is_exporting():
            place = torch.arange(length)
            turned = weight[:, :, (place[:, None] - place[None, :]) % length]
            y = turned @ value
        else:
            spectrum = torch.fft.rfft(weight.float(), dim=2).unsqueeze(-1)
            spectrum = spectrum * torch.fft.rfft(value.float(), dim=2)
            y = torch.fft.irfft(spectrum, length, dim=2).to(x.dtype)
        y = self.project(y.transpose(1, 2).flatten(2))
        return y if self.tokens else y.transpose(1, 2).unflatten(2, axes)


class ShuffleMixer(nn.Module):
    """Positions and channels in a fixed random order, mixed within groups, and put back [Cao2025].

    Args:
        channels: Channels of the input and of the output.
        positions: Number of positions.
        groups: Groups of positions; divides them. Channels are in as many groups as they divide into.
        channel_groups: Groups of channels.
        seed: The order follows from it.
        rank: Number of position axes.
    """

    order: torch.Tensor
    back: torch.Tensor
    channel_order: torch.Tensor
    channel_back: torch.Tensor

    def __init__(
        self, channels: int, positions: int, groups: int, channel_groups: int, seed: int, rank: int
    ) -> None:
        super().__init__()
        self.groups, self.channel_groups, self.tokens = groups, channel_groups, rank == 0
        # Drawn on the processor whatever the default device is: the order belongs to the seed.
        draw = torch.Generator("cpu").manual_seed(seed)
        for name, size in (("", positions), ("channel_", channels)):
            order = torch.randperm(size, generator=draw, device="cpu")
            self.register_buffer(f"{name}order", order, persistent=False)
            self.register_buffer(f"{name}back", order.argsort(), persistent=False)
        size, width = positions // groups, channels // channel_groups
        self.mix = nn.Linear(size, size)
        self.channels = nn.Conv1d(channels, channels, 1, groups=channel_groups)
        self.width = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        axes = x.shape[2:]
        x = x.transpose(1, 2) if self.tokens else x.flatten(2)
        x = x[:, self.channel_order][:, :, self.order]
        x = self.mix(x.unflatten(2, (self.groups, -1))).flatten(2)
        x = self.channels(x)
        x = x[:, :, self.back][:, self.channel_back]
        return x.transpose(1, 2) if self.tokens else x.unflatten(2, axes)
