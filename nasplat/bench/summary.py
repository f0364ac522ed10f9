"""One row for each strategy on a problem: the numbers that a table of a benchmark shows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from nasplat.bench.harness import Trace
from nasplat.bench.measures import (
    MARKS,
    Floats,
    Problem,
    at,
    nothing,
    quantile,
    running,
    to_optimum,
)
from nasplat.bench.runs import Runs


def rows(runs: Runs) -> list[dict[str, Any]]:
    """One row for each strategy, the best first.

    With one objective: the median and the 95th percentile of evaluations to the optimum (``None``: not
    met by so many runs), the share of runs that met it, and the mean regret after some evaluations. With
    several: the median share of the true hypervolume after some evaluations. With several fidelities
    evaluations are costs, in trainings at the last one.
    """
    made = [row(runs.problem, name, traces) for name, traces in runs.by_strategy().items()]
    return sorted(made, key=_place)


def row(problem: Problem, name: str, traces: Sequence[Trace]) -> dict[str, Any]:
    """The row of one strategy.

    Args:
        problem: What was searched.
        name: The strategy with its settings.
        traces: Its runs, at least one, all of one length.
    """
    found: dict[str, Any] = {"strategy": name, "runs": len(traces)}
    budget = traces[0].evaluations
    if problem.single:
        counts = []
        for trace in traces:
            values, cost = trace.complete
            met = to_optimum(problem, values, cost) if len(values) else math.inf
            counts.append(met if met <= budget else math.inf)
        found["to_optimum"] = _known(quantile(counts, 0.5))
        found["to_optimum_p95"] = _known(quantile(counts, 0.95))
        found["found"] = sum(count < math.inf for count in counts) / len(counts)
    for mark in marks(budget):
        there = [reached(problem, trace, [mark])[0] for trace in traces]
        if problem.single:
            found[f"regret_{mark}"] = statistics.fmean(there)
        else:
            found[f"hypervolume_{mark}"] = statistics.median(there)
    found["seconds_per_proposal"] = statistics.fmean(one.seconds_per_proposal for one in traces)
    return found


def marks(budget: int) -> list[int]:
    """Evaluations after which a search of so many is told of."""
    return [mark for mark in MARKS if mark <= budget] or [budget]


def reached(problem: Problem, trace: Trace, costs: Sequence[float]) -> list[float]:
    """Regret, or share of the hypervolume, of one run when so much was spent."""
    values, cost = trace.complete
    met = running(problem, values)
    return [at(one, met, cost, nothing(problem)) for one in costs]


def curves(runs: Runs) -> tuple[list[int], dict[str, Floats]]:
    """What each run had reached after 1, 2, ... evaluations.

    Returns:
        The evaluations ``(n,)``, and for each strategy ``(runs, n)``.
    """
    by_strategy = runs.by_strategy()
    most = max(traces[0].evaluations for traces in by_strategy.values())
    costs = list(range(1, most + 1))
    return costs, {
        name: np.array([reached(runs.problem, trace, costs) for trace in traces])
        for name, traces in by_strategy.items()
    }


def _known(number: float) -> float | None:
    return number if number < math.inf else None


def _place(found: dict[str, Any]) -> tuple[float, float, str]:
    count = found.get("to_optimum")
    last = [value for name, value in found.items() if name.startswith(("regret_", "hyper"))][-1]
    sign = 1.0 if "found" in found else -1.0
    return (
        (math.inf if count is None else count) if sign > 0 else 0.0,
        sign * last,
        found["strategy"],
    )
