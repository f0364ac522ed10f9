"""One row for each strategy on a problem: the numbers that a table of a benchmark shows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

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
from nasplat.bench.trace import Trace


def rows(runs: Runs) -> list[dict[str, Any]]:
    """One row for each strategy, the best first.

    With one objective: the median and the 95th percentile of evaluations to the optimum (``None``: not
    met by so many runs), the share of runs that met it, and the mean regret after some evaluations. With
    several: the median share of the true hypervolume after some evaluations. With several fidelities
    evaluations are costs, in trainings at the last one.
    """
    by_strategy = runs.by_strategy()
    told = sorted(
        {mark for traces in by_strategy.values() for mark in marks(traces[0].evaluations)}
    )
    made = [row(runs.problem, name, traces, told) for name, traces in by_strategy.items()]
    return sorted(made, key=_place)


def row(
    problem: Problem, name: str, traces: Sequence[Trace], told: Sequence[int]
) -> dict[str, Any]:
    """The row of one strategy.

    Args:
        problem: What was searched.
        name: The strategy with its settings.
        traces: Its runs, at least one, all of one length.
        told: Evaluations after which it is told of; ``None`` stands for those beyond its length.
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
    kind, middle = (
        ("regret", statistics.fmean) if problem.single else ("hypervolume", statistics.median)
    )
    for mark in told:
        there = [reached(problem, trace, [mark])[0] for trace in traces]
        found[f"{kind}_{mark}"] = middle(there) if mark <= budget else None
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
        The evaluations ``(n,)``, and for each strategy ``(runs, n)``, NaN beyond its length.
    """
    by_strategy = runs.by_strategy()
    most = max(traces[0].evaluations for traces in by_strategy.values())
    costs = list(range(1, most + 1))
    met = {}
    for name, traces in by_strategy.items():
        met[name] = np.array([reached(runs.problem, trace, costs) for trace in traces])
        met[name][:, traces[0].evaluations :] = np.nan
    return costs, met


def _known(number: float) -> float | None:
    return number if number < math.inf else None


def _place(found: dict[str, Any]) -> tuple[float, float, str]:
    count = found.get("to_optimum")
    marked = [value for name, value in found.items() if name.startswith(("regret_", "hyper"))]
    last = [value for value in marked if value is not None][-1]
    sign = 1.0 if "found" in found else -1.0
    return (
        (math.inf if count is None else count) if sign > 0 else 0.0,
        sign * last,
        found["strategy"],
    )
