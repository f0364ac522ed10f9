"""New genotypes from old ones: neighbours, mutation, and recombination of parts of equal structure.

Parts are compared by structure, not by path: the mixer of one block may take the place of the mixer of
another, a whole block that of another block. What a change newly activates is filled in: a copy of a
repeated body takes the values of the copy before it, everything else its default.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from nasplat.space.decisions import Scalar
from nasplat.space.genotype import Genotype
from nasplat.space.plan import (
    Plan,
    Point,
    Signatures,
    Site,
    active,
    entries,
    fill,
    transplant,
)


def inherited(given: Mapping[str, Any]) -> Callable[[Point], Scalar]:
    """Choose the value of the copy before, where there is one in ``given``, else the default."""

    def choose(point: Point) -> Scalar:
        before = point.before
        while before is not None:
            if before.path in given:
                return before.decision.close(given[before.path])
            before = before.before
        return point.decision.default

    return choose


def neighbours(plan: Plan, genotype: Mapping[str, Any]) -> Iterator[Genotype]:
    """Every genotype in which one decision is one step away."""
    for point in active(plan, genotype):
        for value in point.decision.steps(genotype[point.path]):
            changed = {**genotype, point.path: value}
            yield Genotype(fill(plan, changed, inherited(genotype)))


def mutate(plan: Plan, genotype: Mapping[str, Any], rng: random.Random) -> Genotype:
    """Draw one decision anew, uniform over its other values; newly active ones are drawn as well."""
    points = [
        point
        for point in active(plan, genotype)
        if point.decision.count != 1 and not point.decision.settled(genotype[point.path])
    ]
    if not points:
        return Genotype(genotype)
    point = points[int(rng.random() * len(points))]
    value = genotype[point.path]
    while value == genotype[point.path]:
        value = point.decision.draw(rng)
    changed = {**genotype, point.path: value}
    return Genotype(fill(plan, changed, lambda new: new.decision.draw(rng)))


class Recombination:
    """Moves parts between genotypes of one space.

    Args:
        plan: The decisions of the space.
        named: Its parts that move as a whole; single decisions with what they open do too.
    """

    TRIES = 16
    """Parts looked at for one that makes a difference."""

    def __init__(self, plan: Plan, named: Iterable[Site]) -> None:
        self._plan = plan
        signatures = Signatures()
        self._sites: list[_Sites] = [_Sites(), _Sites()]
        self._alike: dict[int, _Sites] = defaultdict(_Sites)
        single = [Site(entry[0].path, (entry,)) for entry in entries(plan)]
        for group, sites in zip(self._sites, (single, named), strict=True):
            for site in sites:
                if site.plan:
                    signature = signatures.of(site.plan)
                    group.add(site, signature)
                    self._alike[signature].add(site, signature)

    def cross(
        self, one: Mapping[str, Any], other: Mapping[str, Any], rng: random.Random
    ) -> Genotype:
        """``one`` with some parts of ``other``: one part, then another with probability one half, ...

        A part of ``other`` takes a place of equal structure, half of the time the same place. Equal to
        ``one`` only where no part that was looked at differs.
        """
        child = Genotype(one)
        while True:
            child = self._moved(child, other, rng)
            if rng.random() < 0.5:
                return child

    def _moved(
        self, one: Mapping[str, Any], other: Mapping[str, Any], rng: random.Random
    ) -> Genotype:
        groups = [group.present(one) for group in self._sites]
        for _ in range(self.TRIES):
            group = groups[int(rng.random() * 2)]
            if not group:
                continue
            target, signature = group[int(rng.random() * len(group))]
            sources = [site for site, _ in self._alike[signature].present(other)]
            if not sources:
                continue
            same = [site for site in sources if site.path == target.path]
            pool = same if same and rng.random() < 0.5 else sources
            source = pool[int(rng.random() * len(pool))]
            moved = transplant(target.plan, source.plan, other)
            if any(one.get(path) != value for path, value in moved.items()):
                changed = {**one, **moved}
                return Genotype(fill(self._plan, changed, inherited(one)))
        return Genotype(one)


class _Sites:
    """Sites with their signatures, found by the rarest decision of each: few of them are in a genotype."""

    def __init__(self) -> None:
        self._listed: list[tuple[Site, int]] = []
        self._met: set[tuple[str, int, tuple[str, ...]]] = set()

    def add(self, site: Site, signature: int) -> None:
        """Add a site, unless it is there: a shared decision is met wherever it is read, and moves once."""
        key = site.path, signature, tuple(point.path for point, _ in site.plan)
        if key not in self._met:
            self._met.add(key)
            self._listed.append((site, signature))

    @cached_property
    def _holding(self) -> dict[str, list[int]]:
        """Numbers of sites by the path of a decision that fewest of them hold."""
        paths = [[point.path for point, _ in site.plan] for site, _ in self._listed]
        uses = Counter(path for held in paths for path in held)
        found: dict[str, list[int]] = defaultdict(list)
        for number, held in enumerate(paths):
            found[min(held, key=lambda path: uses[path])].append(number)
        return found

    def present(self, genotype: Mapping[str, Any]) -> list[tuple[Site, int]]:
        """Those that are decided in a genotype, in the order in which they were added."""
        found = [
            number
            for path in genotype
            for number in self._holding.get(path, ())
            if _present(self._listed[number][0], genotype)
        ]
        return [self._listed[number] for number in sorted(found)]


def _present(site: Site, genotype: Mapping[str, Any]) -> bool:
    return all(point.path in genotype for point, _ in site.plan)
