"""Tables of a user's own: a CSV or parquet file of genotypes and metrics, and a space file beside it.

``docs/tables.md`` is the description of the form. It knows no table in particular.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nasplat.bench.beside import read_head, read_space
from nasplat.bench.sheet import ENDINGS, Columns, ValueReader, number, read_columns
from nasplat.bench.table import SECONDS, Floats, Table
from nasplat.errors import GenotypeError, UsageError, nearest_first
from nasplat.space.genotype import Genotype
from nasplat.space.space import Space

GENOTYPE, EPOCHS = "genotype", "epochs"
SHOWN = 5
"""Most offences listed in one error."""
COVERED = 200_000
"""Genotypes of the largest space of which a table may say that it covers it."""
GREATER = (
    *("accuracy", "acc", "auc", "bleu", "correlation", "f1", "glue", "map", "miou", "precision"),
    *("psnr", "r2", "recall", "reward", "score", "ssim", "tau", "throughput", "top1", "top5"),
)
"""Words in the names of metrics of which more is better unless told otherwise."""


def read_table(file: Path, *, space: str | Path | None = None) -> Table:
    """Read a table in the neutral form.

    Args:
        file: ``NAME.csv``, ``NAME.csv.gz`` or ``NAME.parquet``; ``NAME.toml`` beside it says more.
        space: A space file or the name of a shipped space; None: what ``NAME.toml`` says, else
            ``NAME_space.py``, else ``space.py`` beside the table.

    Raises:
        UsageError: The table is wrong in itself: rows or metrics are missing, given twice, not numbers,
            or do not vary; names where and what.
        GenotypeError: The space does not hold genotypes; names decisions and values.
        SpaceError: The space file is wrong.
    """
    columns = read_columns(file)
    stem = next(file.name.removesuffix(end) for end in ENDINGS if file.name.endswith(end))
    head = read_head(file.with_name(f"{stem}.toml"))
    made = read_space(file, stem, head, space)
    genotypes = _genotypes(file, columns, made)
    epochs = _epochs(file, columns.get(EPOCHS), len(genotypes))
    places, unique = _places(file, genotypes, epochs, head)
    values = _values(file, columns, made, head)
    results: dict[int, dict[str, Floats]] = {}
    for at in sorted(set(epochs)):
        rows = [row for row, met in enumerate(epochs) if met == at]
        results[at] = {}
        for name, column in values.items():
            spread = np.full(len(unique), np.nan)
            spread[[places[row] for row in rows]] = column[rows]
            if np.isfinite(spread).any():
                results[at][name] = spread
    metrics = _directions(file, [name for name in values if name != SECONDS], head)
    table = Table(
        name=stem,
        title=head.get("title", stem),
        space=made,
        genotypes=unique,
        results=results,
        metrics=metrics,
        objectives=_objectives(file, metrics, head),
        reference=head.get("reference", ""),
        continues=head.get("continues", False),
        covers=head.get("covers", False),
    )
    table.values(table.objectives)  # says what is wrong with an objective
    if table.continues:
        _continued(file, table)
    if table.covers:
        _covered(file, table)
    return table


def _genotypes(file: Path, columns: Columns, space: Space) -> list[Genotype]:
    """The genotype of every row.

    Raises:
        UsageError: There is no column of genotypes, or a row has none.
        GenotypeError: The space does not hold some.
    """
    readers = {path: ValueReader(point.decision) for path, point in space.points.items()}
    told = _json(file, columns[GENOTYPE]) if GENOTYPE in columns else _paths(file, columns, space)
    offences: list[str] = []
    genotypes = []
    for row, cells in enumerate(told):
        values = {path: readers[path](c) if path in readers else c for path, c in cells.items()}
        met = space.validate(values)
        if met:
            offences.append(f"row {row + 1}: {'; '.join(met[:SHOWN])}")
        if len(offences) == SHOWN:
            break
        genotypes.append(Genotype(values))
    if offences:
        start = f"rows of {file.name} are not in the space {space.name}"
        raise GenotypeError([start, *offences], hint=_mismatch(space))
    return genotypes


def _mismatch(space: Space) -> str:
    shown = list(space.points.values())[:SHOWN]
    listed = "; ".join(f"{point.path}: {point.decision}" for point in shown)
    return f"The decisions of the space begin with {listed}. A decision that is not active has no value."


def _json(file: Path, cells: Sequence[Any]) -> list[Mapping[str, Any]]:
    missing = [row + 1 for row, cell in enumerate(cells) if cell is None]
    if missing:
        raise UsageError(f"{file} has no genotype in row {_listed(missing)}")
    met: list[Mapping[str, Any]] = []
    for row, cell in enumerate(cells):
        try:
            read = json.loads(cell) if isinstance(cell, str) else cell
        except json.JSONDecodeError as error:
            raise UsageError(
                f"{file}: the genotype of row {row + 1} is not JSON: {error}"
            ) from error
        if not isinstance(read, Mapping):
            raise UsageError(
                f"{file}: the genotype of row {row + 1} is no object of paths and values: {cell!r}"
            )
        parts = read if isinstance(cell, str) else {path: v for path, v in read.items() if _told(v)}
        met.append(parts)
    return met


def _paths(file: Path, columns: Columns, space: Space) -> list[Mapping[str, Any]]:
    paths = [name for name in columns if name in space.points]
    if not paths:
        raise UsageError(
            f"{file} has neither a column {GENOTYPE} nor one named as a decision of the space "
            f"{space.name}; its columns are {', '.join(columns)}",
            hint=_mismatch(space),
        )
    rows = zip(*(columns[path] for path in paths), strict=True)
    met: list[Mapping[str, Any]] = [
        {path: cell for path, cell in zip(paths, cells, strict=True) if _told(cell)}
        for cells in rows
    ]
    missing = [row + 1 for row, values in enumerate(met) if not values]
    if missing:
        raise UsageError(f"{file} has no genotype in row {_listed(missing)}")
    return met


def _told(cell: object) -> bool:
    """Whether a cell says anything; numbers beside empty cells may come with NaN for these."""
    return cell is not None and cell == cell


def _epochs(file: Path, cells: Sequence[Any] | None, rows: int) -> list[int]:
    if cells is None:
        return [1] * rows
    met = [number(cell) for cell in cells]
    wrong = [row + 1 for row, value in enumerate(met) if not value or value < 1 or value % 1]
    if wrong:
        raise UsageError(
            f"{file}: epochs are whole numbers from 1, got {cells[wrong[0] - 1]!r} in row "
            f"{_listed(wrong)}"
        )
    return [int(value) for value in met if value is not None]


def _places(
    file: Path, genotypes: Sequence[Genotype], epochs: Sequence[int], head: Mapping[str, Any]
) -> tuple[list[int], list[Genotype]]:
    """The number of each row's genotype among the different ones, and these."""
    numbers: dict[Genotype, int] = {}
    met: dict[tuple[int, int], int] = {}
    twice = []
    for row, (genotype, at) in enumerate(zip(genotypes, epochs, strict=True)):
        place = numbers.setdefault(genotype, len(numbers))
        first = met.setdefault((place, at), row)
        if first != row:
            twice.append(f"rows {first + 1} and {row + 1}")
    several = len(set(epochs)) > 1
    if twice:
        raise UsageError(
            f"{file} has genotypes twice{' at the same epochs' if several else ''}: "
            f"{_listed(twice)}",
            hint="Repeated trainings are averaged into one row.",
        )
    unique = list(numbers)
    short = [
        f"{at} epochs of the genotype in row {genotypes.index(unique[place]) + 1}"
        for at in sorted(set(epochs))
        for place in range(len(unique))
        if (place, at) not in met
    ]
    if short:
        raise UsageError(
            f"{file} misses rows: {_listed(short)}",
            hint="Where training failed, write the row and leave its metrics empty.",
        )
    if len(unique) < head.get("rows", 0):
        raise UsageError(f"{file} has {len(unique)} genotypes, its .toml asks for {head['rows']}")
    return [numbers[genotype] for genotype in genotypes], unique


