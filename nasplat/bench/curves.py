"""Measures how well the ends of learning curves are told from their beginnings, on tables with fidelities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nasplat.bench.table import Table
from nasplat.errors import UsageError, unknown
from nasplat.predict.curves import CurveEnds
from nasplat.predict.quality import kendall_tau
from nasplat.predict.threads import one_thread


@dataclass(frozen=True)
class CurveMeasured:
    """Kendall's tau with the last value, mean over seeds.

    Attributes:
        table: Name of the table.
        metric: Whose curve.
        values: Values of a whole curve.
        seen: How many of them were seen.
        finished: Finished curves that were learned from.
        seeds: Draws of finished curves.
        predicted: Tau of the predicted ends.
        last: Tau of the last value seen.
        best: Tau of the best value seen.
        coverage: Share of ends within the interval that should hold two thirds.
    """

    table: str
    metric: str
    values: int
    seen: int
    finished: int
    seeds: int
    predicted: float
    last: float
    best: float
    coverage: float

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON data."""
        return asdict(self)


def measure_curves(
    table: Table,
    *,
    share: float = 0.2,
    finished: int = 200,
    seeds: int = 10,
    metric: str | None = None,
) -> CurveMeasured:
    """Predict the ends of curves that were not learned from.

    Args:
        table: A table whose fidelities are the points of curves.
        share: Part of a curve that is seen, in (0, 1); at least one value.
        finished: Curves to learn from, at least 2.
        seeds: Draws of them.
        metric: The first objective by default.

    Raises:
        UsageError: The table has one fidelity only, too few curves, or no such metric.
    """
    name = metric or table.objectives[0]
    if len(table.fidelities) < 2:
        raise UsageError(
            f"{table.name} has results at one fidelity only: there are no curves",
            hint="A table with curves has results at several epochs, such as nb-nlp.",
        )
    whole = [at for at in table.fidelities if name in table.results[at]]
    if len(whole) < len(table.fidelities):
        known = [
            metric
            for metric in table.metrics
            if all(metric in table.results[at] for at in table.fidelities)
        ]
        raise unknown(f"metric with curves of {table.name}", name, known, UsageError)
    sign = -1.0 if table.metrics[name] == "max" else 1.0
    curves = sign * np.stack([table.results[at][name] for at in whole], axis=1)
    curves = curves[np.isfinite(curves).all(1) & (table.first == np.arange(len(table)))]
    if not 0 < share < 1 or not 2 <= finished <= len(curves) - 2 or seeds < 1:
        raise UsageError(
            "curves are measured with a share above 0 and below 1, at least 2 finished ones, 2 to "
            f"predict and 1 seed, got {share=}, {finished=}, {seeds=}: {table.name} has "
            f"{len(curves)} whole curves of {name}",
            hint="ask for fewer finished curves" if finished > len(curves) - 2 else "",
        )
    if np.ptp(curves[:, -1]) == 0:
        raise UsageError(f"all curves of {name} of {table.name} end alike: nothing to order")
    seen = min(max(1, round(share * len(whole))), len(whole) - 1)
    met = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(curves))
        kept, asked = curves[order[:finished]], curves[order[finished:]]
        with one_thread():
            ends, width = CurveEnds(kept).predict(asked[:, :seen])
        truth = asked[:, -1]
        met.append(
            (
                kendall_tau(ends, truth),
                kendall_tau(asked[:, seen - 1], truth),
                kendall_tau(asked[:, :seen].min(1), truth),
                float((np.abs(ends - truth) <= width).mean()),
            )
        )
    predicted, last, best, coverage = np.mean(met, axis=0).tolist()
    return CurveMeasured(
        table.name, name, len(whole), seen, finished, seeds, predicted, last, best, coverage
    )
