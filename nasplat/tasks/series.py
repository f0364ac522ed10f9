"""Classification of series: sound, sensors, rows of pixels. ``Series(channels, length) -> Logits``.

Own data: a folder with a folder of ``.wav`` files for each class; an ``.npz`` of ``(N, L)`` or
``(N, C, L)`` numbers with labels, or of recordings one after the other (``pcm`` or ``pcm_mulaw`` with
``offsets``); a ``.csv`` with one series in each row and a column of labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nasplat import settings
from nasplat.errors import TaskError
from nasplat.graph.types import Series
from nasplat.tasks.arrays import check_labels
from nasplat.tasks.audio import (
    SUFFIXES,
    check_rate,
    one_length,
    ragged_sound,
    read_wav,
    resample,
)
from nasplat.tasks.cache import read_cache, write_cache
from nasplat.tasks.classification import ClassificationTask, encode_labels
from nasplat.tasks.images import Listing, files_error, hash_files, list_images, splits_of
from nasplat.tasks.npz import (
    SOUND,
    condition_name,
    content_of,
    join_splits,
    labels_of,
    marked,
    read_npz,
)
from nasplat.tasks.splits import (
    Splits,
    split_all,
    split_given_test,
    split_marked_test,
    split_sizes,
)
from nasplat.tasks.tables import column_of, numbers_of, read_table

Floats = NDArray[np.float32]


def series(
    path: str | Path,
    *,
    length: int | None = None,
    rate: int | None = None,
    source_rate: int | None = None,
    label: str | None = None,
    test: str | None = None,
    seed: int = 0,
    content: str | None = None,
) -> ClassificationTask:
    """Classes of series: FOLDER/CLASS/SOUND.wav, an ``.npz`` or a table.

    Args:
        path: A folder of folders of ``.wav`` files, an ``.npz`` or a ``.csv``.
        length: Samples of a series, longer ones are cut in the middle, shorter ones padded with zeros.
            None: for recordings the length of nine in ten of them, else as stored.
        rate: Samples per second that recordings are brought to; None: for a folder the lowest rate of
            its files, for an ``.npz`` as stored.
        source_rate: Samples per second of the recordings of an ``.npz``; needed when ``rate`` is given.
        label: Array or column of the labels; None: ``y``, ``label`` or ``labels``.
        test: Which examples of a file are for testing, such as ``take<5``; None: split by seed.
        seed: Which series is in which split follows from it.
        content: Hash of the files of a folder as found before; when the cache holds it, they are not
            read.

    Raises:
        TaskError: Files, names, shapes or values cannot be used; all offences of a kind are named.
    """
    check_rate(rate, "rate")
    check_rate(source_rate, "source_rate")
    where = Path(path).expanduser().resolve()
    spec = {
        "kind": "series",
        "path": str(where),
        "length": length,
        "rate": rate,
        "source_rate": source_rate,
        "label": label,
        "test": test,
        "seed": seed,
    }
    options = {"length": length, "rate": rate, "source_rate": source_rate}
    if where.is_dir():
        if label is not None or test is not None or source_rate is not None:
            raise TaskError(
                "label, test and source_rate are for files: a folder has its classes and splits in "
                "folders, and wav files know their rate"
            )
        return _folder(str(path), where, length, rate, seed, content, spec)
    if where.name.lower().endswith(".npz"):
        return _npz(str(path), where, options, label, test, seed, spec)
    if rate is not None or source_rate is not None:
        raise TaskError("rate and source_rate are for recordings, not for tables")
    return _table(str(path), where, length, label, test, seed, spec)


def digits_rows(*, seed: int = 0) -> ClassificationTask:
    """Hand-written digits read row by row, 8 steps of 8 pixels; no download.

    Args:
        seed: Which digit is in which split follows from it; the splits are those of ``digits``.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    rows = pixels.astype(np.float32).reshape(-1, 8, 8) / 16
    numbers = labels.astype(np.int64)
    classes = [str(digit) for digit in range(10)]
    return ClassificationTask(
        name="digits-rows",
        spec={"kind": "digits-rows", "seed": seed},
        examples=torch.from_numpy(np.ascontiguousarray(rows.transpose(0, 2, 1))),
        labels=torch.from_numpy(numbers),
        classes=classes,
        splits=split_all(numbers, seed, classes=classes),
        input_type=Series(8, 8),
        source={"divide": 16, "axes": ["column", "row"]},
        note="8 rows of 8 pixels",
    )


