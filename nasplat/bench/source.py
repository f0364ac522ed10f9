"""What a source of tables offers: names, where its files are, and how a table is read.

It knows no source in particular.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplat.errors import UsageError

if TYPE_CHECKING:
    from nasplat.bench.table import Table
    from nasplat.space.genotype import Genotype

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """One table that can be read.

    Attributes:
        name: Name of the table, such as ``nb201-c10``.
        title: One line.
        files: What it is read from, below the folder of data.
        read: Reads it from that folder.
        reference: The publication.
    """

    name: str
    title: str
    files: tuple[str, ...]
    read: Callable[[Path], Table]
    reference: str = ""

    def missing(self, data: Path | None) -> list[str]:
        """The files that a folder of data lacks."""
        return [name for name in self.files if data is None or not (data / name).is_file()]


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file.

    Raises:
        UsageError: The file cannot be read without unpickling.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read as .npz without pickles: {error}") from error


def columns(names: Iterable[Any], table: NDArray[Any], prefix: str = "") -> dict[str, Floats]:
    """The columns of an array by name, as ``{prefix}{name}``."""
    return {
        f"{prefix}{name}": np.asarray(column, dtype=float)
        for name, column in zip(names, table.T, strict=True)
    }


def positive(column: NDArray[Any]) -> Floats:
    """A column in which what is not above 0 was not measured."""
    values = np.asarray(column, dtype=float)
    return np.where(values > 0, values, np.nan)


def records(path: Path) -> list[Any]:
    """What a gzipped JSON or JSON-lines file holds: the items of its list, or one for each line.

    Raises:
        UsageError: The file cannot be read as such.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as text:
            if ".jsonl" in path.name:
                return [json.loads(line) for line in text]
            held = json.load(text)
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read as gzipped JSON: {error}") from error
    return held if isinstance(held, list) else [held]


def merged(
    genotypes: Sequence[Genotype], results: Mapping[str, Floats]
) -> tuple[list[Genotype], dict[str, Floats]]:
    """Each genotype once, with the mean of its rows: an architecture may have been trained twice."""
    places: dict[Genotype, int] = {}
    at = np.array([places.setdefault(genotype, len(places)) for genotype in genotypes])
    times = np.bincount(at)
    means = {name: np.bincount(at, weights=column) / times for name, column in results.items()}
    return list(places), means
