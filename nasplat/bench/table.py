"""A table: a search space whose candidates have known results.

Every source of tables (published files, the neutral form, the one that ships) is turned into this one
class, and everything that is measured is measured on it. It knows no strategy and no predictor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplat.bench.identity import identities, identity
from nasplat.bench.rows import Rows
from nasplat.errors import UsageError, unknown

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate
    from nasplat.space.genotype import Genotype
    from nasplat.space.space import Space

Floats = NDArray[np.float64]

SECONDS = "seconds"
"""The column of device seconds that a result took, from the start of training."""


@dataclass(frozen=True, eq=False)
class Table:
    """Genotypes of a space and what is known of each.

    Candidates that compute the same are one architecture: the results of all its genotypes are those of
    the first row.

    Attributes:
        name: Short name, such as ``nb201-c10``.
        title: One line.
        space: The whole space.
        genotypes: One for each row, all different.
        results: By fidelity (epochs, ascending; 1 where there is only one), then by metric: one number
            for each row, ``(n,)``; NaN where training failed or nothing is known.
        metrics: Direction of each metric, ``max`` or ``min``.
        objectives: Metrics that are searched for by default; at least one.
        reference: Where the table is from.
        continues: Whether a training goes on from one fidelity to the next, so that only the difference is
            paid; else each fidelity is a training of its own.
        covers: Whether every architecture of the space has a row, although not every genotype has.
    """

    name: str
    title: str
    space: Space
    genotypes: Sequence[Genotype]
    results: Mapping[int, Mapping[str, Floats]]
    metrics: Mapping[str, str]
    objectives: tuple[str, ...]
    reference: str = ""
    continues: bool = False
    covers: bool = False

    def __len__(self) -> int:
        return len(self.genotypes)

    @property
    def fidelities(self) -> list[int]:
        """Fidelities with results, ascending."""
        return sorted(self.results)

    @cached_property
    def complete(self) -> bool:
        """Whether every architecture of the space has a row."""
        return self.covers or len(self.genotypes) == self.space.size()

    @cached_property
    def searched(self) -> Any:
        """What strategies search: the space, or the listed part of it."""
        if self.complete:
            return self.space
        unique = sorted(set(self.first.tolist()))
        return Rows(self.space, [self.genotypes[row] for row in unique])

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """For each row, the first row that computes the same, ``(n,)``."""
        _, first, inverse = np.unique(
            self._identities, axis=0, return_index=True, return_inverse=True
        )
        return np.asarray(first[inverse.reshape(-1)], dtype=np.int64)

    @cached_property
    def _identities(self) -> NDArray[np.uint8]:
        return identities(self.space, self.genotypes)

    @cached_property
    def _by_identity(self) -> dict[bytes, int]:
        rows = np.unique(self.first).tolist()
        return {self._identities[row].tobytes(): row for row in rows}

    @cached_property
    def _by_genotype(self) -> dict[Genotype, int]:
        return {genotype: row for row, genotype in enumerate(self.genotypes)}

    def row(self, candidate: Candidate) -> int:
        """The first row that computes what a candidate does.

        Raises:
            UsageError: There is none.
        """
        if candidate.version == self.space.version:
            listed = self._by_genotype.get(candidate.genotype)
            if listed is not None:
                return int(self.first[listed])
        row = self._by_identity.get(identity(candidate))
        if row is None:
            raise UsageError(
                f"the table {self.name} has no row for {dict(candidate.genotype)}",
                hint="the space file and the table belong to different spaces",
            )
        return row

    def values(self, objectives: Sequence[str], fidelity: int | None = None) -> Floats:
        """Objectives of every architecture, to be minimised, ``(n, m)``.

        Rows that are not the first of their architecture are NaN, and so is what failed.

        Args:
            objectives: Names of metrics.
            fidelity: One of :attr:`fidelities`; the highest by default.

        Raises:
            UsageError: A metric or the fidelity is not known, or a metric does not vary.
        """
        at = self.fidelities[-1] if fidelity is None else fidelity
        if at not in self.results:
            raise unknown("fidelity", str(at), [str(one) for one in self.fidelities], UsageError)
        for name in objectives:
            if name not in self.metrics:
                raise unknown(f"metric of {self.name}", name, sorted(self.metrics), UsageError)
            if name not in self.results[at]:
                raise UsageError(
                    f"the metric {name} of {self.name} has no results at fidelity {at}",
                    hint=f"It has {', '.join(sorted(self.results[at]))}.",
                )
        columns = [
            np.asarray(self.results[at][name], dtype=float)
            * (-1.0 if self.metrics[name] == "max" else 1.0)
            for name in objectives
        ]
        table = np.stack(columns, axis=1)
        table[~np.isfinite(table).all(1)] = np.nan
        table[self.first != np.arange(len(table))] = np.nan
        for name, column in zip(objectives, table.T, strict=True):
            known = np.unique(column[np.isfinite(column)])
            if len(known) < 2:
                met = (
                    f"is {abs(known[0]):g} wherever it is known" if len(known) else "has no results"
                )
                raise UsageError(
                    f"the metric {name} of {self.name} {met}, so there is nothing to search for",
                    hint="Choose other objectives.",
                )
        return table

    def missing(self) -> list[Genotype]:
        """Genotypes of the space whose architecture has no row; looks at every one of them."""
        every = list(self.space.genotypes())
        met = identities(self.space, every)
        return [
            genotype
            for genotype, one in zip(every, met, strict=True)
            if one.tobytes() not in self._by_identity
        ]

    def seconds(self, fidelity: int) -> Floats:
        """Device seconds of every row up to a fidelity, ``(n,)``; the fidelity itself where unknown."""
        known = self.results[fidelity].get(SECONDS)
        if known is None:
            return np.full(len(self.genotypes), float(fidelity))
        return np.asarray(known, dtype=float)
