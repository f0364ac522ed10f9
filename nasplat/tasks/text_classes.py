"""Classification of texts of one's own: a table with a column of texts and a column of labels.

A text is its UTF-8 bytes: ``Ids(length, 256) -> Logits(classes)``. Longer ones are cut at the end,
shorter ones padded with byte 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from nasplat.errors import TaskError
from nasplat.graph.types import Ids
from nasplat.tasks.arrays import check_labels
from nasplat.tasks.classification import ClassificationTask, encode_labels
from nasplat.tasks.language import VOCABULARY
from nasplat.tasks.npz import marked
from nasplat.tasks.splits import split_all, split_marked_test
from nasplat.tasks.tables import column_of, read_table

if TYPE_CHECKING:
    import pandas as pd

LABELS = ("label", "labels", "y", "class", "category")
TEXTS = ("text", "texts", "sentence", "review", "message")


def text_classification(
    path: str | Path,
    *,
    text: str | None = None,
    label: str | None = None,
    length: int = 256,
    test: str | None = None,
    seed: int = 0,
) -> ClassificationTask:
    """Classes of texts in a table.

    Args:
        path: A ``.csv``, ``.tsv`` or one of them with ``.gz``; the first row names the columns.
        text: Column of the texts; None: ``text``, ``sentence``, ``review`` or ``message``.
        label: Column of the labels; None: ``label``, ``y``, ``class`` or ``category``.
        length: Bytes of a text that a model sees, 1 to 65,536.
        test: Which rows are for testing, such as ``split=test``; None: split by seed.
        seed: Which text is in which split follows from it.

    Raises:
        TaskError: Columns are missing, texts are empty, or there are too few examples.
    """
    if not 1 <= length <= 65536:
        raise TaskError(f"length must be in [1, 65536], got {length}")
    file = Path(path).expanduser().resolve()
    table, mark = read_table(file)
    texts = _column(table, text, TEXTS, "text", str(path))
    answers = _column(table, label, LABELS, "label", str(path))
    empty = np.flatnonzero(texts.isna().to_numpy() | answers.isna().to_numpy())
    if len(empty):
        raise TaskError(
            f"{len(empty)} of {len(table)} rows of {path} have no text or no label: row "
            f"{', '.join(map(str, empty[:5]))}",
            hint="remove them",
        )
    labels, classes = encode_labels(check_labels(_plain(answers), where=str(path)))
    numbers = labels.numpy()
    if test is None:
        splits = split_all(numbers, seed, classes=classes)
    else:
        found = {name.lower(): _plain(table[name]) for name in table.columns}
        tests = marked(found, test, len(table), str(path))
        splits = split_marked_test(numbers, tests, seed, classes=classes)
    return ClassificationTask(
        name=str(path),
        spec={
            "kind": "text-classification",
            "path": str(file),
            "text": text,
            "label": label,
            "length": length,
            "test": test,
            "seed": seed,
        },
        examples=torch.from_numpy(_ids([str(value) for value in texts], length)),
        labels=labels,
        classes=classes,
        splits=splits,
        input_type=Ids(length, VOCABULARY),
        source={"ids": "bytes of UTF-8", "length": length, "padding": 0},
        note=f"first {length} bytes",
        content=f"{mark} {texts.name} {answers.name}",
    )


def _column(
    table: pd.DataFrame, name: str | None, usual: tuple[str, ...], option: str, where: str
) -> pd.Series[str]:
    if name is None:
        name = next((column for column in usual if column in table.columns), None)
    if name is None:
        raise TaskError(
            f"{where} has no column {' or '.join(usual)}; its columns are "
            f"{', '.join(table.columns[:20])}",
            hint=f"say which it is: {option}=NAME",
        )
    return column_of(table, name, option, where)


def _plain(column: pd.Series[str]) -> NDArray[np.generic]:
    """A column as numbers, or as text where it is no column of numbers."""
    values = column.to_numpy()
    return values if values.dtype.kind in "iufb" else values.astype(str)


def _ids(texts: list[str], length: int) -> NDArray[np.uint8]:
    made = np.zeros((len(texts), length), dtype=np.uint8)
    for row, text in zip(made, texts, strict=True):
        part = np.frombuffer(text.encode("utf-8", "replace")[:length], dtype=np.uint8)
        row[: len(part)] = part
    return made