def _folder(
    name: str,
    folder: Path,
    length: int | None,
    rate: int | None,
    seed: int,
    content: str | None,
    spec: dict[str, Any],
) -> ClassificationTask:
    listing = list_images(folder, suffixes=SUFFIXES, noun="recording")
    mark = content or hash_files(listing)
    cached = settings.cache() / "audio" / f"{mark}-{length or 'auto'}-{rate or 'auto'}.safetensors"
    found = read_cache(cached)
    if found is None or len(found[0]["samples"]) != len(listing.files):
        if content is not None and (met := hash_files(listing)) != content:
            raise TaskError(
                f"the files in {folder} have changed: their hash is {met}, expected {content}",
                hint="start a new study for the new data",
            )
        rows, chosen = read_all(listing, rate)
        found = {"samples": one_length(rows, length)}, {"rate": str(chosen)}
        write_cache(cached, *found)
    samples, chosen = found[0]["samples"], int(found[1]["rate"])
    return ClassificationTask(
        name=name,
        spec={**spec, "content": mark},
        examples=torch.from_numpy(samples)[:, None],
        labels=torch.from_numpy(listing.labels),
        classes=listing.classes,
        splits=splits_of(listing, seed),
        input_type=Series(1, samples.shape[1]),
        source={"rate": chosen, "channels": "mean", "length": samples.shape[1]},
        note=f"{samples.shape[1]} samples at {chosen:,} Hz",
        content=mark,
    )


def read_all(listing: Listing, rate: int | None) -> tuple[list[Floats], int]:
    """Recordings of a listing at one rate, and the rate: the one wanted, or their lowest one.

    Raises:
        TaskError: Files cannot be read or are silent from nothing; all are named.
    """
    found: list[tuple[int, Floats]] = []
    wrong: list[tuple[Path, str]] = []
    for file in listing.files:
        try:
            read = read_wav(file)
            if len(read[1]) < 1 or not np.isfinite(read[1]).all():
                wrong.append((file, "no samples, or not finite"))
            found.append(read)
        except TaskError as error:
            wrong.append((file, error.message.rpartition(": ")[2]))
    if wrong:
        raise files_error(listing, wrong, "cannot be read as wav", "repair or remove them")
    chosen = rate or min(met for met, _ in found)
    return [resample(samples, met, chosen) for met, samples in found], chosen


def _npz(
    name: str,
    file: Path,
    options: Mapping[str, int | None],
    label: str | None,
    test: str | None,
    seed: int,
    spec: dict[str, Any],
) -> ClassificationTask:
    found = read_npz(file)
    source: dict[str, Any] = {}
    sizes = None
    if any(kind in found for kind in SOUND) and "offsets" in found:
        samples, source = sound_of(found, name, options)
        examples = samples[:, None]
        y = labels_of(found, len(examples), label, name)
    else:
        if options["rate"] is not None or options["source_rate"] is not None:
            raise TaskError("rate and source_rate are for recordings (pcm and offsets)")
        named = dict(found)
        if label is not None:
            named["y"] = labels_of(found, len(found.get("x", ())), label, name)
        extra = [key for key in found if key not in ("x", "y") and found[key].ndim == 1]
        others = [key for key in extra if not key.startswith(("x_", "y_"))]
        pair = join_splits(named, file, others=("classes", *others))
        examples, y, sizes = _axes(pair.x, options["length"], name), pair.y, pair.sizes
    tests = None if test is None else marked(found, test, len(examples), name)
    return _made(
        name,
        examples,
        check_labels(y, where=name),
        spec=spec,
        content=f"{content_of(found)} {label}",
        seed=seed,
        tests=tests,
        sizes=sizes,
        source=source,
        names=tuple(map(str, found.get("classes", ()))),
    )


