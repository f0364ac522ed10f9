"""Reads ``.npz`` files of one's own into named arrays: names, splits, encoded images, ragged rows.

What is understood, whatever the task:

    x, y                              examples and labels or masks; also images, examples, inputs and
                                      labels, label, targets, masks
    x_train, y_train, x_test, ...     ready splits, also train_x ...; val, valid and validation are one
    classes                           names of the classes, in the order of their numbers
    jpeg | png | encoded, offsets     images as bytes of files one after the other; row i is
                                      [offsets[i], offsets[i + 1])
    pcm | pcm_mulaw, offsets          sound, one recording after the other, as numbers or as bytes of
                                      8-bit mu-law, code 128 for silence

What the arrays mean for a task is not known here.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplat.errors import TaskError

Array = NDArray[Any]

PARTS = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
ALIASES = {
    "images": "x",
    "examples": "x",
    "inputs": "x",
    "labels": "y",
    "label": "y",
    "targets": "y",
    "masks": "y",
}
ENCODED = ("jpeg", "png", "encoded")
SOUND = ("pcm", "pcm_mulaw")
_CONDITION = re.compile(r"^\s*(\w+)\s*(<=|>=|==|!=|=|<|>)\s*(.+?)\s*$")
_COMPARED: Mapping[str, Callable[[Array, Any], Array]] = {
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "<": np.less,
    ">": np.greater,
    "=": np.equal,
    "==": np.equal,
    "!=": np.not_equal,
}


@dataclass(frozen=True)
class Pair:
    """Examples and what is to be found for each, ready splits one after the other.

    Attributes:
        x: Examples.
        y: Labels or masks.
        sizes: Number of training, validation and test examples; None: not split yet.
    """

    x: Array
    y: Array
    sizes: tuple[int, int, int] | None


def plain_name(name: str) -> str:
    """The name under which an array is known: ``train_images`` is ``x_train``."""
    words = name.lower().split("_")
    part = ""
    if len(words) > 1 and words[-1] in PARTS:
        part = "_" + PARTS[words.pop()]
    elif len(words) > 1 and words[0] in PARTS:
        part = "_" + PARTS[words.pop(0)]
    base = "_".join(words)
    return ALIASES.get(base, base) + part


def read_npz(file: Path) -> dict[str, Array]:
    """All arrays of a file by the name they are known under.

    Raises:
        TaskError: There is no such file, it is no ``.npz``, or an array holds Python objects.
    """
    if not file.is_file():
        raise TaskError(f"there is no file {file}")
    try:
        with open(file, "rb") as opened:
            archive = np.load(opened, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise TaskError(f"{file} holds a single array; expected an .npz of x and y")
            named = _unique(archive.files)
            return {new: _array(archive, old, file) for old, new in named.items()}
    except TaskError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise TaskError(f"{file} is not a readable .npz file: {error}") from error


def npz_axes(file: Path) -> dict[str, int]:
    """Number of axes of each array by the name it is known under, without reading the data.

    Empty for what is no readable ``.npz``: :func:`read_npz` says why.
    """
    found: dict[str, int] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            files = [name for name in archive.namelist() if name.endswith(".npy")]
            named = _unique([name.removesuffix(".npy") for name in files])
            for old, new in named.items():
                with archive.open(f"{old}.npy") as opened:
                    # The length of a header stands in its first bytes; 64 kB hold any.
                    head = io.BytesIO(opened.read(65536))
                version = np.lib.format.read_magic(head)
                first = version == (1, 0)
                read = np.lib.format.read_array_header_1_0 if first else _header_2_0
                found[new] = len(read(head)[0])
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        return {}
    return found


def _header_2_0(head: io.BytesIO) -> Any:
    return np.lib.format.read_array_header_2_0(head)


def _unique(names: Iterable[str]) -> dict[str, str]:
    """Names to the names they are known under; one that would be taken twice keeps its own."""
    found: dict[str, str] = {}
    for name in names:
        new = plain_name(name)
        found[name] = new if new not in found.values() else name.lower()
    return found


def _array(archive: Mapping[str, Array], name: str, file: Path) -> Array:
    try:
        return np.asarray(archive[name])
    except ValueError as error:
        raise TaskError(
            f"array {name!r} of {file} cannot be read: {error}",
            hint="store plain numbers, not Python objects",
        ) from error


def content_of(found: Mapping[str, Array]) -> str:
    """Hash of names, types, shapes and values."""
    mark = hashlib.blake2b(digest_size=16)
    for name in sorted(found):
        array = found[name]
        mark.update(f"{name}{array.dtype}{array.shape}".encode())
        mark.update(np.ascontiguousarray(array).tobytes())
    return mark.hexdigest()


def join_splits(found: Mapping[str, Array], file: Path, *, others: Iterable[str] = ()) -> Pair:
    """Join ready splits to one array each.

    Args:
        found: Arrays of :func:`read_npz`.
        file: Named in errors.
        others: Arrays that may be there beside examples and labels.

    Raises:
        TaskError: Arrays are missing, too many, or differ in number or shape.
    """
    optional = {"x_val", "y_val"}
    names = set(found) - set(others)
    if names != {"x", "y"} and names - optional != {"x_train", "y_train", "x_test", "y_test"}:
        raise TaskError(
            f"{file} holds the arrays {', '.join(sorted(names)) or 'none'}; expected x, y or "
            "x_train, y_train, x_test, y_test (and optionally x_val, y_val)",
            hint="rename them: np.savez(path, x=examples, y=labels)",
        )
    if len(names & optional) == 1:
        raise TaskError(
            f"{file} holds {(names & optional).pop()} alone; x_val and y_val go together"
        )
    parts = [part for part in ("", "_train", "_val", "_test") if f"x{part}" in names]
    uneven = [
        f"x{part} has {_length(found[f'x{part}'])} and y{part} {_length(found[f'y{part}'])}"
        for part in parts
        if _length(found[f"x{part}"]) != _length(found[f"y{part}"])
    ]
    if uneven:
        raise TaskError(f"examples and labels of {file} differ in number: {'; '.join(uneven)}")
    for axis in "xy":
        shapes = {f"{axis}{part}": found[f"{axis}{part}"].shape for part in parts}
        if len({shape[1:] for shape in shapes.values()}) > 1:
            raise TaskError(f"the splits of {file} hold examples of different shapes: {shapes}")
    sizes = {part: _length(found[f"x{part}"]) for part in parts}
    x = np.concatenate([found[f"x{part}"] for part in parts])
    y = np.concatenate([found[f"y{part}"] for part in parts])
    if parts == [""]:
        return Pair(x, y, None)
    return Pair(x, y, (sizes["_train"], sizes.get("_val", 0), sizes["_test"]))


def _length(array: Array) -> int:
    return len(array) if array.ndim else 0


def rows_of(values: Array, offsets: Array, where: str) -> list[Array]:
    """The rows of a ragged array.

    Raises:
        TaskError: The offsets do not rise from 0 to the end of the values.
    """
    if values.ndim != 1 or offsets.ndim != 1 or len(offsets) < 2 or offsets.dtype.kind not in "iu":
        raise TaskError(
            f"ragged rows of {where} need values and offsets of one axis, offsets whole numbers; got "
            f"shapes {values.shape} and {offsets.shape} of {offsets.dtype}"
        )
    bounds = offsets.astype(np.int64)
    if bounds[0] != 0 or bounds[-1] != len(values) or (np.diff(bounds) < 1).any():
        raise TaskError(
            f"offsets of {where} must rise from 0 to the number of values, {len(values)}; they go "
            f"from {bounds[0]} to {bounds[-1]}"
            + (", with empty rows" if (np.diff(bounds) == 0).any() else ""),
            hint="row i is values[offsets[i]:offsets[i + 1]]",
        )
    return np.split(values, bounds[1:-1])


def labels_of(found: Mapping[str, Array], count: int, label: str | None, where: str) -> Array:
    """The array with one label for each of ``count`` examples.

    Args:
        found: Arrays of a file.
        count: Number of examples.
        label: Its name; None: ``y`` (or a name that stands for it).
        where: Named in errors.

    Raises:
        TaskError: There is none, or it has another length.
    """
    name = plain_name(label) if label is not None else "y"
    fitting = sorted(key for key, array in found.items() if array.shape == (count,))
    if name not in found:
        raise TaskError(
            f"{where} has no array {label or 'labels'!r}"
            + (f"; one value for each example have {', '.join(fitting)}" if fitting else ""),
            hint=f"say which holds the classes: label={fitting[0] if fitting else 'NAME'}",
        )
    if found[name].shape != (count,):
        raise TaskError(
            f"labels of {where} have shape {found[name].shape}; expected one for each of "
            f"{count} examples, ({count},)"
        )
    return found[name]


def condition_name(condition: str) -> str:
    """The name that a condition such as ``take<5`` is about, empty when it cannot be read."""
    read = _CONDITION.match(condition)
    return read[1].lower() if read else ""


def marked(found: Mapping[str, Array], condition: str, count: int, where: str) -> NDArray[np.bool_]:
    """Which examples a condition such as ``take<5`` or ``speaker=anna`` holds for.

    Raises:
        TaskError: The condition cannot be read, or names no array with a value for each example.
    """
    read = _CONDITION.match(condition)
    if read is None:
        raise TaskError(f"cannot read the condition {condition!r}", hint="for instance test=take<5")
    name, comparison, text = read.groups()
    values = found.get(name.lower())
    if values is None or values.shape != (count,):
        fitting = sorted(key for key, array in found.items() if array.shape == (count,))
        raise TaskError(
            f"{where} has no array {name!r} with a value for each of {count} examples; there are "
            f"{', '.join(fitting) or 'none'}"
        )
    value: Any = text
    if values.dtype.kind in "iufb":
        try:
            value = float(text)
        except ValueError as error:
            raise TaskError(f"{name} holds numbers, {text!r} is none") from error
    return np.asarray(_COMPARED[comparison](values, value), dtype=bool)