def _values(
    file: Path, columns: Columns, space: Space, head: Mapping[str, Any]
) -> dict[str, Floats]:
    """The numeric columns that are no part of a genotype."""
    left = {GENOTYPE, EPOCHS, *head.get("ignore", ()), *space.points}
    values: dict[str, Floats] = {}
    for name, cells in columns.items():
        if name in left:
            continue
        read = [number(cell) for cell in cells]
        texts = [row for row, value in enumerate(read) if value is None and cells[row] is not None]
        if texts:
            near = ", ".join(nearest_first(name, space.points)[:3])
            raise UsageError(
                f"{file}: the column {name!r} is no decision of the space {space.name} and holds "
                f"{cells[texts[0]]!r} in row {texts[0] + 1}, which is no number; the nearest "
                f"decisions are {near}",
                hint="List what is neither genotype nor metric under `ignore` in the .toml file.",
            )
        column = np.array([np.nan if value is None else value for value in read])
        strange = [
            row + 1
            for row, value in enumerate(read)
            if value is not None and not np.isfinite(value)
        ]
        if strange:
            raise UsageError(
                f"{file}: the metric {name} is {cells[strange[0] - 1]} in row {_listed(strange)}",
                hint="Where training failed, leave the cell empty.",
            )
        values[name] = column
    if not set(values) - {SECONDS}:
        raise UsageError(f"{file} has no metrics: no column of numbers beside the genotype")
    return values


