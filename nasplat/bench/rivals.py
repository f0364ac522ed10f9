"""Regularised evolution and local search as their papers describe them, apart from nasplat's own.

Both are written for one objective; with several, results are ordered by Pareto rank, then by how much they
stand apart. Neither knows what a candidate is made of.

References:
    [Real2019] E. Real et al. Regularized evolution for image classifier architecture search. AAAI 2019.
    [White2021] C. White, S. Nolen, Y. Savani. Exploring the loss landscape in neural architecture
        search. UAI 2021.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplat import pareto
from nasplat.bench.peers import Peer, Values
from nasplat.errors import UsageError
from nasplat.search.strategies.base import Key, key_of

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate
    from nasplat.space.genotype import Genotype

FAILED = 1e30
"""Stands for each objective of a candidate that failed."""
TRIES = 1000
"""Draws for a candidate that is new, before a method gives up."""


class RegularisedEvolution(Peer):
    """A window of the youngest candidates; the best of a random part of it is mutated [Real2019].

    As in the paper a candidate may be evaluated again. The sizes are those used for tables of this kind
    [White2021].

    Args:
        space: As for every peer; so are the other arguments not listed here.
        population: Candidates in the window, at least 2.
        contestants: Candidates that compete to be the parent, at least 1.
    """

    def __init__(
        self, space: Any, *, population: int = 30, contestants: int = 10, **arguments: Any
    ) -> None:
        super().__init__(space, **arguments)
        if population < 2 or contestants < 1:
            raise UsageError(
                "regularised-evolution needs a population of at least 2 and at least 1 contestant, "
                f"got {population=}, {contestants=}"
            )
        self.population = population
        self.contestants = contestants
        self._rng = random.Random(f"regularised evolution {self.seed}")
        self._window: deque[tuple[Candidate, Values]] = deque(maxlen=population)
        self._first = 0

    def ask(self, count: int) -> list[Candidate]:
        return [self.space.build(self._next()) for _ in range(count)]

    def tell(self, candidate: Candidate, values: Values | None) -> None:
        self._window.append((candidate, values or (FAILED,) * self.objectives))

    def _next(self) -> Genotype:
        if self._first < self.population or not self._window:
            self._first += 1
            drawn: Genotype = self.space.sample(self._rng)
            return drawn
        met = [self._rng.choice(self._window) for _ in range(self.contestants)]
        parent = met[best([values for _, values in met])][0]
        child: Genotype = self.space.mutate(parent.genotype, self._rng)
        return child


class LocalSearch(Peer):
    """Evaluates the neighbours of the best candidate, moves on to a better one, starts anew at an optimum.

    As in the paper [White2021] nothing is evaluated twice, and all neighbours are tried before it moves.

    Args:
        space: As for every peer; so are the other arguments not listed here.
        first: Random candidates of which the best is the start, at least 1.
    """

    def __init__(self, space: Any, *, first: int = 10, **arguments: Any) -> None:
        super().__init__(space, **arguments)
        if first < 1:
            raise UsageError(f"local-search needs at least 1 first candidate, got {first=}")
        self.first = first
        self._rng = random.Random(f"local search {self.seed}")
        self._known: dict[Key, Values] = {}
        self._queue: list[Genotype] = []
        self._round: list[tuple[Candidate, Values]] = []
        self._at: tuple[Candidate, Values] | None = None
        self._drawn = 0

    def ask(self, count: int) -> list[Candidate]:
        asked: list[Candidate] = []
        taken = set(self._known)
        for _ in range(TRIES * count):
            if len(asked) == count:
                break
            if not self._queue and self._drawn == 0:
                if asked:
                    break  # the round is complete once these are told
                self._move()
            candidate = self.space.build(self._next())
            if key_of(candidate) not in taken:
                taken.add(key_of(candidate))
                asked.append(candidate)
        return asked

    def tell(self, candidate: Candidate, values: Values | None) -> None:
        known = values or (FAILED,) * self.objectives
        self._known[key_of(candidate)] = known
        self._round.append((candidate, known))

    def _next(self) -> Genotype:
        if self._queue:
            return self._queue.pop()
        self._drawn = max(0, self._drawn - 1)
        drawn: Genotype = self.space.sample(self._rng)
        return drawn

    def _move(self) -> None:
        """Go to the best of the round, or start anew where it is no better than where we are."""
        here, met = self._at, self._round
        self._round = []
        self._at = met[best([values for _, values in met])] if met else None
        if here is not None and self._at is not None and best([here[1], self._at[1]]) == 0:
            self._at = None
        if self._at is None:
            self._drawn = self.first
            return
        self._queue = list(self.space.neighbours(self._at[0].genotype))
        self._rng.shuffle(self._queue)


def best(values: list[Values]) -> int:
    """The row that comes first by Pareto rank, then by crowding, then by its place."""
    return int(pareto.order(np.array(values, dtype=float))[0])
