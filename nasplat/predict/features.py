"""Numbers that describe a candidate of any space: structure, costs and decisions [Kadlecova2024].

Which columns there are is settled once, on a sample of the space: families of ops that vary there, the
paths between input and output counted in these families, the exact costs, and the space's own encoding
of the decisions. Nothing here is particular to a benchmark or a space.

References:
    [Kadlecova2024] G. Kadlecová et al. Surprisingly strong performance prediction with neural graph
        features. ICML 2024. They restrict paths to subsets of ops and look for the shortest and longest;
        here every path counts, and an op outside the subset has length 0: the two agree where one op is
        chosen for each edge of a cell, and the second also describes whole networks.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasplat.predict.live import Live, Value, family, live

if TYPE_CHECKING:
    from nasplat.graph.cost import Cost
    from nasplat.space.candidate import Candidate

Floats = NDArray[np.float64]
Extra = Callable[["Candidate"], Mapping[str, float]]

SUBSETS_UP_TO = 5
"""Families up to which paths are counted for every subset of them; beyond, for each one and for all."""
FAMILIES = 40
"""Families that are told apart at most; the ones that vary most."""
GROUPS = ("counts", "paths", "links", "sizes", "decisions", "extra")


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
        self._paths = _path_weights(self._families, seen)
        raw = [self._raw(candidate, values) for candidate, values in zip(sample, seen, strict=True)]
        names = sorted(set().union(*raw)) if raw else []
        table = np.array([[row.get(name, 0.0) for name in names] for row in raw])
        table = table.reshape(len(raw), len(names))
        kept = [
            index for index, column in enumerate(table.T) if column.std() > 1e-9 * abs(column).max()
        ]
        self.columns = tuple(names[index] for index in kept)
        self._mean = table[:, kept].mean(0)
        self._std = table[:, kept].std(0)
        present = [group for group in GROUPS if any(_group(name) == group for name in self.columns)]
        self.groups = [present.index(_group(name)) for name in self.columns]

    def __call__(self, candidates: Sequence[Candidate]) -> Floats:
        """Rows of features, ``(n, d)``; a column has mean 0 and deviation 1 over the sample."""
        raw = [self._raw(candidate, live(candidate.graph)) for candidate in candidates]
        table = np.array([[row.get(name, 0.0) for name in self.columns] for row in raw])
        table = table.reshape(len(raw), len(self.columns))
        return np.asarray(np.clip((table - self._mean) / self._std, -8.0, 8.0))

    def _raw(self, candidate: Candidate, values: Live) -> dict[str, float]:
        row: dict[str, float] = {}
        _add(row, "counts", _counts(values, self._families))
        _add(row, "paths", _path_lengths(values, self._families, self._paths))
        _add(row, "links", _links(values, self._families))
        _add(row, "sizes", _sizes(values, candidate.cost))
        if self._encode is not None:
            encoded = np.asarray(self._encode(candidate.genotype), dtype=float)
            _add(row, "decisions", {f"{index:04d}": value for index, value in enumerate(encoded)})
        if self._extra is not None:
            _add(row, "extra", self._extra(candidate))
        return row


def _add(row: dict[str, float], group: str, values: Mapping[str, float]) -> None:
    row.update((f"{group}:{name}", float(value)) for name, value in values.items())


def _group(column: str) -> str:
    return column.partition(":")[0]


def _family(value: Value) -> str:
    return "" if value.op is None else family(value.op, value.inputs, value.output, value.bits)


def _varying(sample: Sequence[Live]) -> tuple[str, ...]:
    """Families whose count differs within the sample, the most variable first, at most FAMILIES."""
    counts = [Counter(_family(value) for value in values.values) for values in sample]
    names = sorted(set().union(*counts) - {""}) if counts else []
    spread = {name: float(np.std([count[name] for count in counts])) for name in names}
    names = [name for name in names if spread[name] > 0]
    return tuple(sorted(names, key=lambda name: (-spread[name], name))[:FAMILIES])


def _path_weights(families: Sequence[str], sample: Sequence[Live]) -> Floats:
    """Sets of families in which paths are counted, ``(sets, families)`` of 0 and 1.

    Only ops of one input count: merges are where paths meet, not steps on them.
    """
    merges = {
        _family(value) for values in sample for value in values.values if len(value.sources) > 1
    }
    steps = [index for index, name in enumerate(families) if name not in merges]
    if len(steps) <= SUBSETS_UP_TO:
        sets = [
            subset
            for size in range(1, len(steps) + 1)
            for subset in itertools.combinations(steps, size)
        ]
    else:
        sets = [(step,) for step in steps] + [tuple(steps)]
    weights = np.zeros((len(sets), len(families)))
    for row, subset in enumerate(sets):
        weights[row, list(subset)] = 1.0
    return weights


def _counts(values: Live, families: Sequence[str]) -> dict[str, float]:
    kinds = Counter(value.op.kind for value in values.values if value.op is not None)
    each = Counter(_family(value) for value in values.values)
    row = {f"kind {kind}": float(count) for kind, count in kinds.items()}
    row.update((name, float(each[name])) for name in families)
    row["ends"] = float(len(values.outputs))
    return row


def _path_lengths(values: Live, families: Sequence[str], weights: Floats) -> dict[str, float]:
    """Length of the shortest and longest path for each set of families; -1 where there is no path."""
    index = {name: column for column, name in enumerate(families)}
    nothing = np.zeros(len(weights))
    shortest: list[Floats] = []
    longest: list[Floats] = []
    paths: list[float] = []
    for value in values.values:
        column = index.get(_family(value))
        step = nothing if column is None else weights[:, column]
        if value.sources:
            low = np.minimum.reduce([shortest[number] for number in value.sources])
            high = np.maximum.reduce([longest[number] for number in value.sources])
            shortest.append(low + step)
            longest.append(high + step)
            paths.append(sum(paths[number] for number in value.sources))
        else:
            shortest.append(step)
            longest.append(step)
            paths.append(1.0)
    ends = values.outputs
    low = np.min([shortest[end] for end in ends], axis=0) if ends else nothing - 1
    high = np.max([longest[end] for end in ends], axis=0) if ends else nothing - 1
    row = {f"shortest {number:02d}": length for number, length in enumerate(low)}
    row.update((f"longest {number:02d}", length) for number, length in enumerate(high))
    row["number"] = float(np.log2(1.0 + sum(paths[end] for end in ends)))
    return row


def _links(values: Live, families: Sequence[str]) -> dict[str, float]:
    """How often one family feeds another, through merges and other ops that do not vary."""
    known = set(families)
    reached: list[frozenset[str]] = []
    pairs: Counter[str] = Counter()
    fan_out: Counter[int] = Counter()
    for value in values.values:
        before = frozenset().union(*(reached[number] for number in value.sources))
        fan_out.update(value.sources)
        name = _family(value)
        if not value.sources:
            reached.append(frozenset({"input"}))
        elif name in known and len(value.sources) == 1:
            pairs.update(f"{below} > {name}" for below in before)
            reached.append(frozenset({name}))
        else:
            reached.append(before)
    for end in values.outputs:
        pairs.update(f"{below} > output" for below in reached[end])
    row = {name: float(count) for name, count in pairs.items()}
    row["reads"] = float(sum(len(value.sources) for value in values.values))
    row["widest read"] = float(max((len(value.sources) for value in values.values), default=0))
    row["widest use"] = float(max(fan_out.values(), default=0))
    return row


def _sizes(values: Live, cost: Cost) -> dict[str, float]:
    """Log costs, and the mean of every numeric setting by kind of op."""
    row = {f"log {name}": float(np.log1p(value)) for name, value in cost.as_dict().items()}
    settings: dict[str, list[float]] = {}
    for value in values.values:
        if value.op is None:
            continue
        for name, number in value.op.settings().items():
            if isinstance(number, int | float) and not isinstance(number, bool):
                settings.setdefault(f"{value.op.kind}.{name}", []).append(float(number))
    row.update((f"mean {name}", float(np.mean(met))) for name, met in settings.items())
    return row
