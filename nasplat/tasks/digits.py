"""``digits``: 1,797 grey 8x8 images of hand-written digits, part of scikit-learn; no download.

Source: E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI, 1998 (test part).
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch.nn import functional as F

from nasplat.errors import TaskError
from nasplat.graph.types import Image
from nasplat.tasks.classification import ClassificationTask
from nasplat.tasks.splits import split_all


def digits(*, size: int = 8, seed: int = 0) -> ClassificationTask:
    """1,797 grey images of hand-written digits, 8x8; no download.

    Args:
        size: Side of the images in pixels, 8 to 256; above 8 they are enlarged bilinearly.
        seed: Which image is in which split follows from it.

    Raises:
        TaskError: ``size`` is out of range.
    """
    from sklearn.datasets import load_digits

    if not 8 <= size <= 256:
        raise TaskError(f"size of digits must be in [8, 256], got {size}")
    pixels, labels = load_digits(return_X_y=True)
    examples = torch.from_numpy(pixels.astype(np.float32)).view(-1, 1, 8, 8) / 16
    if size != 8:
        examples = F.interpolate(examples, size=(size, size), mode="bilinear", antialias=False)
    classes = [str(digit) for digit in range(10)]
    targets = labels.astype(np.int64)
    raw = hashlib.blake2b(pixels.astype(np.uint8).tobytes() + targets.tobytes(), digest_size=16)
    return ClassificationTask(
        name="digits",
        spec={"kind": "digits", "size": size, "seed": seed},
        examples=examples,
        labels=torch.from_numpy(targets),
        classes=classes,
        splits=split_all(targets, seed, classes=classes),
        input_type=Image(1, size, size),
        source={"divide": 16, "resize": [size, size]},
        content=raw.hexdigest(),
        note=f"resized to {size}x{size}" if size != 8 else "8x8",
    )
