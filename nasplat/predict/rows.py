"""Which rows are fitted on, and which are left out together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasplat.predict.base import Floats


def in_blocks(named: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of the rows of each block, the last first, filled up with -1: ``(blocks, largest)``."""
    found = [np.flatnonzero(named == block)[::-1] for block in np.unique(named)]
    members = np.full((len(found), max(map(len, found))), -1)
    for block, rows in enumerate(found):
        members[block, : len(rows)] = rows
    return members


def around_circle(count: int, partners: int) -> NDArray[np.int64]:
    """Pairs of the numbers below ``count`` ``(p, 2)``, each at most once.

    Numbers stand around a circle, and each is paired with ``partners`` others to either side.
    """
    first = np.arange(count)
    steps = range(1, min(partners, (count - 1) // 2) + 1)
    made = [np.stack([first, (first + step) % count], axis=1) for step in steps]
    if count % 2 == 0 and count // 2 <= partners:
        half = np.arange(count // 2)
        made.append(np.stack([half, half + count // 2], axis=1))
    return np.concatenate(made) if made else np.zeros((0, 2), dtype=int)


def evenly(y: Floats, count: int) -> NDArray[np.int64]:
    """Numbers of at most ``count`` rows, evenly over the order of ``y``."""
    order = np.argsort(y, kind="stable")
    if len(order) <= count:
        return np.sort(order)
    return np.sort(order[np.linspace(0, len(order) - 1, count).astype(int)])
