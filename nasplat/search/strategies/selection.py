"""Choosing parents among results: constraint domination, crowding and tournaments.

Knows observations and numbers, nothing of spaces.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from nasplat import pareto
from nasplat.search.strategies.base import Observation


def best_first(results: Sequence[Observation]) -> list[Observation]:
    """Sort results by constraint domination, then by crowding, then by trial.

    Args:
        results: Observations with values.
    """
    if not results:
        return []
    values = np.array([result.values for result in results], dtype=float)
    violations = np.array([result.violation for result in results])
    return [results[row] for row in pareto.order(values, violations)]


def front_size(results: Sequence[Observation]) -> int:
    """How many of ``results`` stand on the front, those of equal values included."""
    values = np.array([result.values for result in results], dtype=float)
    violations = np.array([result.violation for result in results])
    return int((pareto.ranks(values, violations) == 0).sum()) if len(results) else 0


def tournament(sorted_results: Sequence[Observation], size: int, rng: random.Random) -> Observation:
    """The best of ``size`` results drawn with replacement.

    Args:
        sorted_results: From the best to the worst, not empty.
        size: Contestants, at least 1.
        rng: Randomness.
    """
    return sorted_results[min(rng.randrange(len(sorted_results)) for _ in range(size))]
