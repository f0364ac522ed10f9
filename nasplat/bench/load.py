"""Finds a table by name: published ones in a folder of data, the one that ships, and files in the
neutral form.

It knows where tables are, nothing of what is in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import NamedTuple

from nasplat import settings
from nasplat.bench import tables
from nasplat.bench.neutral import read_table
from nasplat.bench.sheet import ENDINGS
from nasplat.bench.source import Source
from nasplat.bench.table import Table
from nasplat.errors import UsageError, unknown


class Known(NamedTuple):
    """A table that can be named.

    Attributes:
        name: Name of the table.
        title: One line.
        available: Whether its files are there.
        reference: The publication.
    """

    name: str
    title: str
    available: bool
    reference: str


def known_tables(data: Path | None = None) -> list[Known]:
    """Every table that has a name, sorted by name.

    Args:
        data: The folder of published tables; None: the one of ``NASPLAT_BENCH_DATA``.
    """
    folder = data or settings.bench_data()
    met = [Known(one.name, one.title, not one.missing(folder), one.reference) for one in _sources()]
    return sorted(met)


def load_table(
    name: str | Path, data: Path | None = None, *, space: str | Path | None = None
) -> Table:
    """Read a table.

    Args:
        name: A known name, or the path of a table in the neutral form.
        data: The folder of published tables; None: the one of ``NASPLAT_BENCH_DATA``.
        space: The space file of a table in the neutral form; None: the one beside it.

    Raises:
        UsageError: There is no such table, its files are not there, or it is wrong in itself.
        GenotypeError: Rows of a table in the neutral form are not in its space.
        SpaceError: The space file is wrong.
    """
    by_name = {one.name: one for one in _sources()}
    source = by_name.get(str(name))
    if source is None:
        if str(name).endswith(ENDINGS):
            return read_table(Path(name).expanduser(), space=space)
        hint = f"A table of your own is given by its path, a file of {', '.join(ENDINGS)}."
        raise unknown("table", str(name), sorted(by_name), UsageError, hint=hint)
    if space is not None:
        raise UsageError(f"the table {name} has its own space, {space} cannot take its place")
    folder = data or settings.bench_data()
    missing = source.missing(folder)
    if missing and folder is None:
        raise UsageError(
            f"the table {source.name} is read from {', '.join(missing)} in a folder of data, "
            "and no folder is named",
            hint="Name it with --data FOLDER or NASPLAT_BENCH_DATA.",
        )
    if missing:
        raise UsageError(
            f"the table {source.name} needs {', '.join(missing)}, which {folder} lacks",
            hint="Name another folder with --data FOLDER or NASPLAT_BENCH_DATA.",
        )
    return source.read(folder or Path())


def _sources() -> Iterator[Source]:
    for module in iter_modules(tables.__path__):
        yield from import_module(f"{tables.__name__}.{module.name}").SOURCES
