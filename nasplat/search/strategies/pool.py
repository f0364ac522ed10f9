"""Candidates worth a guess: random ones, and variations of the best results.

Each candidate is built once; what is kept of it are its features and its exact values, not its graph.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasplat.predict.features import Features
from nasplat.predict.transfer import InformedFeatures
from nasplat.search.strategies.base import Measure

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate
    from nasplat.space.genotype import Genotype
    from nasplat.space.space import Space

Floats = NDArray[np.float64]

FURTHER = 0.3
"""Probability that a mutant mutates on."""
REMEMBERED = 20_000
"""Genotypes whose features are kept; beyond, the oldest are forgotten and built again when met again."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a candidate.

    Attributes:
        genotype: Its decisions.
        row: Its features.
        exact: Value of each objective that follows from the candidate alone, by number.
        violation: By how much it breaks cheap constraints; 0 is allowed.
    """

    genotype: Genotype
    row: Floats
    exact: Mapping[int, float]
    violation: float


class Pool:
    """Builds, describes and remembers candidates of one space.

    Args:
        space: Where candidates come from.
        features: Describes candidates.
        cheap: Violation of the cheap constraints, if there are any.
        exact: Objectives that follow from the candidate alone.
        seed: Seed of what is drawn and varied.
    """

    def __init__(
        self,
        space: Space,
        features: Features | InformedFeatures,
        cheap: Measure | None,
        exact: Mapping[int, Measure],
        seed: int = 0,
    ) -> None:
        self.space = space
        self.features = features
        self._cheap = cheap
        self._exact = exact
        self._seed = seed
        self._known: dict[Genotype, Known] = {}
        self._around: dict[Genotype, tuple[random.Random, list[Genotype]]] = {}
        self._codes: dict[Genotype, NDArray[np.float32]] = {}
        self._stream: tuple[random.Random, list[Genotype]] = (random.Random(f"drawn {seed}"), [])

    def know(self, genotypes: Iterable[Genotype]) -> list[Known]:
        """Build what is not known yet; the answer has the order of the question, repeats once."""
        wanted = list(dict.fromkeys(genotypes))
        new = [genotype for genotype in wanted if genotype not in self._known]
        self.note([self.space.build(genotype) for genotype in new])
        answer = [self._known[genotype] for genotype in wanted]
        for genotype in list(self._known)[: max(0, len(self._known) - REMEMBERED)]:
            del self._known[genotype]
        return answer

    def note(self, candidates: Sequence[Candidate]) -> None:
        """Remember candidates that were built elsewhere."""
        new = [candidate for candidate in candidates if candidate.genotype not in self._known]
        if not new:
            return
        for candidate, row in zip(new, self.features(new), strict=True):
            self._known[candidate.genotype] = Known(
                candidate.genotype,
                row,
                {number: float(measure(candidate)) for number, measure in self._exact.items()},
                float(self._cheap(candidate)) if self._cheap else 0.0,
            )

    def rows(self, candidates: Sequence[Candidate]) -> Floats:
        """Features of candidates, ``(n, d)``."""
        self.note(candidates)
        found = [self._known[candidate.genotype].row for candidate in candidates]
        return np.array(found).reshape(len(candidates), len(self.features.columns))

    def codes(self, genotypes: Sequence[Genotype]) -> NDArray[np.float32]:
        """The space's encoding of genotypes, ``(n, e)``; each is worked out once.

        What earlier searches foretell by it are further columns.
        """
        if len(self._codes) > REMEMBERED:
            self._codes.clear()
        new = [one for one in dict.fromkeys(genotypes) if one not in self._codes]
        if new:
            rows = np.array([self.space.encode(one) for one in new])
            if isinstance(self.features, InformedFeatures):
                rows = self.features.by_decisions(rows)
            self._codes.update(zip(new, rows.astype(np.float32), strict=True))
        return np.array([self._codes[genotype] for genotype in genotypes])

    def drawn(self, count: int) -> list[Genotype]:
        """The first ``count`` random genotypes, the same for the whole search."""
        rng, stream = self._stream
        stream.extend(self.space.sample(rng) for _ in range(count - len(stream)))
        return stream[:count]

    def around(self, genotype: Genotype, count: int) -> list[Genotype]:
        """The first ``count`` mutants of a genotype: mostly one step away, sometimes several.

        The same for the whole search, so that a candidate that stays promising is not varied, built and
        described all over again at every turn.
        """
        if len(self._around) > REMEMBERED // 10:
            self._around.clear()  # what is asked for again comes out the same
        if genotype not in self._around:
            text = json.dumps([self._seed, sorted(genotype.items())])
            self._around[genotype] = (random.Random(text), [])
        rng, mutants = self._around[genotype]
        while len(mutants) < count:
            mutant = self.space.mutate(genotype, rng)
            while rng.random() < FURTHER:
                mutant = self.space.mutate(mutant, rng)
            mutants.append(mutant)
        return mutants[:count]


def allowed(known: Iterable[Known], told: Collection[Genotype]) -> list[Known]:
    """Those that keep the cheap constraints and were not told yet."""
    return [one for one in known if one.violation <= 0 and one.genotype not in told]


def crossed(
    space: Space, parents: Sequence[Genotype], count: int, rng: random.Random
) -> list[Genotype]:
    """Children of two parents each, every second one mutated; none when there is one parent only."""
    children = []
    for _ in range(count if len(parents) > 1 else 0):
        mother, father = rng.sample(parents, 2)
        child = space.crossover(mother, father, rng)
        children.append(space.mutate(child, rng) if rng.random() < 0.5 else child)
    return children
