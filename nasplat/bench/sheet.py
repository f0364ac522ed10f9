"""Reads a CSV or parquet file as columns of texts and numbers, and values of decisions from these.

It knows files and decisions, nothing of what a table means.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasplat.errors import UsageError
from nasplat.space.decisions import Decision, Scalar

Columns = dict[str, list[Any]]
"""The cells of every column, in the order of rows; None: an empty cell."""

ENDINGS = (".csv", ".csv.gz", ".parquet")


def read_columns(file: Path) -> Columns:
    """The columns of a file. Cells of a CSV file are texts.

    Raises:
        UsageError: There is no such file, its ending is not known, it holds no row, two columns have one
            name, or a row has too few or too many cells.
    """
    if not file.is_file():
        raise UsageError(f"the table {file} does not exist")
    if not file.name.endswith(ENDINGS):
        raise UsageError(f"a table is a file of {', '.join(ENDINGS)}, got {file}")
    columns = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    if not columns or not next(iter(columns.values())):
        raise UsageError(f"the table {file} holds no rows")
    return columns


def _csv(file: Path) -> Columns:
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", newline="", encoding="utf-8-sig") as text:
            lines = [line for line in csv.reader(text) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} cannot be read as CSV: {error}") from error
    if not lines:
        return {}
    header, *rows = lines
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UsageError(f"{file} has two columns {', '.join(map(repr, twice))}")
    uneven = [number for number, row in enumerate(rows, 2) if len(row) != len(header)]
    if uneven:
        raise UsageError(
            f"{file}: line {uneven[0]} has {len(rows[uneven[0] - 2])} cells, "
            f"the first line has {len(header)}"
        )
    return {
        name: [row[place] or None for row in rows]
        for place, name in enumerate(map(str.strip, header))
    }


def _parquet(file: Path) -> Columns:
    from pyarrow import ArrowException
    from pyarrow.parquet import read_table

    try:
        return dict(read_table(file).to_pydict())
    except (ArrowException, OSError) as error:
        raise UsageError(f"{file} cannot be read as parquet: {error}") from error


def number(cell: object) -> float | None:
    """A cell as a number; None: it is none. An empty cell is no number either."""
    if isinstance(cell, bool | int | float):
        return float(cell)
    try:
        return float(str(cell)) if cell is not None else None
    except ValueError:
        return None


class ValueReader:
    """Reads cells as values of one decision.

    Args:
        decision: Its domain says what a text means: ``3`` may be a number or a name.
    """

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        values: Sequence[Any] = [decision.value(place) for place in range(decision.count or 0)]
        self._known: dict[str, Scalar] = {}
        for value in values:  # names first: the text "3" is the name where there is one
            if isinstance(value, str):
                self._known[value] = value
        for value in values:
            for text in {str(value), json.dumps(value), str(value).lower()}:
                self._known.setdefault(text, value)

    def __call__(self, cell: object) -> Scalar:
        """The value that a cell stands for; the cell itself where the domain has no such value."""
        if not isinstance(cell, str) and self.decision.index(cell) >= 0:
            return self.decision.close(cell)
        if isinstance(cell, str) and cell in self._known:
            return self._known[cell]
        met = number(cell)
        if met is None or math.isnan(met) or self.decision.index(met) < 0:
            return cell  # type: ignore[return-value]  # the space says what is wrong with it
        return self.decision.close(met)
