"""Layers that keep or change the resolution of maps, ``(B, C, *axes)``; they know nothing of ops."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.conv import ConvBlock, make_conv
from nasplat.ops.modules.norm import make_norm


class Zero(nn.Module):
    """Zeros in the shape of the input, every ``stride``-th position of a map."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride > 1:
            x = x[(slice(None), slice(None), *[slice(None, None, self.stride)] * (x.dim() - 2))]
        return torch.zeros_like(x)


class Pool(nn.Module):
    """Pool a map into ``ceil(axis / stride)`` positions on every axis.

    Args:
        mode: ``"avg"`` (padding does not count) or ``"max"``.
        kernel: Side of the neighbourhood: odd, or even with an even stride no larger than it.
        stride: Step between outputs.
        rank: Number of position axes.
        tokens: Whether the input is tokens, ``(B, L, C)``; then ``rank`` is 1.
    """

    def __init__(
        self, mode: str, kernel: int, stride: int, rank: int = 2, tokens: bool = False
    ) -> None:
        super().__init__()
        self.tokens = tokens
        padding = kernel // 2 if kernel % 2 else (kernel - stride) // 2
        # With an even kernel the last window may hang over the edge.
        hangs = kernel % 2 == 0
        means: list[type[nn.Module]] = [nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d]
        tops: list[type[nn.Module]] = [nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d]
        self.pool: nn.Module
        if mode == "avg":
            self.pool = means[rank - 1](kernel, stride, padding, hangs, count_include_pad=False)
        else:
            self.pool = tops[rank - 1](kernel, stride, padding, ceil_mode=hangs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.tokens:
            return self.pool(x.transpose(1, 2)).transpose(1, 2)
        return self.pool(x)


def fold_positions(x: torch.Tensor, factor: int) -> torch.Tensor:
    """Lay cubes of side ``factor`` side by side in the channels: ``(B, C * factor ** rank, *axes)``."""
    rank = x.dim() - 2
    for axis in range(rank):
        x = x.unflatten(2 + 2 * axis, (-1, factor))
    inner = [3 + 2 * axis for axis in range(rank)]
    outer = [2 + 2 * axis for axis in range(rank)]
    return x.permute(0, 1, *inner, *outer).flatten(1, 1 + rank)


def unfold_positions(x: torch.Tensor, factor: int) -> torch.Tensor:
    """Undo :func:`fold_positions`."""
    rank = x.dim() - 2
    x = x.unflatten(1, (-1, *(factor for _ in range(rank))))
    order = [axis for pair in range(rank) for axis in (2 + rank + pair, 2 + pair)]
    x = x.permute(0, 1, *order)
    for axis in range(rank):
        x = x.flatten(2 + axis, 3 + axis)
    return x


class PatchMerging(nn.Module):
    """Lay cubes of neighbours side by side in the channels, normalise, project.

    A map that does not divide is padded with zeros behind.

    Args:
        channels: Channels that come in.
        outputs: Channels that go out.
        pad: What is added behind each axis, the last axis first.
        factor: Side of the square or cube that is merged.
        norm: Form of the normalisation before the projection.
        bias: Whether the projection has a bias.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        pad: tuple[int, ...],
        factor: int,
        norm: str,
        bias: bool = False,
    ) -> None:
        super().__init__()
        rank = len(pad)
        self.pad = [size for after in pad for size in (0, after)]
        self.factor = factor
        merged = factor**rank * channels
        self.norm = make_norm(norm, merged, rank=rank)
        self.reduction = make_channel_map(merged, outputs, rank, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if any(self.pad):
            x = functional.pad(x, self.pad)
        return self.reduction(self.norm(fold_positions(x, self.factor)))


class PoolProjection(nn.Module):
    """Pool a map, then project its channels and normalise them."""

    def __init__(
        self, channels: int, outputs: int, mode: str, kernel: int, stride: int, norm: str, rank: int
    ) -> None:
        super().__init__()
        self.pool = Pool(mode, kernel, stride, rank)
        self.project = make_channel_map(channels, outputs, rank, bias=norm == "none")
        self.norm = make_norm(norm, outputs, rank=rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.project(self.pool(x)))


class PatchStem(nn.Module):
    """Cut a map into patches and project each; a map that does not divide is padded with zeros.

    Args:
        inputs: Channels of the map.
        outputs: Channels that go out.
        patch: Side of a patch.
        pad: What is added behind each axis, the last axis first.
        norm: Form of the normalisation after the projection.
        tokens: Whether patches go out as tokens, ``(B, L, outputs)``, row by row, else as a map.
    """

    def __init__(
        self, inputs: int, outputs: int, patch: int, pad: tuple[int, ...], norm: str, tokens: bool
    ) -> None:
        super().__init__()
        rank = len(pad)
        self.pad = [size for after in pad for size in (0, after)]
        self.tokens = tokens
        self.project = make_conv(rank, inputs, outputs, patch, patch, padded=False)
        self.norm = make_norm(norm, outputs, rank=0 if tokens else rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if any(self.pad):
            x = functional.pad(x, self.pad)
        x = self.project(x)
        return self.norm(x.flatten(2).transpose(1, 2) if self.tokens else x)


class ConvStem(nn.Sequential):
    """Convolutions of stride 2, one for each doubling; all but the last have half the channels.

    Args:
        inputs: Channels of the map.
        outputs: Channels that go out.
        steps: Number of convolutions; with 0 there is one of stride 1.
        kernel: Odd side of the kernels.
        norm: Form of the normalisation after each.
        activation: Form of the activation after each.
        rank: Number of position axes.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        steps: int,
        kernel: int,
        norm: str,
        activation: str,
        rank: int,
    ) -> None:
        widths = [inputs] + [max(1, outputs // 2)] * (steps - 1) + [outputs]
        blocks = [
            ConvBlock(
                widths[index],
                widths[index + 1],
                kernel,
                stride=2 if steps else 1,
                bias=norm == "none",
                norm=norm,
                activation=activation,
                rank=rank,
            )
            for index in range(len(widths) - 1)
        ]
        super().__init__(*blocks)


class ImageToTokens(nn.Module):
    """Read the positions of a map, ``(B, C, *axes)``, row by row as tokens, ``(B, L, C)``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).transpose(1, 2)


class TokensToImage(nn.Module):
    """Lay tokens, ``(B, L, C)``, out row by row on the given axes; a second input is not looked at."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def forward(self, x: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
        return x.transpose(1, 2).unflatten(2, self.axes)


class Upsample(nn.Module):
    """Change the size of a map by a factor.

    Args:
        factor: Of every axis.
        mode: ``"nearest"``, ``"linear"``, ``"bilinear"`` or ``"trilinear"``.
        size: The new axes, where the factor is not whole.
    """

    def __init__(self, factor: float, mode: str, size: tuple[int, ...] | None) -> None:
        super().__init__()
        self.factor = factor
        self.mode = mode
        self.size = None if size is None else list(size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.size is None:
            return functional.interpolate(x, scale_factor=self.factor, mode=self.mode)
        return functional.interpolate(x, self.size, mode=self.mode)
