"""A task from arrays: an ``.npz`` of examples and class labels, checked before anything trains.

Names: ``x`` and ``y``, or ready splits ``x_train, y_train, x_test, y_test`` (and optionally
``x_val, y_val``). Examples: ``(N, H, W)``, ``(N, H, W, C)``, ``(N, C, H, W)`` images or ``(N, D)``
vectors.
"""

from __future__ import annotations

import hashlib
import itertools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nasplat.errors import TaskError
from nasplat.graph.types import Image, TensorType, Vector
from nasplat.tasks.classification import ClassificationTask, encode_labels
from nasplat.tasks.splits import Splits, split_all, split_given_test

Array = NDArray[Any]

LAYOUTS = ("NHWC", "NCHW")
ALIASES = {"validation": "val", "valid": "val"}
SETS = ({"x", "y"}, {"x_train", "y_train", "x_test", "y_test"})
OPTIONAL = {"x_val", "y_val"}


def arrays(
    path: str | Path, *, layout: str | None = None, natural: bool = False, seed: int = 0
) -> ClassificationTask:
    """Load an ``.npz`` file.

    Args:
        path: The file.
        layout: ``NHWC`` or ``NCHW`` of examples with four axes; None: told from the shape.
        natural: Whether images keep their class when mirrored.
        seed: Which example is in which split follows from it.

    Raises:
        TaskError: The file, its names, types, shapes or values cannot be used; all offences of one
            kind are named.
    """
    file = Path(path).expanduser().resolve()
    found = _read(file)
    x, y, sizes = _join(found, file)
    examples, input_type = shape_examples(x, layout=layout, where=str(path))
    labels, classes = encode_labels(check_labels(y, where=str(path)))
    numbers = labels.numpy()
    if sizes is None:
        splits = split_all(numbers, seed, classes=classes)
    elif sizes[1]:
        bounds = np.cumsum((0, *sizes))
        splits = Splits(*(np.arange(a, b) for a, b in itertools.pairwise(bounds)))
        _check_every_class(numbers[splits.train], classes)
    else:
        splits = split_given_test(numbers, sizes[2], seed, classes=classes)
    return ClassificationTask(
        name=str(path),
        spec={
            "kind": "arrays",
            "path": str(file),
            "layout": layout,
            "natural": natural,
            "seed": seed,
        },
        examples=torch.from_numpy(examples),
        labels=labels,
        classes=classes,
        splits=splits,
        input_type=input_type,
        natural=natural,
        note=str(input_type),
        content=_content(found),
    )


def _read(file: Path) -> dict[str, Array]:
    if not file.is_file():
        raise TaskError(f"there is no file {file}")
    try:
        with open(file, "rb") as opened:
            archive = np.load(opened, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise TaskError(f"{file} holds a single array; expected an .npz of x and y")
            found = {name.lower(): _array(archive, name, file) for name in archive.files}
    except TaskError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise TaskError(f"{file} is not a readable .npz file: {error}") from error
    for long, short in ALIASES.items():
        for axis in "xy":
            if f"{axis}_{long}" in found:
                found[f"{axis}_{short}"] = found.pop(f"{axis}_{long}")
    return found


def _array(archive: Mapping[str, Array], name: str, file: Path) -> Array:
    try:
        return np.asarray(archive[name])
    except ValueError as error:
        raise TaskError(
            f"array {name!r} of {file} cannot be read: {error}",
            hint="store plain numbers, not Python objects",
        ) from error


def _join(
    found: Mapping[str, Array], file: Path
) -> tuple[Array, Array, tuple[int, int, int] | None]:
    """Join ready splits to one array each, with their sizes (train, validation, test)."""
    names = set(found)
    if names != SETS[0] and names - OPTIONAL != SETS[1]:
        raise TaskError(
            f"{file} holds the arrays {', '.join(sorted(names)) or 'none'}; expected x, y or "
            "x_train, y_train, x_test, y_test (and optionally x_val, y_val)",
            hint="rename them: np.savez(path, x=examples, y=labels)",
        )
    if len(names & OPTIONAL) == 1:
        raise TaskError(
            f"{file} holds {(names & OPTIONAL).pop()} alone; x_val and y_val go together"
        )
    parts = [""] if names == SETS[0] else ["_train", "_val", "_test"]
    parts = [part for part in parts if f"x{part}" in names]
    uneven = [
        f"x{part} has {_length(found[f'x{part}'])} and y{part} {_length(found[f'y{part}'])}"
        for part in parts
        if _length(found[f"x{part}"]) != _length(found[f"y{part}"])
    ]
    if uneven:
        raise TaskError(f"examples and labels of {file} differ in number: {'; '.join(uneven)}")
    shapes = {f"x{part}": found[f"x{part}"].shape for part in parts}
    if len({shape[1:] for shape in shapes.values()}) > 1:
        raise TaskError(f"the splits of {file} hold examples of different shapes: {shapes}")
    sizes = {part: _length(found[f"x{part}"]) for part in parts}
    x = np.concatenate([found[f"x{part}"] for part in parts])
    y = np.concatenate([found[f"y{part}"] for part in parts])
    if parts == [""]:
        return x, y, None
    return x, y, (sizes["_train"], sizes.get("_val", 0), sizes["_test"])


def _length(array: Array) -> int:
    return len(array) if array.ndim else 0


def _check_every_class(labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    absent = [name for number, name in enumerate(classes) if not (labels == number).any()]
    if absent:
        raise TaskError(f"y_train has no example of the classes {', '.join(absent)}")


def _content(found: Mapping[str, Array]) -> str:
    mark = hashlib.blake2b(digest_size=16)
    for name in sorted(found):
        array = found[name]
        mark.update(f"{name}{array.dtype}{array.shape}".encode())
        mark.update(np.ascontiguousarray(array).tobytes())
    return mark.hexdigest()


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
