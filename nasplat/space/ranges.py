"""The range of every cost over a space, and whether bounds on costs can be met.

Costs are exact for one candidate; over a space of 10^18 candidates their extremes are searched: from the
default and from the best of a seeded random batch, one decision after the other is set to its best value
until none improves. Copies of a repeated decision move together, first between the ends of ordered domains,
then over all values; where bounds are to be met, each point then moves alone. What a change opens is tried
as it was last seen and at both ends of its domains. What is reported is attained by a candidate; the true
range can only be wider.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nasplat.graph.cost import Cost
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
    LONG = 9
    """Of a domain with more values only the ends and the middle are tried."""

    def __init__(self, plan: Plan, cost: Callable[[Values], Cost], seed: int = 0) -> None:
        self._plan = plan
        self._cost = cost
        self._known: dict[frozenset[tuple[str, Any]], Cost] = {}
        self._ranges: dict[str, tuple[int, int]] = {}
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

    def range(self, name: str) -> tuple[int, int]:
        """Least and greatest value of a cost among all genotypes looked at, worked out once."""
        if name not in self._ranges:
            self.best(lambda cost: float(getattr(cost, name)))
            self.best(lambda cost: -float(getattr(cost, name)))
            for same in ("macs", "flops") if name in ("macs", "flops") else (name,):
                met = [getattr(cost, same) for cost in self._known.values()]
                self._ranges[same] = min(met), max(met)
        return self._ranges[name]

    def best(
        self, loss: Callable[[Cost], float], enough: float = -math.inf
    ) -> tuple[float, Values]:
        """Descend on ``loss`` from the default and from the best random genotype, down to ``enough``."""
        ranked = min(self._starts, key=lambda values: loss(self.cost(values)))
        reached = [
            self._descend(start, loss, enough, together=True, ends=True)
            for start in (ranked, self._starts[0])
        ]
        _, values = min(reached, key=lambda pair: pair[0])
        alone = enough > -math.inf  # a bound may need copies that differ, an extreme hardly does
        return self._descend(values, loss, enough, together=not alone, ends=False)

    def _descend(
        self,
        start: Values,
        loss: Callable[[Cost], float],
        enough: float,
        *,
        together: bool,
        ends: bool,
    ) -> tuple[float, Values]:
        """Sweep over decisions until none improves.

        Args:
            start: Where from.
            loss: What is made small.
            enough: Where to stop.
            together: Whether the copies of a decision move together, or each point alone.
            ends: Whether only the ends of ordered domains are tried.
        """
        values, least = start, loss(self.cost(start))
        memory = dict(start)  # what closed branches were last set to
        for _ in range(self.SWEEPS):
            before = least
            for group in self._groups(values, together):
                for value in self._tried(group[0], ends):
                    if least <= enough:
                        return least, values
                    changed = {**values, **{point.path: value for point in group}}
                    for other in self._filled(changed, {**memory, **changed}):
                        found = loss(self.cost(other))
                        if found < least:
                            values, least = other, found
                            memory.update(values)
            if least == before:
                break
        return least, values

    def _filled(self, changed: Values, remembered: Values) -> list[Values]:
        """A changed genotype; what the change opens as remembered, and all at one end of its domain."""
        filled = [fill(self._plan, remembered, inherited(remembered))]
        if any(path not in changed for path in filled[0]):
            filled.append(fill(self._plan, changed, _first))
            filled.append(fill(self._plan, changed, _last))
        return filled

    def _groups(self, values: Values, together: bool) -> list[list[Point]]:
        groups: dict[object, list[Point]] = defaultdict(list)
        for point in active(self._plan, values):
            groups[id(point.decision) if together else point].append(point)
        return list(groups.values())

    def _tried(self, point: Point, ends: bool) -> list[Any]:
        """All values; of long domains the ends and the middle; or the ends of ordered ones."""
        decision = point.decision
        if decision.count is None:
            return [decision.low, decision.high]  # type: ignore[attr-defined]  # a Float
        last = decision.count - 1
        if decision.count > self.LONG:
            return [decision.value(index) for index in (0, last // 2, last)]
        if ends and decision.width == 1 and last > 1:
            return [decision.value(0), decision.value(last)]
        return [decision.value(index) for index in range(decision.count)]

    def satisfiable(self, bounds: Bounds) -> Satisfiability:
        """Look for a genotype within all bounds."""
        offences = []
        for name, (low, high) in bounds.items():
            least, most = self.range(name)
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

        missed, values = self.best(excess, enough=0.0)
        if missed == 0:
            return Satisfiability(Genotype(values), ())
        met = ", ".join(f"{name} {getattr(self.cost(values), name):g}" for name in bounds)
        return Satisfiability(
            None, (f"no candidate was found that meets all bounds together; nearest: {met}",)
        )


def _first(point: Point) -> Any:
    """The lower end of a domain."""
    decision = point.decision
    return decision.default if decision.count is None else decision.value(0)


def _last(point: Point) -> Any:
    """The upper end of a domain."""
    decision = point.decision
    return decision.default if decision.count is None else decision.value(decision.count - 1)
