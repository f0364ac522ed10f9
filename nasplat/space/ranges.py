"""The range of every cost over a space, and whether bounds on costs can be met.

Costs are exact for one candidate; over a space of 10^18 candidates their extremes are searched: from the
default and from the best of a seeded random batch, one decision after the other is set to its best value
until none improves. Copies of a repeated decision move together first, then one by one. What is reported
is attained by a candidate; the true range can only be wider.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nasplat.graph.cost import COSTS, Cost
from nasplat.space.genotype import Genotype
from nasplat.space.plan import Plan, Point, Values, active, draw, fill
from nasplat.space.variation import inherited

Bounds = Mapping[str, tuple[float | None, float | None]]
"""For each cost the least and the most that is allowed; None: no bound."""


@dataclass(frozen=True)
class Satisfiability:
    """Whether bounds can be met; true as a condition when they can.

    Attributes:
        witness: A genotype that meets all bounds, None if none was found.
        offences: One sentence for each bound that nothing meets, with the range of that cost.
    """

    witness: Genotype | None
    offences: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.witness is not None


class CostSearch:
    """Finds extremes of costs over a space.

    Args:
        plan: The decisions that costs depend on.
        cost: The cost of a closed genotype.
        seed: Of the random batch.
    """

    BATCH = 64
    SWEEPS = 6
    WIDE = 9
    """Of a domain with more values only the ends and the middle are tried."""

    def __init__(self, plan: Plan, cost: Callable[[Values], Cost], seed: int = 0) -> None:
        self._plan = plan
        self._cost = cost
        self._known: dict[frozenset[tuple[str, Any]], Cost] = {}
        rng = random.Random(seed)
        self._starts: list[Values] = [fill(plan, {}, lambda point: point.decision.default)]
        for _ in range(self.BATCH):
            values: Values = {}
            draw(plan, values, rng)
            self._starts.append(values)

    def cost(self, values: Values) -> Cost:
        """The cost of a genotype; worked out once."""
        key = frozenset(values.items())
        if key not in self._known:
            self._known[key] = self._cost(values)
        return self._known[key]

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and greatest value attained of every cost."""
        for name in ("params", "macs", "activation_bytes", "weight_bytes"):  # flops follow macs
            self.best(_field(name, 1))
            self.best(_field(name, -1))
        return {
            name: (
                min(getattr(cost, name) for cost in self._known.values()),
                max(getattr(cost, name) for cost in self._known.values()),
            )
            for name in COSTS
        }

    def best(self, loss: Callable[[Cost], float]) -> tuple[float, Values]:
        """Descend on ``loss`` from the default and from the best random genotype."""
        ranked = sorted(self._starts, key=lambda values: loss(self.cost(values)))
        starts = [self._starts[0], ranked[0]]
        reached = [self._descend(start, loss) for start in starts]
        return min(reached, key=lambda pair: pair[0])

    def _descend(self, start: Values, loss: Callable[[Cost], float]) -> tuple[float, Values]:
        values, least = start, loss(self.cost(start))
        memory = dict(start)  # what closed branches were last set to
        together = True
        for _ in range(self.SWEEPS):
            before = least
            for group in self._groups(values, together):
                for value in self._tried(group[0]):
                    change = {point.path: value for point in group}
                    given = {**memory, **values, **change}
                    other = fill(self._plan, given, inherited(given))
                    found = loss(self.cost(other))
                    if found < least:
                        values, least = other, found
                        memory.update(values)
            if least == before:
                if not together:
                    break
                together = False
        return least, values

    def _groups(self, values: Values, together: bool) -> list[list[Point]]:
        groups: dict[object, list[Point]] = defaultdict(list)
        for point in active(self._plan, values):
            groups[id(point.decision) if together else point].append(point)
        return list(groups.values())

    def _tried(self, point: Point) -> list[Any]:
        decision = point.decision
        if decision.count is None:
            return [decision.low, decision.high]  # type: ignore[attr-defined]  # a Float
        if decision.count <= self.WIDE:
            return [decision.value(index) for index in range(decision.count)]
        return [decision.value(index) for index in (0, decision.count // 2, decision.count - 1)]

    def satisfiable(self, bounds: Bounds) -> Satisfiability:
        """Look for a genotype within all bounds."""
        offences = []
        for name, (low, high) in bounds.items():
            least, most = self._extremes(name)
            span = f"cannot be met: over the space {name} is {least:g} .. {most:g}"
            if high is not None and least > high:
                offences.append(f"{name} <= {high:g} {span}")
            if low is not None and most < low:
                offences.append(f"{name} >= {low:g} {span}")
        if offences:
            return Satisfiability(None, tuple(offences))

        def excess(cost: Cost) -> float:
            total = 0.0
            for name, (low, high) in bounds.items():
                value = getattr(cost, name)
                if high is not None and value > high:
                    total += value / high - 1 if high > 0 else value
                if low is not None and value < low:
                    total += 1 - value / low
            return total

        least, values = self.best(excess)
        if least == 0:
            return Satisfiability(Genotype(values), ())
        met = ", ".join(f"{name} {getattr(self.cost(values), name):g}" for name in bounds)
        return Satisfiability(
            None, (f"no candidate was found that meets all bounds together; nearest: {met}",)
        )

    def _extremes(self, name: str) -> tuple[float, float]:
        field = "macs" if name == "flops" else name
        least = self.best(_field(field, 1))[1]
        most = self.best(_field(field, -1))[1]
        return getattr(self.cost(least), name), getattr(self.cost(most), name)


def _field(name: str, sign: int) -> Callable[[Cost], float]:
    """One cost, to be made small (``sign`` 1) or large (-1)."""
    return lambda cost: float(sign * getattr(cost, name))
