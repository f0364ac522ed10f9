"""A live graph as one row of numbers that a graph network takes apart again.

Each value has a family, the logarithm of the size of what it costs, and the values that it reads. Large
graphs are cut to their last values. Knows graphs, no network.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasplat.predict.live import Live, live

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate

Floats = NDArray[np.float64]

VALUES_UP_TO = 160
"""Values of a graph that are looked at, from its output backwards."""
SOURCES_UP_TO = 6
"""Sources of a value that are looked at."""
FAMILIES_UP_TO = 64


class GraphRows:
    """A map from candidates to rows ``(values · (2 + sources) + costs)``.

    For each value: number of its family (0: no value, 1: an input or a family that the sample does not
    have), logarithm of the numbers in its op's settings, and the places of its sources, counted from 1
    (0: none). Then the logarithms of the costs, standardised over the sample.

    Args:
        sample: Candidates that show which families there are and how large graphs become.
    """

    def __init__(self, sample: Sequence[Candidate]) -> None:
        graphs = [live(candidate.graph) for candidate in sample]
        met = Counter(value.family for graph in graphs for value in graph.values if value.op)
        named = sorted(met, key=lambda name: (-met[name], name))[:FAMILIES_UP_TO]
        self._family = {name: number for number, name in enumerate(named, start=2)}
        longest = max((len(graph.values) for graph in graphs), default=1)
        self.values = min(VALUES_UP_TO, math.ceil(1.25 * longest))
        self.families = 2 + len(named)
        costs = np.array([_costs(candidate) for candidate in sample])
        self._mean, self._std = costs.mean(0), np.maximum(costs.std(0), 1e-9)
        self.costs = costs.shape[1]

    def __call__(self, candidates: Sequence[Candidate]) -> Floats:
        """Rows of numbers, ``(n, d)``."""
        rows = [self._row(live(candidate.graph)) for candidate in candidates]
        costs = np.array([_costs(candidate) for candidate in candidates])
        costs = np.clip((costs - self._mean) / self._std, -8.0, 8.0)
        return np.hstack([np.array(rows).reshape(len(candidates), -1), costs])

    def _row(self, graph: Live) -> Floats:
        table = np.zeros((self.values, 2 + SOURCES_UP_TO))
        cut = max(0, len(graph.values) - self.values)
        for place, value in enumerate(graph.values[cut:]):
            table[place, 0] = self._family.get(value.family, 1)
            if value.op is not None:
                table[place, 1] = math.log1p(sum(_sizes(value.op.settings())))
            kept = [source - cut + 1 for source in value.sources if source >= cut]
            table[place, 2 : 2 + len(kept[:SOURCES_UP_TO])] = kept[:SOURCES_UP_TO]
        return table.ravel()


def _sizes(settings: object) -> list[float]:
    """The positive numbers among settings."""
    values = settings.values() if isinstance(settings, dict) else ()
    return [
        float(one)
        for one in values
        if isinstance(one, int | float) and not isinstance(one, bool) and one > 0
    ]


def _costs(candidate: Candidate) -> list[float]:
    return [math.log1p(value) for value in candidate.cost.as_dict().values()]
