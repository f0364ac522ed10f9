"""Rows of other tables as earlier searches: what a strategy or predictor can learn before it has results.

It knows tables, no strategy and no predictor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasplat.bench.load import load_table
from nasplat.bench.table import Table
from nasplat.errors import UsageError
from nasplat.predict.transfer import LEAST, Earlier

ROWS = 200
"""Rows of a table that are known from before, by default."""


@dataclass(frozen=True, eq=False)
class EarlierTable:
    """Random rows of a table.

    Attributes:
        table: The table.
        rows: How many.
    """

    table: Table
    rows: int = ROWS

    def __str__(self) -> str:
        return f"{self.table.name}:{self.rows}"

    def results(self, objectives: Sequence[str], seed: int) -> Earlier:
        """The rows that one search knows.

        A metric informs its namesake, and the table's first objective the first one of the search.

        Args:
            objectives: Metrics of the new search.
            seed: Which rows.
        """
        first = self.table.objectives[0]
        metrics = {
            place: name if name in self.table.metrics else first
            for place, name in enumerate(objectives)
            if place == 0 or name in self.table.metrics
        }
        known = np.unique(self.table.first)
        rows = np.random.default_rng(seed).permutation(known)[: self.rows]
        fidelity = self.table.fidelities[-1]
        values = {}
        for place, name in metrics.items():
            column = self.table.results[fidelity].get(name)
            if column is not None:
                sign = -1.0 if self.table.metrics[name] == "max" else 1.0
                values[place] = sign * np.asarray(column, dtype=float)[rows]
        candidates = [self.table.space.build(self.table.genotypes[row]) for row in rows]
        return Earlier(self.table.name, candidates, values)


def read_earlier(names: Sequence[str], data: Path | None = None) -> list[EarlierTable]:
    """Tables that are known from before.

    Args:
        names: ``TABLE`` or ``TABLE:ROWS`` each.
        data: The folder of published tables; None: the one of ``NASPLAT_BENCH_DATA``.

    Raises:
        UsageError: There is no such table, or it has fewer rows than asked, or too few are asked for.
    """
    found = []
    for word in names:
        name, colon, count = word.rpartition(":")
        counted = bool(colon) and count.isdecimal()
        table = load_table(name if counted else word, data)
        known = len(np.unique(table.first))
        rows = int(count) if counted else min(ROWS, known)
        if not LEAST <= rows <= known:
            raise UsageError(
                f"--transfer {word} asks for {rows} rows, {table.name} has {known} architectures",
                hint=f"Ask for {LEAST} to {known}: --transfer {table.name}:{min(ROWS, known)}",
            )
        found.append(EarlierTable(table, rows))
    return found
