"""Whether every candidate of a space type-checks: decided when the space is made, before any training.

Tried are the default, every value of every decision with the others at their defaults, and a seeded batch
of random genotypes. A genotype that fails is taken back towards the default, decision by decision, for as
long as it fails: the decisions that remain are the ones to blame.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from nasplat.errors import GraphTypeError, SpaceError, UsageError
from nasplat.space.decisions import Scalar
from nasplat.space.plan import Plan, Point, Values, conditions, draw, entries, fill

SHOWN = 10
"""Most failures listed in one error."""


def check(
    plan: Plan, build: Callable[[Values], object], *, name: str, batch: int, seed: int = 0
) -> None:
    """Build what the module's docstring says, and raise if anything does not type-check.

    Args:
        plan: The decisions of the space.
        build: Builds the graph of a closed genotype.
        name: Of the space, for the error.
        batch: How many random genotypes are tried.
        seed: Of the random batch.

    Raises:
        SpaceError: Some candidates do not type-check; names the options, the rule and the types met.
    """
    default = fill(plan, {}, _default)
    failure = _failure(build, default)
    if failure:
        raise SpaceError(
            f"space {name!r} does not type-check with every decision at its default: {failure}"
        )
    blamed: dict[str, str] = {}
    for values in _single_changes(plan, default):
        failure = _failure(build, values)
        if failure:
            blamed.setdefault(_blame(plan, build, values), failure)
    rng = random.Random(seed)
    for _ in range(0 if blamed else batch):
        drawn: Values = {}
        draw(plan, drawn, rng)
        failure = _failure(build, drawn)
        if failure:
            blamed.setdefault(_blame(plan, build, drawn), failure)
            break
    if blamed:
        shown = [f"{options}: {failure}" for options, failure in blamed.items()]
        more = f"\n  and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
        raise SpaceError(
            f"space {name!r} does not type-check\n  " + "\n  ".join(shown[:SHOWN]) + more,
            hint="Every option must fit in its place: change it, or what stands around it.",
        )


def _failure(build: Callable[[Values], object], values: Values) -> str:
    try:
        build(values)
    except (GraphTypeError, SpaceError) as error:
        return error.message
    except UsageError:
        raise
    except Exception as error:  # an op of a user's own may raise anything
        return f"{type(error).__name__}: {error}"
    return ""


def _single_changes(plan: Plan, default: Values) -> list[Values]:
    """Every value of every decision, the others at their defaults as far as it can be active."""
    needed = conditions(plan)
    changes = []
    seen = set()
    for entry in entries(plan):
        point = entry[0]
        if point in seen:
            continue
        seen.add(point)
        decision = point.decision
        if decision.count is None:
            tried = [decision.low, decision.high]  # type: ignore[attr-defined]  # a Float
        else:
            tried = [decision.value(index) for index in range(decision.count)]
        for value in tried:
            if default.get(point.path) != value:
                given = {**default, **needed[point], point.path: value}
                changes.append(fill(plan, given, _default))
    return changes


def _blame(plan: Plan, build: Callable[[Values], object], values: Values) -> str:
    """The decisions without which the failure goes away, as words."""
    points = {entry[0].path: entry[0] for entry in entries(plan)}

    def changed(genotype: Values) -> list[str]:
        return [path for path, value in genotype.items() if points[path].decision.default != value]

    current = values
    moved = True
    while moved:
        moved = False
        for path in changed(current):
            given = {**current, path: points[path].decision.default}
            simpler = fill(plan, given, _default)
            if len(changed(simpler)) < len(changed(current)) and _failure(build, simpler):
                current, moved = simpler, True
                break
    return " with ".join(f"{path} = {current[path]}" for path in changed(current)) or "default"


def _default(point: Point) -> Scalar:
    return point.decision.default
