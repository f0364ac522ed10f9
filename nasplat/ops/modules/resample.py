"""Layers that keep or lower the resolution of images, ``(B, C, H, W)``; they know nothing of ops."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.common import make_norm
from nasplat.ops.modules.conv import ConvBlock


class Zero(nn.Module):
    """Zeros in the shape of the input, every ``stride``-th position of an image."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return torch.zeros_like(x)


class Pool(nn.Module):
    """Pool an image with an odd kernel into ``ceil(H / stride)`` by ``ceil(W / stride)`` positions.

    Args:
        mode: ``"avg"`` (padding does not count) or ``"max"``.
        kernel: Odd side of the kernel.
        stride: Step between outputs.
    """

    def __init__(self, mode: str, kernel: int, stride: int) -> None:
        super().__init__()
        self.pool: nn.Module
        if mode == "avg":
            self.pool = nn.AvgPool2d(kernel, stride, kernel // 2, count_include_pad=False)
        else:
            self.pool = nn.MaxPool2d(kernel, stride, kernel // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(x)


class PatchMerging(nn.Module):
    """Lay ``factor`` by ``factor`` neighbours side by side in the channels, normalise, project.

    An image that does not divide is padded with zeros to the right and below.

    Args:
        channels: Channels that come in.
        outputs: Channels that go out.
        pad: Columns to add to the right and rows to add below.
        factor: Side of the square that is merged.
        norm: Form of the normalisation before the projection.
    """

    def __init__(
        self, channels: int, outputs: int, pad: tuple[int, int], factor: int, norm: str
    ) -> None:
        super().__init__()
        self.pad = (0, pad[0], 0, pad[1])
        self.factor = factor
        self.norm = make_norm(norm, factor * factor * channels, image=True)
        self.reduction = nn.Conv2d(factor * factor * channels, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if any(self.pad):
            x = functional.pad(x, self.pad)
        return self.reduction(self.norm(functional.pixel_unshuffle(x, self.factor)))


class PoolProjection(nn.Module):
    """Pool an image, then project its channels and normalise them."""

    def __init__(
        self, channels: int, outputs: int, mode: str, kernel: int, stride: int, norm: str
    ) -> None:
        super().__init__()
        self.pool = Pool(mode, kernel, stride)
        self.project = nn.Conv2d(channels, outputs, 1, bias=norm == "none")
        self.norm = make_norm(norm, outputs, image=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.project(self.pool(x)))


class PatchStem(nn.Module):
    """Cut an image into patches and project each; an image that does not divide is padded with zeros.

    Args:
        inputs: Channels of the image.
        outputs: Channels that go out.
        patch: Side of a patch.
        pad: Columns to add to the right and rows to add below.
        norm: Form of the normalisation after the projection.
        tokens: Whether patches go out as tokens, ``(B, L, outputs)``, row by row, else as an image.
    """

    def __init__(
        self, inputs: int, outputs: int, patch: int, pad: tuple[int, int], norm: str, tokens: bool
    ) -> None:
        super().__init__()
        self.pad = (0, pad[0], 0, pad[1])
        self.tokens = tokens
        self.project = nn.Conv2d(inputs, outputs, patch, patch)
        self.norm = make_norm(norm, outputs, image=not tokens)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if any(self.pad):
            x = functional.pad(x, self.pad)
        x = self.project(x)
        return self.norm(x.flatten(2).transpose(1, 2) if self.tokens else x)


class ConvStem(nn.Sequential):
    """Convolutions of stride 2, one for each doubling; all but the last have half the channels.

    Args:
        inputs: Channels of the image.
        outputs: Channels that go out.
        steps: Number of convolutions; with 0 there is one of stride 1.
        kernel: Odd side of the kernels.
        norm: Form of the normalisation after each.
        activation: Form of the activation after each.
    """

    def __init__(
        self, inputs: int, outputs: int, steps: int, kernel: int, norm: str, activation: str
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
            )
            for index in range(len(widths) - 1)
        ]
        super().__init__(*blocks)


class ImageToTokens(nn.Module):
    """Read the positions of an image, ``(B, C, H, W)``, row by row as tokens, ``(B, H * W, C)``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).transpose(1, 2)


class TokensToImage(nn.Module):
    """Lay tokens, ``(B, H * W, C)``, out row by row as an image of the given height."""

    def __init__(self, height: int) -> None:
        super().__init__()
        self.height = height

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2).unflatten(2, (self.height, -1))


class Upsample(nn.Module):
    """Enlarge an image by a whole factor; ``mode`` is ``"nearest"`` or ``"bilinear"``."""

    def __init__(self, factor: int, mode: str) -> None:
        super().__init__()
        self.factor = factor
        self.mode = mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=float(self.factor), mode=self.mode)
