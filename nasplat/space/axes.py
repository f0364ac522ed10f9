"""Axes: the design choices of the literature, read off genotypes by rules on the paths of decisions.

A rule names decisions by a pattern of their paths and says which values they have where an option of an axis
holds. A space that is narrowed to a rule holds only such candidates. This module knows paths and values, no
ops and no graphs.

A pattern is a path in which ``*`` stands for any text within one segment and ``**`` for any number of
segments: ``stages.*.blocks.*.mixer``, ``**.norm``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

from nasplat.errors import SpaceError, UsageError, nearest_first, unknown
from nasplat.space.decisions import ChoiceDecision, Decision, IntDecision, Scalar
from nasplat.space.plan import Entry, Plan, Point, Site, entries

Patterns = Mapping[str, Sequence[Scalar]]
"""Path pattern to the values that decisions of such paths may have."""


@dataclass(frozen=True)
class Rule:
    """Which values decisions have where an option holds.

    Attributes:
        every: At least one decision whose path matches is active, and all that are have one of the values.
        some: At least one active decision whose path matches has one of the values.
    """

    every: Patterns = field(default_factory=dict)
    some: Patterns = field(default_factory=dict)

    def holds(self, genotype: Mapping[str, Any]) -> bool:
        """Whether a closed genotype keeps to the rule."""
        for pattern, values in self.every.items():
            met = [value for path, value in genotype.items() if matches(pattern, path)]
            if not met or not all(among(value, values) for value in met):
                return False
        return self.occurs(genotype, self.some)

    def present(self, genotype: Mapping[str, Any]) -> bool:
        """Whether what the rule is about occurs somewhere: ``every`` read as ``some``."""
        return self.occurs(genotype, self.every) and self.occurs(genotype, self.some)

    @staticmethod
    def occurs(genotype: Mapping[str, Any], patterns: Patterns) -> bool:
        """Whether each pattern is met by an active decision that has one of the values."""
        return all(
            any(matches(pattern, path) and among(value, values) for path, value in genotype.items())
            for pattern, values in patterns.items()
        )


Option = Rule | tuple[Rule, ...]
"""How an option is recognised; of several rules any suffices, and the first is the one to narrow by."""


@dataclass(frozen=True)
class Numeric:
    """A numeric axis.

    Attributes:
        patterns: Path patterns of the decisions that it is about.
    """

    patterns: tuple[str, ...]

    def __init__(self, *patterns: str) -> None:
        object.__setattr__(self, "patterns", patterns)


Axis = Mapping[str, Option] | Numeric
"""A categorical axis by its options, or a numeric one."""


def holds(
    axes: Mapping[str, Axis], genotype: Mapping[str, Any], axis: str, option: Scalar = None
) -> bool:
    """Whether an option of an axis holds for a genotype.

    Args:
        axes: Of the space.
        genotype: One of its genotypes.
        axis: One of ``axes``.
        option: One of its options; for a numeric axis a value, or None for any.

    Raises:
        UsageError: There is no such axis, or the axis has no such option.
    """
    if axis not in axes:
        raise unknown("axis", axis, axes, UsageError)
    held = axes[axis]
    if isinstance(held, Numeric):
        met = [
            value
            for pattern in held.patterns
            for path, value in genotype.items()
            if matches(pattern, path)
        ]
        return bool(met) and (option is None or all(among(value, (option,)) for value in met))
    return any(rule.holds(genotype) for rule in rules(option_of(axis, held, option)))


def option_of(axis: str, held: Mapping[str, Option], option: Scalar) -> Option:
    """An option of a categorical axis by its name.

    Raises:
        UsageError: The axis has no such option; lists those it has.
    """
    if str(option) not in held:
        raise unknown(f"option of {axis}", str(option), held, UsageError)
    return held[str(option)]


def rules(option: Option) -> tuple[Rule, ...]:
    """The rules of an option, any of which suffices."""
    return (option,) if isinstance(option, Rule) else option


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    parts = []
    for segment in pattern.split("."):
        if segment == "**":
            parts.append(r"(?:[^.]+\.)*")
        else:
            parts.append(re.escape(segment).replace(r"\*", "[^.]*") + r"\.")
    return re.compile("".join(parts))


@lru_cache(maxsize=1 << 18)
def matches(pattern: str, path: str) -> bool:
    """Whether a path matches a pattern."""
    return _expression(pattern).fullmatch(path + ".") is not None


def among(value: object, values: Sequence[Scalar]) -> bool:
    """Whether a value is one of several; ``True`` is not 1."""
    return any(
        value == other and isinstance(value, bool) == isinstance(other, bool) for other in values
    )


def narrow(
    plan: Plan, sites: Sequence[Site], wanted: Sequence[tuple[str, Patterns]]
) -> tuple[Plan, list[Site]]:
    """The plan in which the decisions that patterns name have only the values given.

    Args:
        plan: Of a space.
        sites: Its parts that recombination may move.
        wanted: Patterns with their values, each mapping with the name that an error calls it by. Where
            several patterns name one decision it keeps the values that all of them give.

    A value goes where it would make a decision active that has none left: who asks for windows everywhere
    asks for no trunk without windows.

    Raises:
        SpaceError: A pattern names no decision, or leaves one without a value that every candidate needs;
            lists all such, each with its path and what was asked for.
    """
    return Narrowing(plan, wanted).apply(plan, sites)


class Narrowing:
    """The decisions of a plan with fewer values, and the plans made of them.

    Raises:
        SpaceError: As :func:`narrow`.
    """

    def __init__(self, plan: Plan, wanted: Sequence[tuple[str, Patterns]]) -> None:
        self._points: dict[Point, Point] = {}
        self._entries: dict[int, tuple[Entry, Entry]] = {}
        met = list(dict.fromkeys(entry[0] for entry in entries(plan)))
        offences = list(_unmatched(met, wanted))
        kept: dict[Point, Decision] = {}
        lost: dict[Point, str] = {}
        for point in met:
            asked = [
                (source, pattern, values)
                for source, patterns in wanted
                for pattern, values in patterns.items()
                if matches(pattern, point.path)
            ]
            left: Decision | None = point.decision
            for _, _, values in asked:
                left = None if left is None else subset(left, values)
            if left is not None:
                kept[point] = left
                continue
            reasons = "; ".join(
                f"{source}: {pattern} = {', '.join(map(repr, values))}"
                for source, pattern, values in asked
            )
            reason = f"{point.path} is {point.decision}, and no value is left ({reasons})"
            if all(subset(point.decision, values) for _, _, values in asked):
                offences.append(reason)  # each could be had, but not all of them
            lost[point] = reason
        asked_too_much = list(lost.values())
        _without_lost(list(entries(plan)), kept, lost)
        if any(entry[0] in lost for entry in plan):
            offences += asked_too_much
        if offences:
            raise SpaceError(
                "the space holds no such candidates\n  " + "\n  ".join(offences[:10]),
                hint="`nasplat space show SPACE` lists the decisions with their values.",
            )
        for point, decision in kept.items():
            if decision is not point.decision:
                self._points[point] = Point(point.path, decision, point.before)
        for point in met:
            if point.before in self._points:
                moved = self._points.setdefault(
                    point, Point(point.path, point.decision, point.before)
                )
                moved.before = self._points[point.before]

    def apply(self, plan: Plan, sites: Sequence[Site]) -> tuple[Plan, list[Site]]:
        """The plan and the sites, narrowed."""
        return self._plan(plan), [Site(site.path, self._plan(site.plan)) for site in sites]

    def _plan(self, plan: Plan) -> Plan:
        return tuple(self._entry(entry) for entry in plan)

    def _entry(self, entry: Entry) -> Entry:
        if id(entry) not in self._entries:
            point, branches = entry
            new = self._points.get(point, point)
            below: tuple[Plan, ...] | None = None
            if branches is not None:
                kept = branches
                if new.decision is not point.decision:
                    values = [new.decision.value(at) for at in range(new.decision.count or 0)]
                    kept = tuple(branches[point.decision.index(value)] for value in values)
                below = tuple(self._plan(branch) for branch in kept)
                below = below if any(below) else None
            self._entries[id(entry)] = (entry, (new, below))  # the entry is kept: ids stay good
        return self._entries[id(entry)][1]


def _without_lost(
    met: Sequence[Entry], kept: dict[Point, Decision], lost: dict[Point, str]
) -> None:
    """Take out values below which a decision has none left, until every value that is left is possible."""
    changed = bool(lost)
    while changed:
        changed = False
        for point, branches in met:
            if branches is None or point in lost:
                continue
            decision = kept[point]
            values = [decision.value(at) for at in range(decision.count or 0)]
            good = [
                value
                for value in values
                if not any(entry[0] in lost for entry in branches[point.decision.index(value)])
            ]
            if len(good) == len(values):
                continue
            changed = True
            left = subset(decision, good)
            if left is None:
                lost[point] = f"no option of {point.path} is possible"
            else:
                kept[point] = left


def _unmatched(points: list[Point], wanted: Sequence[tuple[str, Patterns]]) -> Iterator[str]:
    for source, patterns in wanted:
        for pattern in patterns:
            if not any(matches(pattern, point.path) for point in points):
                near = ", ".join(nearest_first(pattern, [point.path for point in points])[:3])
                yield f"{source}: {pattern} matches no decision; nearest: {near or 'none'}"


def subset(decision: Decision, values: Sequence[Scalar]) -> Decision | None:
    """The decision over those of its values that are among ``values``; None where none is.

    The default is kept where it can be; otherwise it is the first of ``values`` in the domain.
    """
    inside = [value for value in values if decision.index(value) >= 0]
    if not inside:
        return None
    if decision.count is None:
        kept = [decision.close(value) for value in dict.fromkeys(inside)]
    else:
        kept = [decision.value(at) for at in sorted({decision.index(value) for value in inside})]
        if len(kept) == decision.count:
            return decision
    default = decision.default if among(decision.default, kept) else decision.close(inside[0])
    if isinstance(decision, IntDecision) and len(kept) > 1:
        numbers = [decision.close(value) for value in kept]
        steps = {after - before for before, after in pairwise(numbers)}
        if len(steps) == 1:
            first, last = numbers[0], numbers[-1]
            return IntDecision(first, last, steps.pop(), decision.close(default), decision.name)
    held = decision.on_demand if isinstance(decision, ChoiceDecision) else ()
    return ChoiceDecision(
        kept, default, decision.name, [value for value in held if among(value, kept)]
    )
