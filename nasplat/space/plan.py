"""A plan: which decisions a space holds and which values make others active.

A plan is a product of entries; an entry is a point (a decision in its place) and, where its value opens or
closes other points, one plan for each of its values. Everything that treats genotypes as data (drawing,
checking, counting, listing, recombining) walks a plan; it knows nothing of ops, types or graphs.

A point may stand in several entries: its value is decided once and counts everywhere.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nasplat.errors import SpaceError
from nasplat.space.decisions import Decision, Scalar


@dataclass(eq=False, slots=True)
class Point:
    """A decision in its place.

    Attributes:
        path: Its name in genotypes.
        decision: Its domain.
        before: The same decision in the previous copy of a repeated body, if there is one.
        kind: What the point decides, the same in every copy: the end of the path without numbers.
    """

    path: str
    decision: Decision
    before: Point | None = None
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        self.kind = re.sub(r"(_?\d+)$", "", self.path.rpartition(".")[2])


Plan = tuple["Entry", ...]
Entry = tuple[Point, "tuple[Plan, ...] | None"]
Values = dict[str, Scalar]


@dataclass(frozen=True, eq=False, slots=True)
class Site:
    """A part of a space that recombination may move as a whole: an option, a copy, a named part."""

    path: str
    plan: Plan


def product(*plans: Plan) -> Plan:
    """The plan whose points are those of all ``plans``; entries of one point become one."""
    merged: dict[Point, Entry] = {}
    for plan in plans:
        for entry in plan:
            point, branches = entry
            known = merged.get(point)
            if known is None:
                merged[point] = entry
            elif branches is not None and branches is not known[1]:
                old = known[1]
                both = branches if old is None else tuple(map(product, old, branches))
                merged[point] = (point, both)
    return tuple(merged.values())


def entries(plan: Plan) -> Iterator[Entry]:
    """Every entry of a plan and of the plans below it, each object once, in the order of decisions."""
    seen: set[int] = set()

    def walk(part: Plan) -> Iterator[Entry]:
        for entry in part:
            if id(entry) not in seen:
                seen.add(id(entry))
                yield entry
                for branch in entry[1] or ():
                    yield from walk(branch)

    return walk(plan)


def simplify(plan: Plan) -> Plan:
    """Drop occurrences of shared points that an enclosing occurrence has already decided."""
    met = Counter(entry[0] for entry in entries(plan))
    shared = frozenset(point for point, times in met.items() if times > 1)
    if not shared:
        return plan
    below: dict[int, frozenset[Point]] = {}

    def points(entry: Entry) -> frozenset[Point]:
        if id(entry) not in below:
            inner = [points(other) for branch in entry[1] or () for other in branch]
            below[id(entry)] = frozenset([entry[0]]).union(*inner)
        return below[id(entry)]

    def inline(old: Plan, fixed: Mapping[Point, int]) -> Plan:
        flat: list[Plan] = []
        for entry in old:
            point, branches = entry
            if point not in fixed:
                flat.append((entry,))
            elif branches is not None:
                flat.append(inline(branches[fixed[point]], fixed))
        return product(*flat)

    def walk(
        old: Plan,
        known: frozenset[Point],
        fixed: Mapping[Point, int],
        below_known: Mapping[Point, tuple[frozenset[Point], ...]],
    ) -> Plan:
        flat = inline(old, fixed)
        here = known | {point for point, _ in flat if point in shared}
        opened = dict(below_known)
        for point, branches in flat:
            if point in shared and branches is not None:
                before = below_known.get(point, (frozenset(),) * len(branches))
                opened[point] = tuple(
                    already | {other for other, _ in branch}
                    for already, branch in zip(before, branches, strict=True)
                )
        kept: list[Entry] = []
        for entry in flat:
            point, branches = entry
            if branches is not None and points(entry) & shared:
                inner = tuple(
                    walk(
                        branch,
                        here,
                        {**fixed, point: index} if point in shared else fixed,
                        opened,
                    )
                    for index, branch in enumerate(branches)
                )
                if point in below_known:  # what it opens, the enclosing occurrence opens as well
                    inner = tuple(map(without, inner, below_known[point]))
                entry = (point, inner if any(inner) else None)
            if entry[1] is not None or point not in known:
                kept.append(entry)
        return tuple(kept)

    def without(branch: Plan, decided: frozenset[Point]) -> Plan:
        return tuple(entry for entry in branch if entry[1] is not None or entry[0] not in decided)

    return walk(plan, frozenset(), {}, {})


def fill(plan: Plan, given: Mapping[str, Any], choose: Callable[[Point], Scalar]) -> Values:
    """Close every active point: with its value in ``given`` if that is in its domain, else ``choose``."""
    values: Values = {}

    def walk(part: Plan) -> None:
        for point, branches in part:
            path = point.path
            decision = point.decision
            if path not in values:
                if path in given and decision.index(given[path]) >= 0:
                    values[path] = decision.close(given[path])
                else:
                    values[path] = choose(point)
            if branches is not None:
                walk(branches[decision.index(values[path])])

    walk(plan)
    return values


def draw(plan: Plan, values: Values, rng: random.Random) -> None:
    """Draw every active point that has no value yet, each uniform over its domain."""
    for point, branches in plan:
        path = point.path
        if path in values:
            value = values[path]
        else:
            values[path] = value = point.decision.draw(rng)
        if branches is not None:
            draw(branches[point.decision.index(value)], values, rng)


def active(plan: Plan, values: Mapping[str, Any]) -> dict[Point, None]:
    """The active points of a valid genotype, in order."""
    met: dict[Point, None] = {}

    def walk(part: Plan) -> None:
        for point, branches in part:
            met[point] = None
            if branches is not None:
                walk(branches[point.decision.index(values[point.path])])

    walk(plan)
    return met


def close(
    plan: Plan, given: Mapping[str, Any]
) -> tuple[Values, dict[str, str], dict[Point, tuple[Plan, ...]]]:
    """Read a genotype.

    Returns:
        The active paths with the domains' own values; one sentence for each path that is missing or has
        a value out of its domain; and what lies below these, where nothing was looked at.
    """
    values: Values = {}
    offences: dict[str, str] = {}
    hidden: dict[Point, tuple[Plan, ...]] = {}

    def walk(part: Plan) -> None:
        for point, branches in part:
            path = point.path
            decision = point.decision
            if path not in values:
                if path not in given or decision.index(given[path]) < 0:
                    met = f"is {given[path]!r}" if path in given else "is missing"
                    offences[path] = f"{path} {met}, expected a value of {decision}"
                    hidden[point] = (*hidden.get(point, ()), *(branches or ()))
                    continue
                values[path] = decision.close(given[path])
            if branches is not None:
                walk(branches[decision.index(values[path])])

    walk(plan)
    return values, offences, hidden


def every(plan: Plan) -> Iterator[Values]:
    """All genotypes, the last point turning fastest.

    Raises:
        SpaceError: An active point has infinitely many values.
    """
    values: Values = {}

    def walk(agenda: Plan) -> Iterator[Values]:
        if not agenda:
            yield dict(values)
            return
        (point, branches), rest = agenda[0], agenda[1:]
        decision = point.decision
        if point.path in values:
            follow = branches[decision.index(values[point.path])] if branches else ()
            yield from walk(follow + rest)
            return
        if decision.count is None:
            raise SpaceError(f"{point.path} is {decision}: its values cannot be listed")
        for index in range(decision.count):
            values[point.path] = decision.value(index)
            yield from walk((branches[index] if branches else ()) + rest)
        del values[point.path]

    return walk(plan)


Table = dict[frozenset[tuple[Point, int]], int]
"""How many ways there are for each assignment of the shared points that are still open."""


def count(plan: Plan) -> int:
    """The number of genotypes; a continuous point counts as one value.

    Dynamic programming over the plan. A point that two entries of one product share stays open below that
    product: the entries are joined over its values, then it is summed out.
    """
    below: dict[int, frozenset[Point]] = {}
    memo: dict[tuple[int, frozenset[Point]], Table] = {}

    def points(entry: Entry) -> frozenset[Point]:
        if id(entry) not in below:
            inner = [points(other) for branch in entry[1] or () for other in branch]
            below[id(entry)] = frozenset([entry[0]]).union(*inner)
        return below[id(entry)]

    def of_plan(part: Plan, wanted: frozenset[Point]) -> Table:
        sets = [points(entry) for entry in part]
        times = Counter(point for met in sets for point in met)
        opened = wanted | {point for point, number in times.items() if number > 1}
        table: Table = {frozenset(): 1}
        for number, (entry, met) in enumerate(zip(part, sets, strict=True)):
            table = _join(table, of_entry(entry, opened & met))
            later = wanted.union(*sets[number + 1 :]) & opened
            table = _keep(table, later) if met & opened - later else table
        return table

    def of_entry(entry: Entry, wanted: frozenset[Point]) -> Table:
        key = (id(entry), wanted)
        if key in memo:
            return memo[key]
        point, branches = entry
        total: Table = {}
        if point.decision.count is None or (branches is None and point not in wanted):
            total[frozenset()] = point.decision.count or 1
        else:
            for index in range(point.decision.count):
                part = branches[index] if branches else ()
                inner = of_plan(part, wanted)
                if point in wanted:
                    inner = _join({frozenset([(point, index)]): 1}, inner)
                for assignment, number in inner.items():
                    total[assignment] = total.get(assignment, 0) + number
        memo[key] = total
        return total

    return sum(of_plan(plan, frozenset()).values())


def _join(one: Table, other: Table) -> Table:
    if len(other) == 1 and frozenset() in other:
        factor = other[frozenset()]
        return {assignment: number * factor for assignment, number in one.items()}
    joined: Table = {}
    for left, left_number in one.items():
        decided = dict(left)
        for right, right_number in other.items():
            if all(decided.get(point, index) == index for point, index in right):
                both = left | right
                joined[both] = joined.get(both, 0) + left_number * right_number
    return joined


def _keep(table: Table, wanted: frozenset[Point]) -> Table:
    kept: Table = {}
    for assignment, number in table.items():
        part = frozenset((point, index) for point, index in assignment if point in wanted)
        kept[part] = kept.get(part, 0) + number
    return kept


class Signatures:
    """Numbers that are equal for plans of equal structure: the same kinds, domains and branches."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._met: dict[int, tuple[object, int]] = {}

    def _number(self, structure: object) -> int:
        return self._numbers.setdefault(structure, len(self._numbers))

    def of(self, plan: Plan) -> int:
        """The signature of a plan."""
        return self._number(tuple([self._of_entry(entry) for entry in plan]))

    def _of_entry(self, entry: Entry) -> int:
        if id(entry) not in self._met:
            point, branches = entry
            below = None if branches is None else tuple([self.of(branch) for branch in branches])
            structure = (point.kind, repr(point.decision.describe()), below)
            self._met[id(entry)] = (
                entry,
                self._number(structure),
            )  # the entry is kept: ids stay good
        return self._met[id(entry)][1]


