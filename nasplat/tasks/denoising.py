"""Restoration of images: from an image with Gaussian noise to the image. ``Image -> Image``.

Noise is fixed for every image, drawn anew in training that is augmented. A model returns normalised
images, on the scale of its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nasplat.errors import TaskError
from nasplat.graph.types import Image
from nasplat.tasks.arrays import shape_examples
from nasplat.tasks.augment import Augment
from nasplat.tasks.images import MODES, SUFFIXES, Listing, decode, hash_files
from nasplat.tasks.indexed import INPUT, IndexedTask, channel_statistics, rounded
from nasplat.tasks.meters import ImageScore, Meter, directions
from nasplat.tasks.npz import content_of, read_npz
from nasplat.tasks.splits import split_plain

OUTPUT = "restored"


class DenoisingTask(IndexedTask):
    """Images in [0, 1], to be restored.

    Args:
        name: How the task is called in tables.
        spec: JSON from which ``load_task`` makes it again; title and fingerprint are added.
        examples: ``(n, channels, height, width)``: bytes, or floats in [0, 1].
        sigma: Standard deviation of the noise for images in [0, 1], in (0, 1].
        natural: Whether images mean the same when mirrored.
        seed: Splits and noise follow from it.
        note: End of the ``describe`` line.
        content: Hash of the raw data when it is known; None: the examples are hashed.

    Raises:
        TaskError: ``sigma`` is out of range, floats are not in [0, 1], or there are too few images.
    """

    def __init__(
        self,
        *,
        name: str,
        spec: Mapping[str, Any],
        examples: Tensor,
        sigma: float,
        natural: bool = False,
        seed: int = 0,
        note: str = "",
        content: str | None = None,
    ) -> None:
        if not 0 < sigma <= 1:
            raise TaskError(f"sigma must be in (0, 1], got {sigma}")
        if (
            examples.is_floating_point()
            and not 0 <= float(examples.min()) <= float(examples.max()) <= 1
        ):
            raise TaskError(
                f"images of {name} go from {float(examples.min()):g} to {float(examples.max()):g}; "
                "expected bytes, or numbers in [0, 1]"
            )
        kind = Image(*examples.shape[1:])
        super().__init__(
            name=name,
            spec=spec,
            splits=split_plain(len(examples), seed),
            about=["denoising", str(kind), sigma, seed],
            content=content,
            tensors=(examples,),
        )
        self._examples = examples
        self._sigma, self._seed, self._note = sigma, seed, note
        self.natural = natural
        self.inputs = {INPUT: kind}
        self.outputs = {OUTPUT: kind}
        self.metrics = directions(ImageScore.METRICS)
        self._unit = 1.0 if examples.is_floating_point() else 255.0
        mean, deviation = channel_statistics(examples, self._splits["train"], channels=True)
        self._mean, self._deviation = mean / self._unit, deviation / self._unit
        self.preprocessing = {
            "range": [0, 1],
            "mean": rounded(self._mean),
            "std": rounded(self._deviation),
        }

    def _batch(
        self, chosen: Tensor, augment: Augment | None, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        clean = (self._examples[chosen].float() / self._unit - self._mean) / self._deviation
        if augment is None:
            noise = torch.stack([self._noise(int(number)) for number in chosen])
        else:  # nothing is erased: what is not there cannot be restored from noise
            clean = Augment(shift=augment.shift, flip=augment.flip).images(clean, generator)
            noise = torch.randn(clean.shape, generator=generator)
        return (clean + noise * (self._sigma / self._deviation),), clean

    def _noise(self, number: int) -> Tensor:
        """The noise of one image, the same whatever batch it is in."""
        generator = torch.Generator().manual_seed((self._seed << 32) + number)
        return torch.randn(self._examples.shape[1:], generator=generator)

    def _loss(self, output: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """Mean squared error of normalised images."""
        return F.mse_loss(output, targets)

    def _meter(self) -> Meter:
        return ImageScore(self._deviation)

    def describe(self) -> str:
        """One line: how many images, how noisy, how split."""
        end = f", {self._note}" if self._note else ""
        return (
            f"{self.name}: {sum(self.sizes.values()):,} images with noise of sigma {self._sigma:g} "
            f"({-20 * np.log10(self._sigma):.1f} dB), {self._shares()}{end}"
        )


def denoising(
    path: str | Path,
    *,
    sigma: float = 0.1,
    size: int | None = None,
    channels: int | None = None,
    layout: str | None = None,
    natural: bool = True,
    seed: int = 0,
) -> DenoisingTask:
    """Images from noisy ones: a folder, or an ``.npz``.

    Args:
        path: A folder of images, in folders or directly, or an ``.npz`` with images as ``x``.
        sigma: Standard deviation of the noise for images in [0, 1].
        size: Side in pixels, 8 to 512, that files are cropped and resized to; None: as for
            classification.
        channels: 1, 3 or 4, for files; None: as stored.
        layout: ``NHWC`` or ``NCHW`` of an ``.npz``; None: told from the shape.
        natural: Whether images mean the same when mirrored.
        seed: Splits and noise follow from it.

    Raises:
        TaskError: Files or arrays cannot be used.
    """
    where = Path(path).expanduser().resolve()
    if where.is_dir():
        images, content = _folder(where, size, channels)
    else:
        found = read_npz(where)
        if "x" not in found:
            raise TaskError(f"{where} has no images x; it holds {', '.join(sorted(found))}")
        images, kind = shape_examples(found["x"], layout=layout, where=str(path))
        if not isinstance(kind, Image):
            raise TaskError(f"examples of {where} are of type {kind}, expected images")
        content = content_of({"x": found["x"]})
    return DenoisingTask(
        name=str(path),
        spec={
            "kind": "denoising",
            "path": str(where),
            "sigma": sigma,
            "size": size,
            "channels": channels,
            "layout": layout,
            "natural": natural,
            "seed": seed,
        },
        examples=torch.from_numpy(images),
        sigma=sigma,
        natural=natural,
        seed=seed,
        note=str(Image(*images.shape[1:])),
        content=content,
    )


def digits_noisy(*, sigma: float = 0.3, seed: int = 0) -> DenoisingTask:
    """Hand-written digits with noise, to be restored; no download.

    Args:
        sigma: Standard deviation of the noise for images in [0, 1].
        seed: Splits and noise follow from it.
    """
    from sklearn.datasets import load_digits

    pixels, _ = load_digits(return_X_y=True)
    return DenoisingTask(
        name="digits-noisy",
        spec={"kind": "digits-noisy", "sigma": sigma, "seed": seed},
        examples=torch.from_numpy(pixels.astype(np.float32) / 16).view(-1, 1, 8, 8),
        sigma=sigma,
        seed=seed,
        note="8x8",
    )


def _folder(folder: Path, size: int | None, channels: int | None) -> tuple[NDArray[np.uint8], str]:
    if size is not None and not 8 <= size <= 512:
        raise TaskError(f"size of images must be in [8, 512], got {size}")
    if channels is not None and channels not in MODES:
        raise TaskError(f"channels must be 1, 3 or 4, got {channels}")
    files = tuple(
        file
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in SUFFIXES and file.is_file()
    )
    if not files:
        raise TaskError(f"there are no images in {folder}")
    listing = Listing(folder, files, np.zeros(len(files), dtype=np.int64), (), None)
    images, _ = decode(listing, size=size, channels=channels)
    return images, hash_files(listing)
