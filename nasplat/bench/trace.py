"""The trace of one search: what was evaluated in which order, what it cost, how long proposals took.

It knows numbers and names, neither tables nor strategies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass
class Trace:
    """What became of one search.

    Attributes:
        strategy: Name of the strategy or peer.
        options: Its settings.
        seed: Its seed.
        objectives: Names of the metrics.
        fidelities: Rungs; one where trials report once.
        evaluations: Evaluations, or cost in trainings at the last fidelity, that were granted.
        batch: Candidates asked for at once.
        rows: Row of the table of each report, in order.
        levels: Fidelity of each report.
        cost: Spent after each report: evaluations, or trainings at the last fidelity.
        values: Results, minimised; NaN where one failed.
        asked: For each question how many results were known and how many candidates came back.
        seconds: Processor time that each of these questions took.
    """

    strategy: str
    options: dict[str, Any]
    seed: int
    objectives: tuple[str, ...]
    fidelities: tuple[int, ...]
    evaluations: int
    batch: int
    rows: list[int] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    values: list[tuple[float, ...]] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The strategy with its settings."""
        told = ", ".join(f"{name}={value}" for name, value in sorted(self.options.items()))
        return f"{self.strategy} ({told})" if told else self.strategy

    @property
    def complete(self) -> tuple[Floats, Floats]:
        """Values ``(n, m)`` and costs ``(n,)`` of the reports at the last fidelity."""
        last = np.array(self.levels) == self.fidelities[-1]
        values = np.array(self.values, dtype=float).reshape(-1, len(self.objectives))
        return values[last], np.array(self.cost)[last]

    @property
    def seconds_per_proposal(self) -> float:
        """Mean processor time that a proposal took."""
        proposed = sum(count for _, count in self.asked)
        return sum(self.seconds) / max(1, proposed)

    def note(self, row: int, level: int, cost: float, values: tuple[float, ...]) -> None:
        """Add a report."""
        self.rows.append(row)
        self.levels.append(level)
        self.cost.append(cost)
        self.values.append(values)

    def to_json(self) -> dict[str, Any]:
        """Every field by name; a failed result is ``None``."""
        data = asdict(self)
        failed = np.isnan(np.array(self.values).reshape(len(self.values), -1)).any(1)
        data["values"] = [
            None if bad else list(row) for row, bad in zip(self.values, failed, strict=True)
        ]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trace:
        """Decode :meth:`to_json`."""
        failed = (np.nan,) * len(data["objectives"])
        fields = dict(data)
        fields["values"] = [failed if row is None else tuple(row) for row in data["values"]]
        fields["asked"] = [(told, count) for told, count in data["asked"]]
        for name in ("objectives", "fidelities"):
            fields[name] = tuple(data[name])
        return cls(**fields)