def _directions(file: Path, names: Sequence[str], head: Mapping[str, Any]) -> dict[str, str]:
    met = {
        name: "max" if any(word in name.lower().split("_") for word in GREATER) else "min"
        for name in names
    }
    told = dict(head.get("metrics", {}))
    for text in head.get("objectives", ()):
        name, _, direction = str(text).partition(":")
        if direction or name not in met:
            told[name] = direction or "min"
    strange = [name for name in told if name not in met]
    wrong = [f"{name} = {told[name]!r}" for name in told if told[name] not in ("max", "min")]
    if strange or wrong:
        raise UsageError(
            f"the .toml file of {file.name} names "
            + (f"metrics that the table has not: {', '.join(strange)}" if strange else wrong[0])
            + f"; the table has {', '.join(names)}, each max or min"
        )
    return met | told


def _objectives(file: Path, metrics: Mapping[str, str], head: Mapping[str, Any]) -> tuple[str, ...]:
    told = tuple(str(text).partition(":")[0] for text in head.get("objectives", ()))
    return told or (next(iter(metrics)),)


def _continued(file: Path, table: Table) -> None:
    """See that no training gets shorter by going on."""
    for before, after in pairwise(table.fidelities):
        falling = np.flatnonzero(table.seconds(after) < table.seconds(before)).tolist()
        if falling:
            such = dict(table.genotypes[falling[0]])
            raise UsageError(
                f"{file}: trainings are said to go on, yet {len(falling)} took fewer {SECONDS} up to "
                f"{after} epochs than up to {before}, such as {such}",
                hint="Seconds count from the start of a training; else remove `continues`.",
            )


def _covered(file: Path, table: Table) -> None:
    """See that every architecture of the space has a row."""
    size = table.space.size()
    if size > COVERED:
        raise UsageError(f"{file} cannot cover a space of {size:.2g} genotypes")
    missing = table.missing()
    if missing:
        raise UsageError(
            f"{file} misses {len(missing)} of the architectures that it is said to cover, such as "
            f"{dict(missing[0])}",
            hint="Add them, or remove `covers` from the .toml file.",
        )


def _listed(items: Sequence[object]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(map(str, items[:SHOWN])) + more
