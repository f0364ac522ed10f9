"""Convolutions whose taps move or whose kernels are computed; they know nothing of ops.

References:
    [Zhu2019] X. Zhu et al. Deformable ConvNets v2: more deformable, better results. CVPR 2019.
    [Wu2019] F. Wu et al. Pay less attention with lightweight and dynamic convolutions. ICLR 2019.
    [Zhang2023] H. Zhang et al. HyperZZW operator connects slow-fast networks. 2023.
    [Liu2020] H. Liu et al. Rethinking image inpainting via a mutual encoder-decoder. ECCV 2020.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.common import make_activation
from nasplat.ops.modules.norm import make_norm


class DeformableConv(nn.Module):
    """A convolution of an image that samples its taps at learned offsets from their places [Zhu2019].

    Offsets are zero at first. What lies outside the image is zero.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: Odd side of the kernel.
        stride: Step between outputs.
        modulated: Whether every tap has a weight in (0, 2) at every position too; 1 at first.
        bias: Whether the convolution adds one.
        norm: Form of the normalisation.
        activation: Form of the activation.
    """

    taps: torch.Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        modulated: bool,
        bias: bool,
        norm: str,
        activation: str,
    ) -> None:
        super().__init__()
        self.stride, self.count, self.modulated = stride, kernel * kernel, modulated
        self.offset = nn.Conv2d(
            inputs, self.count * (3 if modulated else 2), kernel, stride, kernel // 2
        )
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]  # it has a bias
        # The taps of a channel stand side by side in the channels that this map reads.
        self.mix = nn.Conv2d(inputs * self.count, outputs, 1, bias=bias)
        self.norm = make_norm(norm, outputs, rank=2)
        self.activation = make_activation(activation)
        side = torch.arange(kernel, dtype=torch.float) - kernel // 2
        grid = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1)
        self.register_buffer("taps", grid.view(self.count, 2), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[2:]
        learned = self.offset(x)
        rows, columns = learned.shape[2:]
        moves = learned[:, : 2 * self.count].unflatten(1, (self.count, 2))
        down = torch.arange(rows, device=x.device, dtype=x.dtype) * self.stride
        right = torch.arange(columns, device=x.device, dtype=x.dtype) * self.stride
        y = moves[:, :, 0] + self.taps[:, 0].view(-1, 1, 1) + down[:, None]
        z = moves[:, :, 1] + self.taps[:, 1].view(-1, 1, 1) + right
        # The centre of the first pixel is at 1 / size - 1, that of the last at 1 - 1 / size.
        place = torch.stack([(2 * z + 1) / width - 1, (2 * y + 1) / height - 1], -1)
        met = functional.grid_sample(x, place.flatten(1, 2), align_corners=False)
        met = met.unflatten(2, (self.count, rows))
        if self.modulated:
            weight = 2.0 * torch.sigmoid(learned[:, 2 * self.count :])
            met = met * weight.unsqueeze(1)
        return self.activation(self.norm(self.mix(met.flatten(1, 2))))


def neighbours(x: torch.Tensor, kernel: int, dilation: int, causal: bool) -> torch.Tensor:
    """The positions around each position, ``(B, C, taps, *axes)``; zero outside.

    Args:
        x: A map, ``(B, C, *axes)``.
        kernel: Side of the neighbourhood.
        dilation: Step between neighbours.
        causal: Whether the neighbours are those before the position and itself.
    """
    rank = x.dim() - 2
    reach = dilation * (kernel - 1)
    first = reach if causal else reach // 2
    padded = functional.pad(x, [first, reach - first] * rank)
    found = [padded]
    for axis in range(2, 2 + rank):
        size = x.shape[axis]
        found = [item.narrow(axis, tap * dilation, size) for item in found for tap in range(kernel)]
    return torch.stack(found, 2)


class DynamicConv(nn.Module):
    """A convolution around each position whose kernel is computed.

    - ``input``: a linear map of the position says the taps, which sum to one [Wu2019];
    - ``coordinates``: a small network of the relative coordinates says the kernel, a linear map of the
      position how strongly it counts there [Zhang2023];
    - ``content_and_distance``: the likeness of the position and its neighbours less a learned multiple of
      their squared distance says the taps, which sum to one [Liu2020].

    Args:
        channels: Channels of the input and of the output.
        kernel: Side of the kernel.
        form: One of the three.
        heads: Groups of channels with a kernel of their own.
        rank: Number of position axes of maps; 0: the input is tokens.
        dilation: Step between taps.
        causal: Whether taps lie before the position; on one axis.
        hidden: Width of the network of coordinates.
    """

    places: torch.Tensor

    def __init__(
        self,
        channels: int,
        kernel: int,
        form: str,
        heads: int,
        rank: int,
        dilation: int,
        causal: bool,
        hidden: int,
    ) -> None:
        super().__init__()
        self.kernel, self.form, self.heads = kernel, form, heads
        self.dilation, self.causal, self.tokens = dilation, causal, rank == 0
        rank = max(1, rank)
        self.value = make_channel_map(channels, channels, rank)
        self.project = make_channel_map(channels, channels, rank)
        side = torch.arange(kernel, dtype=torch.float)
        side = side - (kernel - 1 if causal else kernel // 2)
        grid = torch.stack(torch.meshgrid(*[side] * rank, indexing="ij"), -1).flatten(0, -2)
        self.register_buffer("places", grid / max(1, kernel - 1), persistent=False)
        if form == "input":
            self.taps = make_channel_map(channels, heads * kernel**rank, rank)
        elif form == "coordinates":
            self.network = nn.Sequential(
                nn.Linear(rank, hidden), nn.GELU(), nn.Linear(hidden, heads)
            )
            self.gate = make_channel_map(channels, heads, rank)
        else:
            self.query = make_channel_map(channels, channels, rank)
            self.key = make_channel_map(channels, channels, rank)
            self.steepness = nn.Parameter(torch.zeros(heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.tokens:
            x = x.transpose(1, 2)
        values = self._around(self.value(x))
        y = (self._weights(x).unsqueeze(2) * values).sum(3).flatten(1, 2)
        y = self.project(y)
        return y.transpose(1, 2) if self.tokens else y

    def _around(self, x: torch.Tensor) -> torch.Tensor:
        """Neighbours by heads, ``(B, heads, channels of one, taps, *axes)``."""
        found = neighbours(x, self.kernel, self.dilation, self.causal)
        return found.unflatten(1, (self.heads, -1))

    def _weights(self, x: torch.Tensor) -> torch.Tensor:
        """Weights of the taps, ``(B, heads, taps, *axes)`` or ``(1, heads, taps, ...)``."""
        ones = [1] * (x.dim() - 2)
        if self.form == "input":
            return self.taps(x).unflatten(1, (self.heads, -1)).softmax(2)
        if self.form == "coordinates":
            kernel = self.network(self.places).T.view(1, self.heads, -1, *ones)
            return kernel * self.gate(x).unsqueeze(2)
        query = self.query(x).unflatten(1, (self.heads, -1)).unsqueeze(3)
        likeness = (query * self._around(self.key(x))).sum(2) / math.sqrt(query.shape[2])
        near = functional.softplus(self.steepness).view(-1, 1, *ones)
        distance = self.places.square().sum(1).view(-1, *ones)
        return (likeness - near * distance).softmax(2)
