"""``scenes``: pictures composed of hand-written digits, to be segmented; no download.

Every scene holds several of scikit-learn's digits (see ``digits``), enlarged at random, each with its
own brightness, on a canvas with faint noise. The class of a pixel is the digit that drew it, or the
background. Training, validation and test scenes are composed of different digits, so that a test scene
shows handwriting that training never saw.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from nasplat.errors import TaskError
from nasplat.graph.types import Image
from nasplat.tasks.segmentation import SegmentationTask
from nasplat.tasks.splits import split_all, split_sizes

VERSION = 1
"""Changes whenever other scenes come out of the same options."""

INK = 0.25
"""A pixel belongs to a digit from this part of full ink on."""
FLOATS = NDArray[np.float32]


def scenes(
    *,
    size: int = 32,
    digits: int = 3,
    classes: int = 10,
    count: int = 400,
    dice: float = 0.0,
    seed: int = 0,
) -> SegmentationTask:
    """Digits of several sizes on one canvas, a class for each pixel; no download.

    Args:
        size: Side of a scene in pixels, 16 to 512.
        digits: Digits in a scene, 1 to 100; later ones cover earlier ones.
        classes: Digits that occur, from 0 on, 1 to 10; the background is one class more.
        count: Number of scenes, 30 to 100,000; 80/10/10 are for training, validation and test.
        dice: Weight of the Dice loss beside the cross-entropy.
        seed: The scenes follow from it.

    Raises:
        TaskError: An option is out of range.
    """
    ranges = {
        "size": (size, 16, 512),
        "digits": (digits, 1, 100),
        "classes": (classes, 1, 10),
        "count": (count, 30, 100_000),
    }
    wrong = [
        f"{name} must be in [{low}, {high}], got {value}"
        for name, (value, low, high) in ranges.items()
        if not low <= value <= high
    ]
    if wrong:
        raise TaskError(f"options of scenes are out of range: {'; '.join(wrong)}")
    pictures, labels = _digits(classes)
    parts = split_all(labels, seed, classes=[str(label) for label in range(classes)])
    held = round(0.1 * count)
    sizes = (count - 2 * held, held, held)
    rng = np.random.default_rng([VERSION, seed, size, digits, classes])
    examples = np.empty((count, 1, size, size), dtype=np.float32)
    masks = np.zeros((count, size, size), dtype=np.uint8)
    number = 0
    for part, share in zip((parts.train, parts.validation, parts.test), sizes, strict=True):
        for _ in range(share):
            _compose(examples[number, 0], masks[number], pictures, labels, part, digits, rng)
            number += 1
    raw = hashlib.blake2b(pictures.tobytes() + labels.tobytes(), digest_size=16).hexdigest()
    return SegmentationTask(
        name="scenes",
        spec={
            "kind": "scenes",
            "size": size,
            "digits": digits,
            "classes": classes,
            "count": count,
            "dice": dice,
            "seed": seed,
        },
        examples=torch.from_numpy(examples),
        masks=torch.from_numpy(masks),
        classes=("background", *(str(label) for label in range(classes))),
        splits=split_sizes(sizes),
        input_type=Image(1, size, size),
        dice=dice,
        source={"range": [0, 1]},
        note=f"{digits} digits on {size}x{size}",
        content=f"scenes {VERSION} {raw} {size} {digits} {classes} {count} {seed}",
    )


def _digits(classes: int) -> tuple[FLOATS, NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    kept = labels < classes
    pictures = (pixels[kept].astype(np.float32) / 16).reshape(-1, 8, 8)
    return pictures, labels[kept].astype(np.int64)


def _compose(
    canvas: FLOATS,
    mask: NDArray[np.uint8],
    pictures: FLOATS,
    labels: NDArray[np.int64],
    part: NDArray[np.int64],
    digits: int,
    rng: np.random.Generator,
) -> None:
    """Draw one scene into ``canvas`` and its classes into ``mask``."""
    size = len(canvas)
    canvas[:] = np.abs(rng.normal(scale=0.05, size=canvas.shape))
    largest = max(9, size // 2)
    for chosen in rng.choice(part, digits):
        side = int(rng.integers(8, largest + 1))
        top, left = rng.integers(0, size - side + 1, size=2)
        ink = _enlarged(pictures[chosen], side)
        where = (slice(top, top + side), slice(left, left + side))
        drawn = ink >= INK
        # Brightness tells digits of one scene apart, as light does in a picture of things.
        canvas[where] = np.where(drawn, ink * rng.uniform(0.5, 1.0), canvas[where])
        mask[where] = np.where(drawn, labels[chosen] + 1, mask[where])


def _enlarged(picture: FLOATS, side: int) -> FLOATS:
    if side == len(picture):
        return picture
    tensor = torch.from_numpy(picture)[None, None]
    made: FLOATS = F.interpolate(tensor, (side, side), mode="bilinear")[0, 0].numpy()
    return made
