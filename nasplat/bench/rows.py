"""The part of a space that a table has rows for, which strategies take for a space of its own.

Published tables often hold a sample of a space that is too large to train. Whatever a strategy draws or
varies in the whole space then leads to the nearest row: distances are those of the space's encoding.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from optuna.trial import Trial

    from nasplat.space.candidate import Candidate
    from nasplat.space.genotype import Genotype
    from nasplat.space.space import Space

NEIGHBOURS = 24
"""Rows that count as neighbours of a row."""


class Rows:
    """A space of listed genotypes.

    Args:
        space: The whole space.
        genotypes: The listed ones, all different, at least one.
    """

    def __init__(self, space: Space, genotypes: Sequence[Genotype]) -> None:
        self.whole = space
        self.listed = list(genotypes)
        encode = space.encoding.encode  # the rows are known to be valid
        self.codes = np.array([encode(genotype) for genotype in genotypes], dtype=np.float32)
        self._known: dict[int, list[int]] = {}
        self._places = {genotype: row for row, genotype in enumerate(self.listed)}

    def __getattr__(self, name: str) -> Any:
        """Whatever is not about which genotypes there are is the space's."""
        if name == "whole":
            raise AttributeError(name)
        return getattr(self.whole, name)

    def size(self) -> int:
        """How many genotypes are listed."""
        return len(self.listed)

    def genotypes(self) -> Iterator[Genotype]:
        """All of them, in order."""
        return iter(self.listed)

    def contains(self, genotype: Mapping[str, Any]) -> bool:
        """Whether a genotype is listed."""
        return genotype in self._places

    def default(self) -> Genotype:
        """The listed one nearest to the space's default."""
        return self.near(self.whole.default())

    def sample(self, rng: random.Random) -> Genotype:
        """Any of them, all equally likely."""
        return self.listed[rng.randrange(len(self.listed))]

    def batch(self, count: int, rng: random.Random) -> Iterator[Candidate]:
        """Different random candidates, built; fewer when there are fewer."""
        for row in rng.sample(range(len(self.listed)), min(count, len(self.listed))):
            yield self.whole.build(self.listed[row])

    def near(
        self,
        genotype: Genotype,
        other_than: Collection[Genotype] = (),
        rng: random.Random | None = None,
    ) -> Genotype:
        """The listed genotype nearest to one of the space.

        Args:
            genotype: Any of the space.
            other_than: Genotypes that are not meant.
            rng: Decides between rows at one distance; None: the first of them.
        """
        if genotype in self._places and genotype not in other_than:
            return genotype
        for row in self._ranked(genotype, len(other_than) + 1, rng):
            if self.listed[row] not in other_than:
                return self.listed[row]
        return self.listed[0]

    def mutate(self, genotype: Genotype, rng: random.Random) -> Genotype:
        """One of the neighbours, the nearer the more likely; what is not listed mutates in the space."""
        if genotype not in self._places:
            return self.near(self.whole.mutate(genotype, rng), [genotype], rng)
        if len(self.listed) == 1:
            return genotype
        around = self._around(self._places[genotype])
        return self.listed[around[int(len(around) * rng.random() ** 2)]]

    def crossover(self, one: Genotype, other: Genotype, rng: random.Random) -> Genotype:
        """The row nearest to a child, other than its parents."""
        return self.near(self.whole.crossover(one, other, rng), [one, other], rng)

    def neighbours(self, genotype: Genotype) -> Iterator[Genotype]:
        """The nearest rows, the nearest first."""
        if genotype in self._places:
            yield from (self.listed[row] for row in self._around(self._places[genotype]))
        else:
            yield from (self.listed[row] for row in self._ranked(genotype, NEIGHBOURS))

    def suggest(self, trial: Trial) -> Candidate:
        """What Optuna draws in the whole space, led to the nearest row."""
        return self.whole.build(self.near(self.whole.suggest(trial).genotype))

    def _around(self, row: int) -> list[int]:
        """The neighbours of a row, the nearest first; found once."""
        if row not in self._known:
            ranked = self._ranked(self.listed[row], NEIGHBOURS + 1, random.Random(row))
            self._known[row] = [other for other in ranked if other != row][:NEIGHBOURS]
        return self._known[row]

    def _ranked(
        self, genotype: Genotype, count: int, rng: random.Random | None = None
    ) -> list[int]:
        """The nearest rows, the nearest first."""
        code = self.whole.encode(genotype).astype(np.float32)
        distance = np.abs(self.codes - code).sum(1)
        count = min(count, len(distance))
        reached = np.partition(distance, count - 1)[count - 1]
        nearest = np.flatnonzero(distance <= reached)
        ties = nearest
        if rng is not None:
            ties = np.random.default_rng(rng.getrandbits(32)).permutation(len(nearest))
        order = nearest[np.lexsort((ties, distance[nearest]))]
        return [int(row) for row in order[:count]]
