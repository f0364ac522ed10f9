"""Reads ``.csv`` and ``.csv.gz`` files of one's own into columns. Knows no task."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasplat.errors import TaskError, nearest_first

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


def is_table(file: Path) -> bool:
    """Whether the name of a file is that of a table."""
    return file.name.lower().endswith(SUFFIXES)


def columns_of(file: Path) -> list[str]:
    """The names in the first row of a table, without reading the rest.

    Raises:
        TaskError: The file cannot be read as a table.
    """
    return list(_parsed(file, 1).columns)


def read_table(file: Path) -> tuple[pd.DataFrame, str]:
    """The table with the names of its first row, and a hash of the file.

    Raises:
        TaskError: The file cannot be read as a table, or has no rows.
    """
    table = _parsed(file, None)
    mark = hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
    if not len(table):
        raise TaskError(f"{file} has no rows under its names {', '.join(map(str, table.columns))}")
    return table, mark


def _parsed(file: Path, rows: int | None) -> pd.DataFrame:
    import pandas as pd

    separator = "\t" if ".tsv" in file.name.lower() else ","
    try:
        table = pd.read_csv(file, sep=separator, skipinitialspace=True, nrows=rows)
    except (OSError, EOFError, ValueError, zlib.error) as error:  # pandas' own are ValueErrors
        raise TaskError(f"{file} cannot be read as a table: {error}") from error
    table.columns = table.columns.map(str)
    return table


def column_of(table: pd.DataFrame, name: str, option: str, where: str) -> pd.Series[str]:
    """One column by its name.

    Raises:
        TaskError: There is none; the known ones are listed, nearest first.
    """
    if name not in table.columns:
        known = nearest_first(name, list(table.columns))
        raise TaskError(
            f"{where} has no column {name!r}; its columns are {', '.join(known)}",
            hint=f"give one of them: {option}={known[0]}",
        )
    found: pd.Series[str] = table[name]
    return found


def numbers_of(
    table: pd.DataFrame, names: list[str], where: str, *, missing: str = "error"
) -> NDArray[np.float32]:
    """Numeric columns as ``(rows, columns)``.

    Args:
        table: The table.
        names: Which columns.
        where: Named in errors.
        missing: ``error``, or ``previous``: the value before it in its column (the first one after it
            at the beginning).

    Raises:
        TaskError: Columns hold text, infinity, or missing values where there may be none; all are named.
    """
    if missing not in ("error", "previous"):
        raise TaskError(f"missing must be error or previous, got {missing!r}")
    texts = [name for name in names if table[name].dtype.kind not in "iufb"]
    if texts:
        raise TaskError(
            f"columns of {where} hold text: {', '.join(texts)}",
            hint="leave them out by naming the others: columns=A,B",
        )
    chosen = table[names].astype("float64")
    if missing == "previous":
        chosen = chosen.ffill().bfill()
    bad = ~np.isfinite(chosen.to_numpy())
    if bad.any():
        held = [f"{name} ({count})" for name, count in zip(names, bad.sum(0), strict=True) if count]
        row = int(np.flatnonzero(bad.any(1))[0])
        raise TaskError(
            f"{where} holds missing or infinite values in the columns {', '.join(held)}, first in "
            f"row {row}",
            hint="fill them, or take the value before: missing=previous",
        )
    return chosen.to_numpy(dtype=np.float32)
