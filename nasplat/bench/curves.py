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
        seen: Values of each curve that were seen.
        finished: Finished curves that were learned from.
        seeds: Draws of finished curves.
        predicted: Tau of the predicted ends.
        last: Tau of the last value seen.
        best: Tau of the best value seen.
        coverage: Share of ends within the interval that should hold two thirds.
    """

    table: str
    metric: str
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
        share: Part of a curve that is seen, in (0, 1).
        finished: Curves to learn from, at least 2.
        seeds: Draws of them.
        metric: The first objective by default.

    Raises:
        UsageError: The table has one fidelity only, too few curves, or no such metric.
    """
    name = metric or table.objectives[0]
    if any(name not in table.results[at] for at in table.fidelities):
        raise unknown(f"metric of {table.name}", name, sorted(table.metrics), UsageError)
    curves = np.stack([table.results[at][name] for at in table.fidelities], axis=1)
    curves = curves[np.isfinite(curves).all(1)]
    seen = round(share * curves.shape[1])
    if not 1 <= seen < curves.shape[1] or not 2 <= finished <= len(curves) - 2:
        raise UsageError(
            f"{table.name} has {len(curves)} whole curves of {curves.shape[1]} values; "
            f"{share=} and {finished=} leave nothing to see, to learn from or to predict"
        )
    sign = -1.0 if table.metrics[name] == "max" else 1.0
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
                kendall_tau(sign * (sign * asked[:, :seen]).min(1), truth),
                float((np.abs(ends - truth) <= width).mean()),
            )
        )
    predicted, last, best, coverage = np.mean(met, axis=0).tolist()
    return CurveMeasured(table.name, name, seen, finished, seeds, predicted, last, best, coverage)
