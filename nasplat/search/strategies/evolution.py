"""Regularised evolution: parents from a sliding window of the youngest results [Real2019].

With several objectives or constraints a tournament is won by Pareto rank, then by crowding. In contrast
to the paper, candidates that were evaluated before are not evaluated again: the parent mutates on.

References:
    [Real2019] E. Real et al. Regularized evolution for image classifier architecture search. AAAI 2019.
"""

from __future__ import annotations

from typing import Any

from nasplat.errors import UsageError
from nasplat.search.strategies.base import TRIES, Strategy, Turn
from nasplat.search.strategies.selection import best_first, tournament


class Evolution(Strategy):
    """Mutation of tournament winners among the youngest results.

    Args:
        space: As for every strategy; so are the other arguments not listed here.
        population: Results in the window, at least 2; as many random candidates come first.
        contestants: Results in a tournament, at least 1.
    """

    name = "evolution"

    def __init__(
        self, space: Any, *, population: int = 30, contestants: int = 10, **options: Any
    ) -> None:
        super().__init__(space, **options)
        if population < 2 or contestants < 1:
            raise UsageError(
                "evolution needs a population of at least 2 and at least 1 contestant, "
                f"got {population=}, {contestants=}"
            )
        self.population = population
        self.contestants = contestants

    def propose(self, turn: Turn) -> None:
        first = self.population - len(self.trials) - len(turn.pending)
        for _ in range(min(first, turn.count)):
            turn.offer(self.space.sample(turn.rng), step="first population")
        window = best_first(self.results[-self.population :])
        if not window:
            return
        for _ in range(TRIES * turn.count):
            if turn.full:
                return
            parent = tournament(window, self.contestants, turn.rng)
            child = self.space.mutate(parent.candidate.genotype, turn.rng)
            while child in turn.tried and turn.rng.random() < 0.5:
                child = self.space.mutate(child, turn.rng)
            turn.offer(child, step="mutation", parents=[parent.number])