def transplant(target: Plan, source: Plan, values: Mapping[str, Any]) -> Values:
    """The values of ``source`` under the paths of ``target``, a plan of the same signature."""
    moved: Values = {}

    def walk(into: Plan, out_of: Plan) -> None:
        for (point, branches), (other, others) in zip(into, out_of, strict=True):
            if other.path not in values:  # a shared point, decided elsewhere in another way
                continue
            value = values[other.path]
            moved[point.path] = value
            if branches is not None and others is not None:
                index = other.decision.index(value)
                walk(branches[index], others[index])

    walk(target, source)
    return moved


def conditions(plan: Plan) -> dict[Point, Values]:
    """For each point some values of other points that make it active, found nearest to the root."""
    found: dict[Point, Values] = {}
    seen: set[int] = set()
    queue: list[tuple[Plan, Values]] = [(plan, {})]
    for part, needed in queue:
        for entry in part:
            point, branches = entry
            found.setdefault(point, needed)
            if branches is None or id(entry) in seen:
                continue
            seen.add(id(entry))
            for index, branch in enumerate(branches):
                if branch and needed.get(point.path, point.decision.value(index)) == (
                    point.decision.value(index)
                ):
                    queue.append((branch, {**needed, point.path: point.decision.value(index)}))
    return found