def sound_of(
    found: Mapping[str, NDArray[Any]], name: str, options: Mapping[str, int | None]
) -> tuple[Floats, dict[str, Any]]:
    """Recordings of an ``.npz`` as ``(n, length)``, and how they were made.

    Raises:
        TaskError: The rate is wanted but not known, or rows do not fit.
    """
    rows = ragged_sound(found, name)
    rate, source = options["rate"], options["source_rate"]
    if rate is not None and source is None:
        raise TaskError(
            f"{name} does not say how many samples a second it has",
            hint=f"say it: source_rate=8000 (beside rate={rate})",
        )
    if rate is not None and source is not None:
        rows = [resample(row, source, rate) for row in rows]
    samples = one_length(rows, options["length"])
    return samples, {"rate": rate or source, "channels": "mean", "length": samples.shape[1]}


def _axes(x: NDArray[Any], length: int | None, name: str) -> Floats:
    """Series as ``(n, channels, length)``."""
    if x.dtype.kind not in "fiub" or x.ndim not in (2, 3) or 0 in x.shape:
        raise TaskError(
            f"series of {name} have shape {x.shape} of {x.dtype}; expected numbers (N, L) or "
            "(N, C, L), no axis empty"
        )
    values = x.astype(np.float32)
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))
        raise TaskError(
            f"{len(bad)} of {len(values)} series of {name} hold NaN or infinity: number "
            f"{', '.join(map(str, bad[:5]))}"
        )
    values = values[:, None] if values.ndim == 2 else values
    if length is None:
        return np.ascontiguousarray(values)
    flat = one_length(list(values.reshape(-1, values.shape[2])), length)
    return flat.reshape(*values.shape[:2], length)


def _table(
    name: str,
    file: Path,
    length: int | None,
    label: str | None,
    test: str | None,
    seed: int,
    spec: dict[str, Any],
) -> ClassificationTask:
    table, mark = read_table(file)
    if label is None:
        label = next((key for key in ("label", "labels", "y", "class") if key in table), None)
    if label is None:
        raise TaskError(
            f"{name} has no column label; its columns are {', '.join(table.columns[:20])}",
            hint="say which column holds the classes: label=NAME",
        )
    y = column_of(table, label, "label", name).to_numpy()
    found = {key.lower(): table[key].to_numpy() for key in table.columns}
    tests = None if test is None else marked(found, test, len(table), name)
    known = [key for key in table.columns if key != label and table[key].dtype.kind in "iufb"]
    if test is not None:
        # The column that marks the test split is no sample.
        known = [key for key in known if key.lower() != condition_name(test)]
    examples = _axes(numbers_of(table, known, name), length, name)
    labels = y.astype(str) if y.dtype.kind == "O" else y
    return _made(
        name,
        examples,
        check_labels(labels, where=name),
        spec=spec,
        content=f"{mark} {label}",
        seed=seed,
        tests=tests,
    )


def _made(
    name: str,
    examples: Floats,
    y: NDArray[Any],
    *,
    spec: dict[str, Any],
    content: str,
    seed: int,
    tests: NDArray[np.bool_] | None = None,
    sizes: tuple[int, int, int] | None = None,
    source: Mapping[str, Any] | None = None,
    names: tuple[str, ...] = (),
) -> ClassificationTask:
    labels, classes = encode_labels(y, names)
    numbers = labels.numpy()
    splits: Splits
    if tests is not None:
        if sizes is not None:
            raise TaskError(f"{name} has a test split of its own: leave out test=")
        splits = split_marked_test(numbers, tests, seed, classes=classes)
    elif sizes is None:
        splits = split_all(numbers, seed, classes=classes)
    elif sizes[1]:
        splits = split_sizes(sizes)
    else:
        splits = split_given_test(numbers, sizes[2], seed, classes=classes)
    kind = Series(*examples.shape[1:])
    return ClassificationTask(
        name=name,
        spec=spec,
        examples=torch.from_numpy(examples),
        labels=labels,
        classes=classes,
        splits=splits,
        input_type=kind,
        source=source,
        note=str(kind),
        content=content,
    )
