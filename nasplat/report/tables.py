"""Rows as a table for people or as JSON, CSV or YAML for programs. Knows nothing of where they are from.

A table shortens and aligns; the other forms hold every field in full, nested fields of CSV flattened
to ``metrics.accuracy``. Only the caller prints: what is returned goes to stdout as it is.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from nasplat.report import units

Row = Mapping[str, Any]


class Format(StrEnum):
    """The forms in which every reading verb prints."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    YAML = "yaml"


def render(
    rows: Sequence[Row],
    form: Format,
    *,
    columns: Sequence[str] | None = None,
    shown: Sequence[Row] | None = None,
) -> str:
    """Write several rows.

    Args:
        rows: One mapping for each row, JSON-like values.
        form: The form.
        columns: Names of the columns of CSV when there are no rows; else the rows' own, in order.
        shown: What a table shows in place of ``rows``.

    Returns:
        Text without a trailing newline; empty for an empty table.
    """
    if form is Format.JSON:
        return json.dumps([plain(row) for row in rows], indent=None if len(rows) < 2 else 1)
    if form is Format.YAML:
        return _yaml([plain(row) for row in rows])
    if form is Format.CSV:
        return _csv([flatten(row) for row in rows], columns or ())
    return _table([flatten(row) for row in (rows if shown is None else shown)])


def render_one(record: Row, form: Format, *, shown: str | None = None) -> str:
    """Write one record; a table of it has one line for each field, or is ``shown``."""
    if form is Format.JSON:
        return json.dumps(plain(record))
    if form is Format.YAML:
        return _yaml(plain(record))
    if form is Format.CSV:
        return _csv([flatten(record)], ())
    if shown is not None:
        return shown
    flat = flatten(record)
    width = max((len(name) for name in flat), default=0)
    return "\n".join(
        f"{name:<{width}}  {cell(name, value)}".rstrip() for name, value in flat.items()
    )


def plain(value: Any) -> Any:
    """The value as strict JSON data: NaN and infinities as null, tuples as lists, numpy as Python."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return str(value) if isinstance(value, StrEnum) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def flatten(row: Row, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names; lists stay."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def cell(name: str, value: Any) -> str:
    """One value as a table shows it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return units.value(name.rpartition(".")[2], value) if math.isfinite(value) else "-"
    if isinstance(value, (list, tuple)):
        return " ".join(
            " ".join(map(str, item.values())) if isinstance(item, Mapping) else str(item)
            for item in value
        )
    return str(value)


def _names(flat: Sequence[Row], columns: Sequence[str]) -> list[str]:
    names: dict[str, None] = {}
    for row in flat:
        names.update(dict.fromkeys(row))
    return list(names) or list(columns)


def _csv(flat: Sequence[Row], columns: Sequence[str]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = _names(flat, columns)
    writer.writerow(names)
    for row in flat:
        writer.writerow([_csv_value(row.get(name)) for name in names])
    return out.getvalue().rstrip("\n")


def _csv_value(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, list) else value


def _yaml(data: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return text.rstrip("\n")


def _table(flat: Sequence[Row]) -> str:
    names = _names(flat, ())
    if not flat:
        return ""
    cells = [[cell(name, row.get(name)) for name in names] for row in flat]
    cells = [
        ["".join(c if c.isprintable() else " " for c in text) for text in line] for line in cells
    ]
    numeric = [all(_is_number(row.get(name)) for row in flat) for name in names]
    headings = [name.removeprefix("metrics.").removeprefix("costs.") for name in names]
    if len(set(headings)) < len(headings):
        headings = names
    widths = [
        max(len(heading), *(len(line[i]) for line in cells)) for i, heading in enumerate(headings)
    ]
    lines = []
    for line in [headings, *cells]:
        parts = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
