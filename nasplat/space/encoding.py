"""Genotypes as vectors of one length, and as parameters of Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nasplat.space.plan import Point


class Encoding:
    """Gives every point of a space its columns: whether it is active, then its value in [0, 1].

    A number takes one column, its position in the domain (on the logarithm where the domain is
    logarithmic); ordered choices of numbers take their rank; other choices one column for each value.
    Columns of inactive points are 0.

    Args:
        points: All points of the space, in order.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._columns: dict[str, tuple[int, Point]] = {}
        self.names: list[str] = []
        for point in points:
            self._columns[point.path] = (len(self.names), point)
            width = point.decision.width
            self.names.append(f"{point.path} active")
            if width == 1:
                self.names.append(point.path)
            else:
                values = [point.decision.value(index) for index in range(width)]
                self.names.extend(f"{point.path} = {value}" for value in values)

    def encode(self, genotype: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """A valid genotype as a vector of ``len(self.names)`` numbers."""
        vector = np.zeros(len(self.names))
        for path, value in genotype.items():
            start, point = self._columns[path]
            numbers = point.decision.coordinates(value)
            vector[start] = 1.0
            vector[start + 1 : start + 1 + len(numbers)] = numbers
        return vector


def distributions(points: Sequence[Point]) -> dict[str, Any]:
    """The Optuna distribution of every point, active or not, by path."""
    return {point.path: point.decision.distribution() for point in points}
