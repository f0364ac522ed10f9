"""What a study optimises, and what it demands: objectives and constraints over named metrics.

A metric is a cost of the graph (known before anything is evaluated), a measurement on the device
(known before training) or a score of the task (known after it). This module only reads and judges
numbers; it does not know where they come from.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nasplat.errors import ConstraintError, UsageError, unknown
from nasplat.graph.cost import COSTS

MEASURED: tuple[str, ...] = ("latency_ms",)
"""Metrics measured on the device before training."""

_SUFFIXES: Mapping[str, float] = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_CONSTRAINT = re.compile(r"^\s*([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*([-+0-9.eE]+)\s*([A-Za-z]*)\s*$")


@dataclass(frozen=True)
class Objective:
    """One metric and the direction in which it is better."""

    metric: str
    direction: Literal["max", "min"]

    def minimised(self, value: float) -> float:
        """The value as strategies see it: smaller is better."""
        return -value if self.direction == "max" else value

    def to_json(self) -> dict[str, str]:
        """``{"metric", "direction"}``, the direction ``max`` or ``min``."""
        return {"metric": self.metric, "direction": self.direction}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Objective:
        """Decode :meth:`to_json`."""
        return cls(data["metric"], "max" if data["direction"] == "max" else "min")

    def __str__(self) -> str:
        return f"{self.metric}:{self.direction}"


def parse_objectives(
    texts: Sequence[str], task_metrics: Mapping[str, str]
) -> tuple[Objective, ...]:
    """Read objectives such as ``accuracy:max``.

    Args:
        texts: One objective each; without a direction the metric's own is taken. None given means the
            task's first metric and ``latency_ms:min``.
        task_metrics: Direction, ``max`` or ``min``, of each metric of the task.

    Raises:
        UsageError: A metric or direction is unknown, or a metric is named twice.
    """
    directions = {name: "min" for name in (*MEASURED, *COSTS)} | dict(task_metrics)
    if not texts:
        first = next(iter(task_metrics))
        texts = (f"{first}:{task_metrics[first]}", "latency_ms:min")
    objectives: list[Objective] = []
    for text in texts:
        metric, _, direction = text.strip().partition(":")
        if metric not in directions:
            raise unknown("objective", metric, directions, UsageError)
        direction = (direction or directions[metric]).removesuffix("imize")
        if direction not in ("max", "min"):
            raise UsageError(
                f"the direction of objective {text!r} must be max or min, got {direction!r}",
                hint=f"Write {metric}:{directions[metric]}.",
            )
        if any(known.metric == metric for known in objectives):
            raise UsageError(f"objective {metric!r} is given twice")
        objectives.append(Objective(metric, "max" if direction == "max" else "min"))
    return tuple(objectives)


@dataclass(frozen=True)
class Constraint:
    """A bound that a candidate must keep: ``params <= 5e6``."""

    metric: str
    comparison: str
    bound: float

    @property
    def cheap(self) -> bool:
        """Whether it is decided by the graph alone."""
        return self.metric in COSTS

    @property
    def upper(self) -> bool:
        """Whether the bound is an upper one."""
        return self.comparison.startswith("<")

    def violation(self, value: float) -> float:
        """How far ``value`` is beyond the bound, relative to it; 0 when it keeps it."""
        if math.isnan(value):
            return math.inf
        if _COMPARISONS[self.comparison](value, self.bound):
            return 0.0
        distance = abs(value - self.bound) / (abs(self.bound) or 1.0)
        return max(distance, 1e-9)

    def __str__(self) -> str:
        return f"{self.metric}{self.comparison}{self.bound:g}"


def parse_constraint(text: str, known: Iterable[str]) -> Constraint:
    """Read a constraint such as ``params<=5M`` or ``latency_ms<=20``.

    Args:
        text: Metric, one of ``<= >= < >``, number, and for counts one of the suffixes k, M, G, T.
        known: Metrics that may be constrained.

    Raises:
        ConstraintError: It cannot be read or the metric is unknown.
    """
    match = _CONSTRAINT.match(text)
    form = 'Write it as "params<=5M" or "latency_ms<=20".'
    if match is None:
        raise ConstraintError(f"the constraint {text!r} cannot be read", hint=form)
    metric, comparison, number, suffix = match.groups()
    if metric not in known:
        raise unknown("metric", metric, known, ConstraintError, hint=form)
    unit = metric.rpartition("_")[2] if "_" in metric else ""
    if suffix not in _SUFFIXES and suffix != unit:
        raise ConstraintError(
            f"the constraint {text!r} has the unknown suffix {suffix!r}; "
            f"known: k, M, G, T{f' and {unit}' if unit else ''}",
            hint=form,
        )
    try:
        bound = float(number) * _SUFFIXES.get(suffix, 1.0)
    except ValueError as error:
        raise ConstraintError(f"{number!r} in {text!r} is no number", hint=form) from error
    if not math.isfinite(bound):
        raise ConstraintError(f"the bound of {text!r} must be finite", hint=form)
    return Constraint(metric, comparison, bound)


def violation(constraints: Iterable[Constraint], metrics: Mapping[str, float]) -> float:
    """The sum of relative violations of all constraints whose metric is known; 0 is feasible."""
    return math.fsum(
        constraint.violation(metrics[constraint.metric])
        for constraint in constraints
        if constraint.metric in metrics
    )


def check_satisfiable(
    constraints: Iterable[Constraint], ranges: Mapping[str, tuple[float, float]]
) -> None:
    """Refuse constraints on costs that no candidate of a space can meet.

    Args:
        constraints: All constraints of a study.
        ranges: Smallest and largest value of each cost over the space.

    Raises:
        ConstraintError: Names each such constraint and the range of its cost.
    """
    impossible = []
    for constraint in constraints:
        if constraint.metric in ranges:
            low, high = ranges[constraint.metric]
            if constraint.violation(low if constraint.upper else high):
                impossible.append(
                    f"{constraint}: over this space {constraint.metric} goes from {low:,.0f} to {high:,.0f}"
                )
    if impossible:
        raise ConstraintError(
            "no candidate of the space can meet " + "; ".join(impossible),
            hint="Loosen the bound, or choose a space with smaller candidates: nasplat space list",
        )


def minimised(
    objectives: Sequence[Objective], metrics: Mapping[str, float]
) -> tuple[float, ...] | None:
    """The objectives as strategies see them, or ``None`` when one is missing or not finite."""
    values = [
        objective.minimised(metrics.get(objective.metric, math.nan)) for objective in objectives
    ]
    return tuple(values) if all(map(math.isfinite, values)) else None
