"""Keeps what was measured of predictors in a folder, one line for each recipe and number of rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasplat.bench.predictors import Measured

FILE = "predictors.jsonl"
"""Name of the file in a folder."""


def keep(folder: Path, measured: Sequence[Measured], part: Mapping[str, Any]) -> None:
    """Add what was measured.

    Args:
        folder: Made where there is none.
        measured: One for each recipe and number of rows.
        part: What tells the rows that were measured on from others of the table, such as the fidelity;
            empty for all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a", encoding="utf-8") as stream:
        for one in measured:
            stream.write(json.dumps({"part": dict(part), **one.to_json()}) + "\n")


def read(folder: Path) -> dict[str, list[Measured]]:
    """What is kept in a folder, by table, metric and part; of what was measured again the last."""
    found: dict[str, dict[tuple[str, int], Measured]] = {}
    for line in (folder / FILE).read_text(encoding="utf-8").splitlines():
        data = json.loads(line)
        part = data.pop("part")
        one = Measured(**data)
        told = "".join(f", {name} {value}" for name, value in part.items())
        rows = found.setdefault(f"{one.table}: predictors of {one.metric}{told}", {})
        rows[one.recipe, one.rows] = one
    return {title: list(rows.values()) for title, rows in found.items()}


def rows(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """One row for each recipe, the best first: Kendall's tau by training rows, then the rest at the most."""
    counts = sorted({one.rows for one in measured})
    made = []
    for recipe in dict.fromkeys(one.recipe for one in measured):
        own = {one.rows: one for one in measured if one.recipe == recipe}
        last = own[max(own)]
        row: dict[str, Any] = {"recipe": recipe}
        row |= {
            f"tau_{count}": own[count].kendall_tau if count in own else None for count in counts
        }
        row["inside_50"] = last.coverage_50
        row["inside_90"] = last.coverage_90
        row["fit_seconds"] = last.fit_seconds
        made.append(row)
    return sorted(made, key=lambda row: -(row[f"tau_{counts[-1]}"] or 0.0))
