"""Augmentation of batches in plain torch: shift, flip, erase, mix. Seeded, on whole batches.

Series are shifted and erased along time, volumes as images with their depth among the channels: every
slice moves alike. Labels of positions move with their example. What has no positions is only mixed.

Shift pads with zeros, which is the mean after normalisation. Erasing follows [Zhong2020] with one
rectangle per image; mixing follows [Zhang2018] with one weight per example.

[Zhong2020] Z. Zhong et al.: Random Erasing Data Augmentation, AAAI.
[Zhang2018] H. Zhang et al.: mixup: Beyond Empirical Risk Minimization, ICLR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nasplat.graph.types import Image, Series, TensorType, Volume


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What is done to training examples at random.

    Attributes:
        shift: Largest shift along height and width as a part of the side, in [0, 0.5]; rounded down
            to whole pixels.
        flip: Whether half of the images are mirrored left to right.
        erase: Probability that a rectangle of an image is set to zero, in [0, 1].
        mixup: Parameter of the Beta distribution of mixing weights; 0: examples are not mixed.
    """

    shift: float = 0.0
    flip: bool = False
    erase: float = 0.0
    mixup: float = 0.0

    def examples(self, x: Tensor, kind: TensorType, generator: torch.Generator) -> Tensor:
        """Shift, flip and erase a normalised batch of images, volumes or series; others stay as they are."""
        if not isinstance(kind, Image | Volume | Series):
            return x
        return self.images(as_images(x), generator).view_as(x)

    def with_labels(
        self, x: Tensor, labels: Tensor, outside: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The same for examples with a label at every position, which move with them.

        Args:
            x: ``(batch, channels, *positions)``, normalised.
            labels: ``(batch, *positions)`` whole numbers below 2**24.
            outside: Label of positions that come in from outside.
            generator: Decides everything.

        Returns:
            Examples and labels. Erasing leaves the labels: what was there is to be guessed.
        """
        pictures = as_images(x)
        # A label of 0 is what shifting brings in, so they are counted from 0 = outside.
        marks = as_images((labels - outside).to(x.dtype)[:, None])
        moved = self._move(torch.cat((pictures, marks), 1), generator)
        split = pictures.shape[1]
        found = self._erase(moved[:, :split], generator)
        placed = moved[:, split:].round().to(labels.dtype).reshape(labels.shape) + outside
        return found.reshape(x.shape), placed

    def images(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Shift, flip and erase a normalised batch ``(batch, channels, height, width)``."""
        return self._erase(self._move(x, generator), generator)

    def _move(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.flip:
            chosen = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
            x = torch.where(chosen.to(x.device), x.flip(3), x)
        return shift(x, self.shift, generator) if self.shift else x

    def _erase(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return erase(x, self.erase, generator) if self.erase else x

    def mix(
        self, x: Tensor, targets: Tensor, classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mix every example with another one; targets become ``(batch, classes)`` probabilities."""
        if not self.mixup:
            return x, targets
        weight = _beta(self.mixup, len(x), generator).to(x.device)
        other = torch.randperm(len(x), generator=generator).to(x.device)
        shape = (-1,) + (1,) * (x.dim() - 1)
        mixed = torch.lerp(x[other], x, weight.view(shape))
        hot = F.one_hot(targets, classes).to(x.dtype)
        return mixed, torch.lerp(hot[other], hot, weight.view(-1, 1))


def as_images(x: Tensor) -> Tensor:
    """Series as images of one row, volumes as images with their depth among the channels."""
    if x.dim() == 3:
        return x[:, :, None]
    return x.flatten(1, 2) if x.dim() == 5 else x


def shift(x: Tensor, part: float, generator: torch.Generator) -> Tensor:
    """Shift each image by up to ``part`` of its sides, in whole pixels; zeros come in."""
    batch, _, height, width = x.shape
    top, left = int(part * height), int(part * width)
    if not top and not left:
        return x
    padded = F.pad(x, (left, left, top, top))
    down = torch.randint(0, 2 * top + 1, (batch, 1), generator=generator)
    right = torch.randint(0, 2 * left + 1, (batch, 1), generator=generator)
    rows = (down + torch.arange(height)).to(x.device)[:, :, None]
    columns = (right + torch.arange(width)).to(x.device)[:, None, :]
    examples = torch.arange(batch, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[examples, rows, columns].permute(0, 3, 1, 2).contiguous()


def erase(x: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Set a rectangle of 1/4 to 1/2 of each side to zero, in a part of the images."""
    batch, _, height, width = x.shape

    def span(side: int) -> Tensor:
        if side == 1:  # a series: the whole of its one row
            return torch.ones(batch, 1, dtype=torch.bool)
        length = side * (0.25 + 0.25 * torch.rand(batch, 1, generator=generator))
        start = (side - length) * torch.rand(batch, 1, generator=generator)
        position = torch.arange(side) + 0.5
        return (position >= start) & (position < start + length)

    inside = span(height)[:, :, None] & span(width)[:, None, :]
    chosen = torch.rand(batch, 1, 1, generator=generator) < probability
    return x.masked_fill((inside & chosen)[:, None].to(x.device), 0.0)


def _beta(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha); by numpy, for torch's own sampler takes no generator."""
    seed = int(torch.randint(2**62, (1,), generator=generator))
    drawn = np.random.default_rng(seed).beta(alpha, alpha, count)
    return torch.from_numpy(drawn.astype(np.float32))
