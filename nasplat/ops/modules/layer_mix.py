"""Residual paths that are no plain sum: mixes of all earlier layers, steps on a sphere; they know no ops.

References:
    [Xiao2025] D. Xiao et al. MUDDFormer: breaking residual bottlenecks in transformers. ICML 2025.
    [Loshchilov2025] I. Loshchilov et al. nGPT: normalized transformer with representation learning on the
        hypersphere. ICLR 2025.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import channel_shape


class DynamicLayerMix(nn.Module):
    """Weighted sums of several inputs, the weights made from the first of them at each position [Xiao2025].

    At first every sum is the first input.

    Args:
        dim: Number of channels.
        inputs: Number of inputs.
        streams: Number of sums.
    """

    def __init__(self, dim: int, inputs: int, streams: int) -> None:
        super().__init__()
        self.streams = streams
        count = inputs * streams
        self.first = nn.Linear(dim, count, bias=False)
        self.second = nn.Linear(count, count, bias=True)
        nn.init.zeros_(self.second.weight)
        with torch.no_grad():
            static = torch.zeros(streams, inputs)
            static[:, 0] = 1.0
            self.second.bias.copy_(static.flatten())

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        token = functional.rms_norm(inputs[0], inputs[0].shape[-1:], eps=1e-6)
        weights = self.second(functional.gelu(self.first(token))).chunk(self.streams, -1)
        sums = []
        for weight in weights:
            total = inputs[0] * weight[..., :1]
            for number, other in enumerate(inputs[1:], start=1):
                total = total + other * weight[..., number : number + 1]
            sums.append(total)
        return sums[0] if self.streams == 1 else tuple(sums)


class SphereStep(nn.Module):
    """From a point of the unit sphere a part of the way to another, and back to the sphere [Loshchilov2025].

    Args:
        channels: Number of channels.
        rate: Part of the way before training, for each channel.
        rank: Position axes behind the channels, 0 where the channels are last.
    """

    def __init__(self, channels: int, rate: float, rank: int) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.full((channels,), rate))
        self.shape = channel_shape(channels, rank)
        self.axis = 1 if rank else -1

    def forward(self, x: torch.Tensor, proposal: torch.Tensor) -> torch.Tensor:
        x = functional.normalize(x, dim=self.axis)
        proposal = functional.normalize(proposal, dim=self.axis)
        step = self.rate.abs().view(self.shape) * (proposal - x)
        return functional.normalize(x + step, dim=self.axis)
