"""Numbers that describe a candidate of any space: structure, costs and decisions [Kadlecova2024].

Which columns there are is settled once, on a sample of the space: families of ops that vary there, the
paths between input and output counted in these families (:mod:`nasplat.predict.paths`), the exact costs,
and the space's own encoding of the decisions. Nothing here is particular to a benchmark or a space.

References:
    [Kadlecova2024] G. Kadlecová et al. Surprisingly strong performance prediction with neural graph
        features. ICML 2024. They restrict paths to subsets of ops and look for the shortest and longest;
        here every path counts, and an op outside the subset has length 0: the two agree where one op is
        chosen for each edge of a cell, and the second also describes whole networks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasplat.graph.op import Op
from nasplat.predict.live import Live, live
from nasplat.predict.paths import lengths, sets_of, walks

if TYPE_CHECKING:
    from nasplat.graph.cost import Cost
    from nasplat.space.candidate import Candidate

Floats = NDArray[np.float64]
Extra = Callable[["Candidate"], Mapping[str, float]]

FAMILIES = 40
"""Families that are told apart at most; the ones that vary most."""
RARE = 0.95
"""A column of RARELY is left out when more than this part of the sample agrees on it."""
LOG_MACS = "sizes:log macs"
"""The column of what a candidate computes."""
RARELY = ("counts", "links", "walks", "avoiding", "mean path")
"""Groups of counts, of which there may be many."""
GROUPS = (
    "counts",
    "paths",
    "avoiding",
    "mean path",
    "links",
    "walks",
    "sizes",
    "decisions",
    "extra",
)


class Features:
    """A map from candidates to rows of numbers, standardised over a sample of the space.

    Args:
        sample: Candidates that show what varies, at least 2; a few dozen are enough.
        encode: The space's encoding of a genotype, of fixed length; left out if there is none.
        extra: Further numbers of a candidate by name, such as zero-cost scores; the names of the first
            sample are the columns.

    Attributes:
        columns: Name of each column: ``group:what``.
        groups: Group of each column, an index into :data:`GROUPS` of those that occur, from 0.
    """

    def __init__(
        self,
        sample: Sequence[Candidate],
        *,
        encode: Callable[..., Floats] | None = None,
        extra: Extra | None = None,
    ) -> None:
        self._encode = encode
        self._extra = extra
        seen = [live(candidate.graph) for candidate in sample]
        self._families = _varying(seen)
        self._paths = sets_of(self._families, seen)
        raw = [self._raw(candidate, values) for candidate, values in zip(sample, seen, strict=True)]
        named = [
            {
                f"{group}:{name}": value
                for group, part in row.items()
                for name, value in part.items()
            }
            for row in raw
        ]
        names = sorted(set().union(*named)) if named else []
        table = np.array([[row.get(name, 0.0) for name in names] for row in named])
        table = table.reshape(len(named), len(names))
        kept = np.array([_tells(name, column) for name, column in zip(names, table.T, strict=True)])
        kept = np.flatnonzero(kept)
        places = {names[index]: place for place, index in enumerate(kept)}
        self._places: dict[str, dict[str, int]] = {group: {} for group in GROUPS}
        for name, place in places.items():
            self._places[_group(name)][name.partition(":")[2]] = place
        encoded = self._encoded(sample)
        self._kept_codes = np.flatnonzero(encoded.std(0) > 0) if len(sample) else np.arange(0)
        codes = tuple(f"decisions:{number:04d}" for number in self._kept_codes)
        self.columns = (*places, *codes)
        whole = np.hstack([table[:, kept], encoded[:, self._kept_codes]])
        self._mean, self._std = whole.mean(0), whole.std(0)
        present = [group for group in GROUPS if any(_group(name) == group for name in self.columns)]
        self.groups = [present.index(_group(name)) for name in self.columns]

    def __call__(self, candidates: Sequence[Candidate]) -> Floats:
        """Rows of features, ``(n, d)``; a column has mean 0 and deviation 1 over the sample."""
        table = np.zeros((len(candidates), len(self.columns) - len(self._kept_codes)))
        for number, candidate in enumerate(candidates):
            for group, part in self._raw(candidate, live(candidate.graph)).items():
                places = self._places[group]
                for name in places.keys() & part.keys():
                    table[number, places[name]] = part[name]
        whole = np.hstack([table, self._encoded(candidates)[:, self._kept_codes]])
        return np.asarray(np.clip((whole - self._mean) / self._std, -8.0, 8.0))

    def _raw(self, candidate: Candidate, values: Live) -> dict[str, Mapping[str, float]]:
        """What describes a candidate, by group and name."""
        extent, avoiding, mean = lengths(values, self._families, self._paths)
        row: dict[str, Mapping[str, float]] = {
            "counts": _counts(values),
            "paths": extent,
            "links": _links(values, self._families),
            "avoiding": avoiding,
            "mean path": mean,
            "walks": walks(values, self._families),
            "sizes": _sizes(values, candidate.cost),
        }
        if self._extra is not None:
            row["extra"] = self._extra(candidate)
        return row

    def _encoded(self, candidates: Sequence[Candidate]) -> Floats:
        if self._encode is None:
            return np.zeros((len(candidates), 0))
        rows = [self._encode(candidate.genotype) for candidate in candidates]
        return np.asarray(rows, dtype=float).reshape(len(candidates), -1)


def _group(column: str) -> str:
    return column.partition(":")[0]


def _tells(name: str, column: Floats) -> bool:
    """Whether a column varies within the sample; those of RARELY must do so more than rarely."""
    if column.std() <= 1e-9 * np.abs(column).max():
        return False
    _, counts = np.unique(column, return_counts=True)
    often = bool(counts.max() <= RARE * len(column))
    return often or _group(name) not in RARELY


def _varying(sample: Sequence[Live]) -> tuple[str, ...]:
    """Families whose count differs within the sample, the most variable first, at most FAMILIES."""
    counts = [Counter(value.family for value in values.values) for values in sample]
    names = sorted(set().union(*counts) - {""}) if counts else []
    spread = {name: float(np.std([count[name] for count in counts])) for name in names}
    names = [name for name in names if spread[name] > 0]
    return tuple(sorted(names, key=lambda name: (-spread[name], name))[:FAMILIES])


def _counts(values: Live) -> dict[str, float]:
    """How often each family and each kind occurs, and how many outputs there are."""
    families = Counter([value.family for value in values.values])
    row: dict[str, float] = {"outputs": float(len(values.outputs))}
    for name, count in families.items():
        kind = f"kind {name.partition('[')[0]}"
        row[name] = float(count)
        row[kind] = row.get(kind, 0.0) + count
    return row


def _links(values: Live, families: Sequence[str]) -> dict[str, float]:
    """How often one family feeds another, through merges and other ops that do not vary."""
    known = {name: frozenset({name}) for name in families}
    reached: list[frozenset[str]] = []
    row: dict[str, float] = {}
    reads = widest = 0
    uses = [0] * len(values.values)

    def count(before: frozenset[str], name: str) -> None:
        for below in before:
            link = f"{below} > {name}"
            row[link] = row.get(link, 0.0) + 1.0

    for value in values.values:
        sources = value.sources
        reads += len(sources)
        widest = max(widest, len(sources))
        for number in sources:
            uses[number] += 1
        if len(sources) == 1:
            own = known.get(value.family)
            before = reached[sources[0]]
            if own is not None:
                count(before, value.family)
            reached.append(before if own is None else own)
        elif sources:
            reached.append(frozenset().union(*(reached[number] for number in sources)))
        else:
            reached.append(frozenset({"input"}))
    for end in values.outputs:
        count(reached[end], "output")
    row["reads"] = float(reads)
    row["widest read"] = float(widest)
    row["widest use"] = float(max(uses, default=0))
    return row


def _sizes(values: Live, cost: Cost) -> dict[str, float]:
    """Log costs, and the mean of every numeric setting by kind of op."""
    row = {f"log {name}": math.log1p(value) for name, value in cost.as_dict().items()}
    total: dict[str, float] = {}
    met: Counter[str] = Counter()
    for value in values.values:
        for name, number in _numbers(value.op) if value.op is not None else ():
            total[name] = total.get(name, 0.0) + number
            met[name] += 1
    row.update((name, sum_ / met[name]) for name, sum_ in total.items())
    return row


@lru_cache(maxsize=1 << 16)
def _numbers(op: Op) -> tuple[tuple[str, float], ...]:
    """The numeric settings of an op."""
    return tuple(
        (f"mean {op.kind}.{name}", float(number))
        for name, number in op.settings().items()
        if isinstance(number, int | float) and not isinstance(number, bool)
    )
