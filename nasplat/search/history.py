"""What a study knows of its trials: results at rungs, the Pareto front, the hypervolume.

Kept in memory by whoever drives or reads a study, and rebuilt from the store's records. It knows no
executor and writes nothing.

References:
    [Agresti1998] A. Agresti, B. A. Coull. Approximate is better than "exact" for interval estimation of
        binomial proportions. The American Statistician 52, 1998.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from nasplat.graph.cost import COSTS
from nasplat.pareto import study_frame
from nasplat.search.objectives import Constraint, Objective, minimised, violation
from nasplat.store.records import StudyRecord, TrialRecord, TrialState

_BEST: Mapping[str, float] = {"latency_ms": 0.0} | dict.fromkeys(COSTS, 0.0)
_SHARES = frozenset(("accuracy", "balanced_accuracy", "f1", "top5_accuracy"))
"""Metrics that are, at least about, the share of the examples that a model is right on."""
_PERFECT_SCORES = _SHARES | {"miou", "pixel_accuracy"}


def objectives_of(study: StudyRecord) -> tuple[Objective, ...]:
    """The objectives of a stored study."""
    return tuple(Objective.from_json(item) for item in study.objectives)


def constraints_of(study: StudyRecord) -> tuple[Constraint, ...]:
    """The constraints of a stored study."""
    return tuple(
        Constraint(item["metric"], item["comparison"], item["bound"])
        for item in study.constraints or ()
    )


def best_values(objectives: Sequence[Objective]) -> tuple[float | None, ...]:
    """What nothing can beat in each objective, minimised: a score of 1, a latency or a cost of 0."""
    found: list[float | None] = []
    for objective in objectives:
        if objective.direction == "max":
            found.append(-1.0 if objective.metric in _PERFECT_SCORES else None)
        else:
            found.append(_BEST.get(objective.metric))
    return tuple(found)


def worst_values(objectives: Sequence[Objective]) -> tuple[float | None, ...]:
    """What counts for nothing in each objective, minimised: a score of 0; the rest is not known."""
    return tuple(
        0.0 if item.direction == "max" and item.metric in _PERFECT_SCORES else None
        for item in objectives
    )


class History:
    """Results of a study so far.

    Args:
        objectives: What is optimised, in order.
        constraints: What results must keep to be on the front.
        examples: Examples that metrics are measured on; 0 when nothing is known of them.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
        examples: int = 0,
    ) -> None:
        self.objectives = tuple(objectives)
        self.examples = examples
        self.constraints = tuple(constraints)
        self.states: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self._rungs: dict[int, dict[int, tuple[float, ...]]] = defaultdict(dict)
        self._complete: dict[int, tuple[tuple[float, ...], float]] = {}
        self._front: list[int] = []

    @classmethod
    def of(cls, study: StudyRecord, trials: Sequence[TrialRecord]) -> History:
        """The history of a stored study, without its rungs."""
        history = cls(objectives_of(study), constraints_of(study))
        for trial in trials:
            history.count(trial.state)
            if trial.failure is not None:
                history.failures[str(trial.failure)] += 1
            if trial.state is TrialState.COMPLETE:
                history.complete(trial.number, known_metrics(trial))
        return history

    def count(self, state: TrialState, by: int = 1) -> None:
        """Note that so many trials more, or fewer, are in a state."""
        self.states[str(state)] += by

    def violation(self, metrics: Mapping[str, float]) -> float:
        """By how much the constraints on known metrics are broken; 0 is feasible."""
        return violation(self.constraints, metrics)

    def values(self, metrics: Mapping[str, float]) -> tuple[float, ...] | None:
        """The objectives, minimised; ``None`` when one is missing or not finite."""
        return minimised(self.objectives, metrics)

    def errors(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """Standard error of each objective: of a share of n examples, that of n draws; else 0.

        One success and one failure more are counted [Agresti1998]: what is right on all examples that were
        tried is not sure to be right on all others.
        """
        count = self.examples
        found = []
        for objective in self.objectives:
            share = metrics.get(objective.metric, math.nan)
            if count and objective.metric in _SHARES and 0 <= share <= 1:
                share = (share * count + 1) / (count + 2)
                found.append(math.sqrt(share * (1 - share) / count))
            else:
                found.append(0.0)
        return tuple(found)

    def at_rung(
        self, fidelity: int, number: int, values: tuple[float, ...]
    ) -> list[tuple[float, ...]]:
        """Note a result at a rung and return those of all other trials there."""
        rung = self._rungs[fidelity]
        others = [known for trial, known in rung.items() if trial != number]
        rung[number] = values
        return others

    def complete(self, number: int, metrics: Mapping[str, float]) -> None:
        """Note a trial that reached its last rung; of equal results the first stays on the front."""
        values = self.values(metrics)
        if values is None:
            return
        broken = self.violation(metrics)
        self._complete[number] = (values, broken)
        if broken > 0 or any(_covers(self._complete[other][0], values) for other in self._front):
            return
        kept = [item for item in self._front if not _covers(values, self._complete[item][0])]
        self._front = sorted([*kept, number], key=lambda item: self._complete[item][0])

    @property
    def front(self) -> list[int]:
        """Numbers of the feasible complete trials that none dominates, the best first objective first."""
        return self._front

    @property
    def hypervolume(self) -> float | None:
        """Share of the study's frame that the front dominates, in [0, 1]; ``None`` before a result."""
        feasible = [values for _, (values, broken) in sorted(self._complete.items()) if broken <= 0]
        frame = study_frame(
            feasible, best=best_values(self.objectives), worst=worst_values(self.objectives)
        )
        if frame is None or not feasible:
            return None
        return frame.hypervolume([self._complete[number][0] for number in self.front])

    def summary(self) -> dict[str, Any]:
        """Trials by state and failures by class, for people and scripts."""
        trials = {str(state): self.states[str(state)] for state in TrialState}
        return {"trials": trials, "failures": dict(self.failures)}


def _covers(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether ``one`` is at least as good as ``other`` in everything."""
    return all(a <= b for a, b in zip(one, other, strict=True))


def known_metrics(trial: TrialRecord) -> dict[str, float]:
    """All numbers known of a trial: costs of its graph and metrics of its last report."""
    return {**trial.costs, **trial.metrics}
