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

SUBSETS_UP_TO = 5
"""Families up to which paths are counted for every subset of them; beyond, for each one and for all."""
STEPS = 3
"""Steps of a walk."""


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
    shortest: list[Floats] = []
    longest: list[Floats] = []
    avoiding: list[Floats] = []
    mean: list[Floats] = []
    paths: list[float] = []
    for value in values.values:
        low = high = middle = nothing
        free = nothing + 1.0
        ways = 1.0
        if len(value.sources) == 1:
            (only,) = value.sources
            low, high, middle = shortest[only], longest[only], mean[only]
            free, ways = avoiding[only], paths[only]
        elif value.sources:
            low = np.minimum.reduce([shortest[number] for number in value.sources])
            high = np.maximum.reduce([longest[number] for number in value.sources])
            free = np.add.reduce([avoiding[number] for number in value.sources])
            ways = sum([paths[number] for number in value.sources])
            parts = [paths[number] / ways * mean[number] for number in value.sources]
            middle = np.add.reduce(parts)
        step = steps.get(value.family)
        if step is not None:
            low, high, middle = low + step, high + step, middle + step
            free = free * without[value.family]
        shortest.append(low)
        longest.append(high)
        avoiding.append(free)
        mean.append(middle)
        paths.append(ways)
    ends = values.outputs
    low = high = middle = free = nothing - 1
    every = sum([paths[end] for end in ends])
    if ends:
        low = np.minimum.reduce([shortest[end] for end in ends])
        high = np.maximum.reduce([longest[end] for end in ends])
        middle = np.add.reduce([paths[end] / every * mean[end] for end in ends])
        free = np.log2(1.0 + np.add.reduce([avoiding[end] for end in ends]))
    row = {f"shortest {number:02d}": length for number, length in enumerate(low.tolist())}
    row.update((f"longest {number:02d}", length) for number, length in enumerate(high.tolist()))
    row["number"] = float(np.log2(1.0 + every))
    return (
        row,
        {f"{number:02d}": length for number, length in enumerate(free.tolist())},
        {f"{number:02d}": length for number, length in enumerate(middle.tolist())},
    )


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
