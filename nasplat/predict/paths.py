"""What lies on the paths between input and output of a live graph, counted in families of ops.

Four views, each a dictionary of named numbers: the shortest and longest path for each set of families
[Kadlecova2024], how many paths avoid a set, how much of it a mean path holds, and how many paths take
two or three steps in a certain order. Numbers of paths are logarithms: stages multiply them.

References:
    [Kadlecova2024] as in features.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nasplat.predict.live import Live

Floats = NDArray[np.float64]
Walk = tuple[str, ...]
_Ways = tuple[Floats, Floats, Floats, Floats, float]
"""Paths to a value in each set: the shortest, the longest, the mean one, how many avoid it; and all."""

SUBSETS_UP_TO = 5
"""Families up to which paths are counted for every subset of them; beyond, for each one and for all."""
STEPS = 3
"""Steps of a walk."""
FEW = 4
"""Sources up to which it is faster to go from one to the next than to look at a table of all."""


def sets_of(families: Sequence[str], sample: Sequence[Live]) -> Floats:
    """Sets of families in which paths are counted, ``(sets, families)`` of 0 and 1.

    Only ops of one input count: merges are where paths meet, not steps on them.
    """
    merges = {
        value.family for values in sample for value in values.values if len(value.sources) > 1
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


def lengths(
    values: Live, families: Sequence[str], weights: Floats
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Paths counted in each set of families.

    Args:
        values: The live graph.
        families: Families that are told apart.
        weights: See :func:`sets_of`.

    Returns:
        Lengths of the shortest and the longest path; logarithms of the number of paths that avoid a set;
        length of the mean path. -1 where there is no path.
    """
    steps = {name: weights[:, column] for column, name in enumerate(families)}
    without = {name: 1.0 - step for name, step in steps.items()}
    nothing = np.zeros(len(weights))
    ways: list[_Ways] = []
    for value in values.values:
        met = _met([ways[number] for number in value.sources], nothing)
        step = steps.get(value.family)
        if step is not None:
            low, high, middle, free, paths = met
            free = free * without[value.family]
            met = (low + step, high + step, middle + step, free, paths)
        ways.append(met)
    low = high = middle = free = nothing - 1
    paths = 0.0
    if values.outputs:
        low, high, middle, free, paths = _met([ways[end] for end in values.outputs], nothing)
        free = np.log2(1.0 + free)
    row = {f"shortest {number:02d}": length for number, length in enumerate(low.tolist())}
    row.update((f"longest {number:02d}", length) for number, length in enumerate(high.tolist()))
    row["number"] = float(np.log2(1.0 + paths))
    return (
        row,
        {f"{number:02d}": length for number, length in enumerate(free.tolist())},
        {f"{number:02d}": length for number, length in enumerate(middle.tolist())},
    )


def _met(sources: Sequence[_Ways], nothing: Floats) -> _Ways:
    """The paths to several values as those to one."""
    if not sources:
        return nothing, nothing, nothing, nothing + 1.0, 1.0
    if len(sources) == 1:
        return sources[0]
    lows, highs, middles, frees, ways = zip(*sources, strict=True)
    paths = sum(ways)
    if len(sources) > FEW:
        shares = np.array(ways)[:, None] / paths
        table = np.array((lows, highs, middles, frees))
        return (
            table[0].min(0),
            table[1].max(0),
            (shares * table[2]).sum(0),
            table[3].sum(0),
            paths,
        )
    low, high, middle, free = lows[0], highs[0], ways[0] / paths * middles[0], frees[0]
    for number in range(1, len(sources)):
        low, high = np.minimum(low, lows[number]), np.maximum(high, highs[number])
        middle, free = middle + ways[number] / paths * middles[number], free + frees[number]
    return low, high, middle, free, paths


def walks(values: Live, families: Sequence[str]) -> dict[str, float]:
    """Logarithms of how many paths take up to :data:`STEPS` steps one after the other.

    Merges, and ops that do not vary, are passed over.
    """
    known = set(families)
    row: dict[Walk, float] = {}
    ending: list[dict[Walk, float]] = []
    for value in values.values:
        if not value.sources:
            ending.append({("input",): 1.0})
            continue
        before = ending[value.sources[0]]
        if len(value.sources) > 1:
            before = dict(before)
            for number in value.sources[1:]:
                for walk, ways in ending[number].items():
                    before[walk] = before.get(walk, 0.0) + ways
        elif value.family in known:
            before = _onwards(before, value.family, row)
        ending.append(before)
    for end in values.outputs:
        _onwards(ending[end], "output", row)
    return {" > ".join(walk): math.log2(1.0 + ways) for walk, ways in row.items()}


def _onwards(before: dict[Walk, float], step: str, row: dict[Walk, float]) -> dict[Walk, float]:
    """Take a step, counting each walk that ends with it."""
    after: dict[Walk, float] = {}
    for walk, ways in before.items():
        longer = (*walk, step)
        row[longer] = row.get(longer, 0.0) + ways
        kept = longer[1 - STEPS :]
        after[kept] = after.get(kept, 0.0) + ways
    return after
