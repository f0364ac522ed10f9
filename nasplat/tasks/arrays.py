"""A task from arrays: an ``.npz`` of examples and class labels, checked before anything trains.

Names of the arrays are those of ``nasplat.tasks.npz``. Examples: ``(N, H, W)``, ``(N, H, W, C)``,
``(N, C, H, W)`` images, ``(N, D)`` vectors, or encoded images with their offsets.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageOps

from nasplat.errors import TaskError
from nasplat.graph.types import Image, TensorType, Vector
from nasplat.tasks.classification import ClassificationTask, encode_labels
from nasplat.tasks.npz import (
    ENCODED,
    Pair,
    content_of,
    join_splits,
    labels_of,
    marked,
    read_npz,
    rows_of,
)
from nasplat.tasks.splits import split_all, split_given_test, split_marked_test, split_sizes

Array = NDArray[Any]

LAYOUTS = ("NHWC", "NCHW")


def arrays(
    path: str | Path,
    *,
    layout: str | None = None,
    natural: bool = False,
    size: int | None = None,
    label: str | None = None,
    test: str | None = None,
    test_file: str | None = None,
    seed: int = 0,
) -> ClassificationTask:
    """Classes of images or vectors in an ``.npz``.

    Args:
        path: The file.
        layout: ``NHWC`` or ``NCHW`` of examples with four axes; None: told from the shape.
        natural: Whether images keep their class when mirrored.
        size: Side in pixels, 8 to 512, that encoded images are cropped and resized to; None: as they
            are, which must then be the same for all.
        label: Name of the array of labels; None: ``y`` or ``labels``.
        test: Which examples are for testing, such as ``fold=9``; None: split by seed.
        test_file: Another ``.npz`` of the same names that holds the test split.
        seed: Which example is in which split follows from it.

    Raises:
        TaskError: The file, its names, types, shapes or values cannot be used; all offences of one
            kind are named.
    """
    file = Path(path).expanduser().resolve()
    found = read_npz(file)
    content = content_of(found) + ("" if label is None else f" {label}")
    pair = _pair(found, file, size=size, label=label)
    tests = None if test is None else marked(found, test, len(pair.x), str(path))
    if tests is not None and (pair.sizes or test_file):
        raise TaskError(f"{path} has a test split of its own: leave out test={test}")
    other = None if test_file is None else Path(test_file).expanduser().resolve()
    if other is not None:
        more = read_npz(other)
        content += content_of(more)
        pair = _with_test(pair, _pair(more, other, size=size, label=label), file, other)
    examples, input_type = shape_examples(pair.x, layout=layout, where=str(path))
    labels, classes = encode_labels(check_labels(pair.y, where=str(path)), _names(found))
    numbers = labels.numpy()
    if tests is not None:
        splits = split_marked_test(numbers, tests, seed, classes=classes)
    elif pair.sizes is None:
        splits = split_all(numbers, seed, classes=classes)
    elif pair.sizes[1]:
        splits = split_sizes(pair.sizes)
        _check_every_class(numbers[splits.train], classes)
    else:
        splits = split_given_test(numbers, pair.sizes[2], seed, classes=classes)
    return ClassificationTask(
        name=str(path),
        spec={
            "kind": "arrays",
            "path": str(file),
            "layout": layout,
            "natural": natural,
            "size": size,
            "label": label,
            "test": test,
            "test_file": None if other is None else str(other),
            "seed": seed,
        },
        examples=torch.from_numpy(examples),
        labels=labels,
        classes=classes,
        splits=splits,
        input_type=input_type,
        natural=natural,
        note=str(input_type),
        content=content,
    )


def _pair(found: Mapping[str, Array], file: Path, *, size: int | None, label: str | None) -> Pair:
    """Examples and labels of one file."""
    if size is not None and not 8 <= size <= 512:
        raise TaskError(f"size of images must be in [8, 512], got {size}")
    kind = next((name for name in ENCODED if name in found), None)
    if kind is not None and "offsets" in found:
        rows = rows_of(found[kind], found["offsets"], f"{kind} in {file}")
        y = labels_of(found, len(rows), label, str(file))
        return Pair(_decoded(rows, size, file), y, None)
    if size is not None:
        raise TaskError(
            f"size is for encoded images (arrays {', '.join(ENCODED)}), {file} has none",
            hint="save arrays in the size that you want",
        )
    named = dict(found)
    if label is not None:
        named["y"] = labels_of(found, len(found.get("x", ())), label, str(file))
    extra = [
        name
        for name, array in found.items()
        if name not in ("x", "y") and "x" in found and array.shape == found["x"].shape[:1]
    ]
    return join_splits(named, file, others=("classes", *extra))


def _with_test(pair: Pair, test: Pair, file: Path, other: Path) -> Pair:
    """Examples of one file, with another file as their test split."""
    for one, met in ((file, pair), (other, test)):
        if met.sizes is not None:
            raise TaskError(f"{one} has splits of its own, so it takes no test_file")
    if pair.x.shape[1:] != test.x.shape[1:]:
        raise TaskError(
            f"examples of {file} have shape {pair.x.shape[1:]}, those of {other} {test.x.shape[1:]}"
        )
    x, y = np.concatenate((pair.x, test.x)), np.concatenate((pair.y, test.y))
    return Pair(x, y, (len(pair.x), 0, len(test.x)))


def _decoded(rows: list[Array], size: int | None, file: Path) -> Array:
    """Encoded images as ``(n, height, width, channels)`` bytes.

    Raises:
        TaskError: Images cannot be read, or differ in size or channels; the first ones are named.
    """
    found: list[Array] = []
    wrong: list[str] = []
    for number, row in enumerate(rows):
        try:
            with Picture.open(io.BytesIO(row.astype(np.uint8).tobytes())) as picture:
                plain = picture if picture.mode == "L" else picture.convert("RGB")
                if size is not None:
                    plain = ImageOps.fit(plain, (size, size), Picture.Resampling.BICUBIC)
                made = np.asarray(plain, dtype=np.uint8)
        except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError) as error:
            wrong.append(f"{number} ({error})")
            continue
        found.append(made if made.ndim == 3 else made[:, :, None])
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise TaskError(
            f"{len(wrong)} of {len(rows)} images in {file} cannot be read: number "
            f"{', '.join(wrong[:5])}{more}"
        )
    if len({made.shape for made in found}) > 1:
        odd = sorted({made.shape for made in found})
        raise TaskError(
            f"the images in {file} have different sizes or channels, such as {odd[0]} and {odd[1]}",
            hint="give them one size: size=96; convert those with other channels",
        )
    return np.stack(found)


def _names(found: Mapping[str, Array]) -> tuple[str, ...]:
    """Names of the classes that a file gives, in the order of their numbers."""
    names = found.get("classes")
    return () if names is None or names.ndim != 1 else tuple(str(name) for name in names)


def _check_every_class(labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    absent = [name for number, name in enumerate(classes) if not (labels == number).any()]
    if absent:
        raise TaskError(f"y_train has no example of the classes {', '.join(absent)}")


def shape_examples(x: Array, *, layout: str | None, where: str) -> tuple[Array, TensorType]:
    """Bring examples to ``(n, *type.shape)``, bytes or float32.

    Args:
        x: Two, three or four axes, the first over examples.
        layout: ``NHWC``, ``NCHW`` or None.
        where: What the examples belong to, for errors.

    Raises:
        TaskError: Shape, type or values cannot be used.
    """
    if layout is not None and layout.upper() not in LAYOUTS:
        raise TaskError(f"layout must be {' or '.join(LAYOUTS)}, got {layout!r}")
    if x.dtype.kind not in "fiub":
        raise TaskError(f"examples of {where} must be numbers, they are of type {x.dtype}")
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise TaskError(
            f"examples of {where} have shape {x.shape}; expected (N, H, W), (N, H, W, C), "
            "(N, C, H, W) or (N, D), no axis empty"
        )
    if x.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(1))
        if len(bad):
            shown = ", ".join(map(str, bad[:5])) + (", ..." if len(bad) > 5 else "")
            raise TaskError(
                f"{len(bad)} of {len(x)} examples of {where} hold NaN or infinity: number {shown}",
                hint="remove or fill them before saving the arrays",
            )
    values = x if x.dtype == np.uint8 else x.astype(np.float32)
    if values.ndim == 2:
        return np.ascontiguousarray(values), Vector(values.shape[1])
    if values.ndim == 3:
        values = values[:, None]
    elif _layout(values.shape, layout, where) == "NHWC":
        values = values.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(values), Image(*values.shape[1:])


def _layout(shape: tuple[int, ...], layout: str | None, where: str) -> str:
    if layout is not None:
        return layout.upper()
    first, last = shape[1] <= 4, shape[3] <= 4
    if first == last:
        raise TaskError(
            f"the axes of examples of shape {shape} in {where} cannot be told apart",
            hint="say which it is: layout=NHWC (channels last) or layout=NCHW (channels first)",
        )
    return "NHWC" if last else "NCHW"


def check_labels(y: Array, *, where: str) -> Array:
    """Check labels: one per example, whole numbers or text.

    Raises:
        TaskError: They are neither.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise TaskError(f"labels of {where} have shape {y.shape}; expected one class each, (N,)")
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            raise TaskError(f"labels of {where} hold NaN or infinity")
        if (y != np.round(y)).any():
            raise TaskError(
                f"labels of {where} are not whole numbers (such as {y[y != np.round(y)][0]})",
                hint="tasks are classification: give class numbers or names",
            )
        return y.astype(np.int64)
    if y.dtype.kind not in "iubUS":
        raise TaskError(f"labels of {where} must be whole numbers or text, not {y.dtype}")
    return y
