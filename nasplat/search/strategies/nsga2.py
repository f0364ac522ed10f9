"""NSGA-II on graphs: type-directed crossover of sub-graphs, mutation, and Pareto selection [Deb2002].

Steady state for asynchronous workers: the parents are the best of everything finished so far, by
constraint domination and crowding, instead of the survivors of a generation.

References:
    [Deb2002] K. Deb et al. A fast and elitist multiobjective genetic algorithm: NSGA-II. IEEE TEC 2002.
"""

from __future__ import annotations

from typing import Any

from nasplat.errors import UsageError
from nasplat.search.strategies.base import TRIES, Observation, Strategy, Turn
from nasplat.search.strategies.selection import best_first, tournament


class NSGA2(Strategy):
    """Crossover and mutation of the best results.

    Args:
        space: As for every strategy; so are the other arguments not listed here.
        population: Parents, at least 2; as many random candidates come first.
        crossover: Probability that a child has two parents, in [0, 1].
        mutation: Probability that a child of two parents is mutated as well, in [0, 1].
    """

    name = "nsga2"

    def __init__(
        self,
        space: Any,
        *,
        population: int = 20,
        crossover: float = 0.9,
        mutation: float = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(space, **options)
        if population < 2 or not 0 <= crossover <= 1 or not 0 <= mutation <= 1:
            raise UsageError(
                "nsga2 needs a population of at least 2 and probabilities in [0, 1], "
                f"got {population=}, {crossover=}, {mutation=}"
            )
        self.population = population
        self.crossover = crossover
        self.mutation = mutation

    def propose(self, turn: Turn) -> None:
        first = self.population - len(self.trials) - len(turn.pending)
        for _ in range(min(first, turn.count)):
            turn.offer(self.space.sample(turn.rng), step="first population")
        parents = best_first(self.results)[: self.population]
        if not parents:
            return
        for _ in range(TRIES * turn.count):
            if turn.full:
                return
            self._offer_child(turn, parents)

    def _offer_child(self, turn: Turn, parents: list[Observation]) -> None:
        rng = turn.rng
        mother = tournament(parents, 2, rng)
        genotype = mother.candidate.genotype
        if rng.random() >= self.crossover:
            child = self.space.mutate(genotype, rng)
            turn.offer(child, step="mutation", parents=[mother.number])
            return
        father = tournament(parents, 2, rng)
        genotypes = (genotype, father.candidate.genotype)
        child = self.space.crossover(*genotypes, rng)
        step = "crossover"
        if rng.random() < self.mutation or child in genotypes:
            child, step = self.space.mutate(child, rng), "crossover and mutation"
        turn.offer(child, step=step, parents=[mother.number, father.number])
