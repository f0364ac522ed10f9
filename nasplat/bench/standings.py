"""What the laps of a race come to: the hypervolume of all models trained so far, over the budget.

One frame for all laps, so that volumes can be compared. Where costs reach over orders of magnitude, nearly
all of the volume is decided by the best score of any size; with costs on a logarithmic scale small models
count as well. It reads what was measured and runs nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nasplat.bench.race import Course, Lap
from nasplat.pareto import Frame

Rises = Mapping[tuple[str, int], Sequence[tuple[float, float]]]
"""By strategy and seed: when the hypervolume of a lap rose, and to what."""
STEPS = 200
"""Moments at which curves are read."""


def frame_of(course: Course, laps: Sequence[Lap]) -> Frame:
    """One frame for all: a score from 0 to 1, anything else from 0 to the largest that any lap met.

    A metric that is maximised and exceeds 1 somewhere reaches from 0 to its largest value instead.
    """
    met = [values for lap in laps for _, values in lap.points]
    best, worst = [], []
    for place, sign in enumerate(course.signs):
        column = [values[place] for values in met]
        if sign < 0:
            best.append(min(-1.0, *column) if column else -1.0)
            worst.append(0.0)
        else:
            best.append(0.0)
            worst.append(max(column, default=1.0))
    return Frame(tuple(best), tuple(worst))


def on_log_scale(course: Course, laps: Sequence[Lap]) -> tuple[Frame, list[Lap]] | None:
    """Laps with the logarithms of their costs, and a frame from the smallest to the largest cost met.

    ``None`` where there are no costs, or one is not above 0. Scores stay as they are.
    """
    costs = [place for place, sign in enumerate(course.signs) if sign > 0]
    met = [values for lap in laps for _, values in lap.points]
    if not (costs and met) or min(values[place] for values in met for place in costs) <= 0:
        return None
    frame = frame_of(course, laps)
    best, worst = list(frame.best), list(frame.worst)
    for place in costs:
        column = [math.log(values[place]) for values in met]
        best[place], worst[place] = min(column), max(column)

    def scaled(values: tuple[float, ...]) -> tuple[float, ...]:
        pairs = zip(course.signs, values, strict=True)
        return tuple(math.log(value) if sign > 0 else value for sign, value in pairs)

    logged = [
        replace(lap, points=tuple((when, scaled(values)) for when, values in lap.points))
        for lap in laps
    ]
    return Frame(tuple(best), tuple(worst)), logged


def hypervolumes(frame: Frame, lap: Lap) -> list[tuple[float, float]]:
    """When the hypervolume of a lap rose, and to what."""
    found: list[tuple[float, float]] = []
    front: list[tuple[float, ...]] = []
    for when, values in lap.points:
        front.append(values)
        volume = frame.hypervolume(front)
        if not found or volume > found[-1][1]:
            found.append((when, volume))
    return found


def volume_at(rises: Sequence[tuple[float, float]], when: float) -> float:
    """The hypervolume that was reached by a moment."""
    return max((volume for moment, volume in rises if moment <= when), default=0.0)


def rows(course: Course, laps: Sequence[Lap]) -> list[dict[str, Any]]:
    """One row for each strategy, the best first.

    ``hypervolume`` is the median over seeds at the end of the budget; ``time_to_best_other`` the median
    time until the best final hypervolume of all other strategies with the same seed was reached, as a
    share of the budget, ``None`` where it was not in half of the seeds. ``hypervolume_log`` is the median
    with costs on a logarithmic scale, ``None`` where they have none.
    """
    rises = _rises(frame_of(course, laps), laps)
    final = _final(course, rises)
    logged = on_log_scale(course, laps)
    final_log = _final(course, _rises(*logged)) if logged else {}
    made: list[dict[str, Any]] = []
    for name in dict.fromkeys(lap.strategy for lap in laps):
        seeds = sorted(lap.seed for lap in laps if lap.strategy == name)
        times = [_time_to(course, rises, final, name, seed) for seed in seeds]
        met = statistics.median(times)
        row: dict[str, Any] = {
            "strategy": name,
            "runs": len(seeds),
            "hypervolume": statistics.median(final[name, seed] for seed in seeds),
            "hypervolumes": [final[name, seed] for seed in seeds],
            "hypervolume_log": (
                statistics.median(final_log[name, seed] for seed in seeds) if logged else None
            ),
            "time_to_best_other": met if met < math.inf else None,
            "models": statistics.median(len(lap.points) for lap in laps if lap.strategy == name),
        }
        made.append(row)
    return sorted(made, key=lambda row: -row["hypervolume"])


def _rises(frame: Frame, laps: Sequence[Lap]) -> Rises:
    return {(lap.strategy, lap.seed): hypervolumes(frame, lap) for lap in laps}


def _final(course: Course, rises: Rises) -> dict[tuple[str, int], float]:
    """The hypervolume of each lap at the end of the budget."""
    return {key: volume_at(rise, course.length) for key, rise in rises.items()}


def _time_to(
    course: Course,
    rises: Rises,
    final: Mapping[tuple[str, int], float],
    name: str,
    seed: int,
) -> float:
    others = [volume for (other, at), volume in final.items() if other != name and at == seed]
    goal = max(others, default=math.inf)
    times = (when for when, volume in rises[name, seed] if volume >= goal)
    met = next(times, math.inf)
    return met / course.length if met <= course.length else math.inf


def curves(course: Course, laps: Sequence[Lap]) -> tuple[list[float], dict[str, list[list[float]]]]:
    """The hypervolume of every lap at :data:`STEPS` moments, by strategy."""
    frame = frame_of(course, laps)
    moments = [course.length * (step + 1) / STEPS for step in range(STEPS)]
    found: dict[str, list[list[float]]] = {}
    for lap in laps:
        rises = hypervolumes(frame, lap)
        found.setdefault(lap.strategy, []).append([volume_at(rises, at) for at in moments])
    return moments, found
