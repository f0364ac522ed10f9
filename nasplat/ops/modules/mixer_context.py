"""Mixers by context that a convolution gathers, and by waves; they know nothing of ops.

References:
    [Yang2022] J. Yang et al. Focal modulation networks. NeurIPS 2022.
    [Tang2022] Y. Tang et al. An image patch is a wave: phase-aware vision MLP. CVPR 2022.
"""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.conv import make_conv
from nasplat.ops.modules.norm import make_norm


class FocalModulation(nn.Module):
    """Context of growing reach, gated and summed, multiplies a query [Yang2022].

    Args:
        channels: Channels of the input and of the output.
        kernels: Odd side of the kernel of each level.
        norm: Whether the modulator is normalised.
        scale: Whether the context is divided by the number of levels and one.
        rank: Number of position axes.
    """

    def __init__(
        self, channels: int, kernels: tuple[int, ...], norm: bool, scale: bool, rank: int
    ) -> None:
        super().__init__()
        self.channels, self.levels = channels, len(kernels)
        self.axes = tuple(range(2, 2 + rank))
        self.scale = 1.0 / (len(kernels) + 1) if scale else 1.0
        self.entry = make_channel_map(channels, 2 * channels + len(kernels) + 1, rank)
        self.focal = nn.ModuleList(
            make_conv(rank, channels, channels, side, groups=channels, bias=False)
            for side in kernels
        )
        self.activation = nn.GELU()
        self.modulator = make_channel_map(channels, channels, rank)
        self.norm = make_norm("layer" if norm else "none", channels, rank=rank)
        self.project = make_channel_map(channels, channels, rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [self.channels, self.channels, self.levels + 1]
        query, context, gates = torch.split(self.entry(x), parts, 1)
        total = torch.zeros_like(context)
        for level, focal in enumerate(self.focal):
            context = self.activation(focal(context))
            total = total + context * gates[:, level : level + 1]
        whole = self.activation(context.mean(self.axes, keepdim=True))
        total = (total + whole * gates[:, self.levels :]) * self.scale
        return self.project(query * self.norm(self.modulator(total)))


class WaveChannelMixer(nn.Module):
    """Widen to amplitudes and phases, unfold the waves, narrow [Tang2022].

    Args:
        channels: Channels of the input and of the output.
        hidden: Channels inside.
        rank: Number of position axes of maps; 0: tokens or vectors.
    """

    def __init__(self, channels: int, hidden: int, rank: int) -> None:
        super().__init__()
        self.axis = 1 if rank else -1
        self.amplitude = make_channel_map(channels, hidden, rank)
        self.phase = make_channel_map(channels, hidden, rank)
        self.down = make_channel_map(2 * hidden, channels, rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        amplitude, phase = self.amplitude(x), self.phase(x)
        wave = [amplitude * phase.cos(), amplitude * phase.sin()]
        return self.down(torch.cat(wave, self.axis))
