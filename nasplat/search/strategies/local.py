"""Local search over the space's own neighbourhood, best result first [White2021].

With several objectives this is Pareto local search: the results of the front are explored in turn. A
result whose neighbours are all known is left for the next best one, so that the search gets out of local
optima without forgetting them; the paper restarts at random instead.

References:
    [White2021] C. White, S. Nolen, Y. Savani. Exploring the loss landscape in neural architecture
        search. UAI 2021.
"""

from __future__ import annotations

import random
from typing import Any

from nasplat.errors import UsageError
from nasplat.search.strategies.base import Strategy, Turn
from nasplat.search.strategies.selection import best_first, front_size


class Local(Strategy):
    """Evaluation of the neighbours of the best results.

    Args:
        space: As for every strategy; so are the other arguments not listed here.
        first: Random candidates before the search starts, at least 1.
    """

    name = "local"

    def __init__(self, space: Any, *, first: int = 10, **options: Any) -> None:
        super().__init__(space, **options)
        if first < 1:
            raise UsageError(f"local needs at least 1 first candidate, got {first=}")
        self.first = first
        self._explored: set[str] = set()

    def propose(self, turn: Turn) -> None:
        missing = self.first - len(self.trials) - len(turn.pending)
        for _ in range(min(missing, turn.count)):
            turn.offer(self.space.sample(turn.rng), step="first")
        results = best_first(self.results)
        shown = front_size(results)
        ahead, behind = results[:shown], results[shown:]
        turn.rng.shuffle(ahead)
        for result in (*ahead, *behind):
            candidate = result.candidate
            if candidate.digest in self._explored:
                continue
            neighbours = list(self.space.neighbours(candidate.genotype))
            # An order of its own for each candidate: whether others were skipped before does not matter.
            random.Random(f"{self.seed} {candidate.digest}").shuffle(neighbours)
            for neighbour in neighbours:
                if turn.full:
                    return
                turn.offer(neighbour, step="neighbour", parents=[result.number])
            if not turn.full:
                self._explored.add(candidate.digest)
