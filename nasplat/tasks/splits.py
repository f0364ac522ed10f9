"""Seeded, stratified splits into training, validation and test indices.

Equal labels, fractions and seed give equal splits on every machine. Knows labels only.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasplat.errors import TaskError

Indices = NDArray[np.int64]

FRACTIONS = (0.8, 0.1, 0.1)


@dataclass(frozen=True)
class Splits:
    """Indices of the examples of each split, rising, no example in two."""

    train: Indices
    validation: Indices
    test: Indices

    @property
    def sizes(self) -> dict[str, int]:
        """Number of examples of each split."""
        return {
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
        }


def stratified(
    labels: NDArray[np.int64],
    parts: Sequence[float],
    seed: int,
    *,
    classes: Sequence[str],
) -> list[Indices]:
    """Split examples so that every class is split in the same proportion.

    Args:
        labels: ``(n,)`` class numbers in ``[0, len(classes))``.
        parts: Fraction of each part, summing to 1; the first takes what rounding leaves.
        seed: Which examples go where follows from it.
        classes: Names of the classes, for errors.

    Raises:
        TaskError: A class has fewer examples than there are parts; all such classes are named.
    """
    counts = np.bincount(labels, minlength=len(classes))
    small = [
        f"{name} ({count})"
        for name, count in zip(classes, counts, strict=True)
        if count < len(parts)
    ]
    if small:
        raise TaskError(
            f"every class needs at least {len(parts)} examples, one for each of the "
            f"{len(parts)} splits; too few in: {', '.join(small)}",
            hint="add examples or remove these classes",
        )
    generator = np.random.default_rng(seed)
    chosen: list[list[Indices]] = [[] for _ in parts]
    for label in range(len(classes)):
        members = generator.permutation(np.flatnonzero(labels == label))
        start = 0
        for part in range(len(parts) - 1, 0, -1):
            size = max(1, round(parts[part] * len(members)))
            chosen[part].append(members[start : start + size])
            start += size
        chosen[0].append(members[start:])
    return [np.sort(np.concatenate(part)).astype(np.int64) for part in chosen]


def split_all(
    labels: NDArray[np.int64],
    seed: int,
    *,
    classes: Sequence[str],
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Splits:
    """Split all examples into training, validation and test, stratified by class."""
    return Splits(*stratified(labels, fractions, seed, classes=classes))


def split_given_test(
    labels: NDArray[np.int64], tests: int, seed: int, *, classes: Sequence[str]
) -> Splits:
    """Keep the last ``tests`` examples as the test split; 1/9 of the rest is for validation."""
    rest = len(labels) - tests
    train, validation = stratified(labels[:rest], (8 / 9, 1 / 9), seed, classes=classes)
    return Splits(train, validation, np.arange(rest, len(labels), dtype=np.int64))


def split_plain(
    count: int, seed: int, *, fractions: tuple[float, float, float] = FRACTIONS
) -> Splits:
    """Split examples without classes into training, validation and test.

    Raises:
        TaskError: There are fewer than three examples.
    """
    if count < 3:
        raise TaskError(
            f"at least 3 examples are needed, one for each split; there are {count}",
            hint="add examples",
        )
    order = np.random.default_rng(seed).permutation(count).astype(np.int64)
    tests = max(1, round(fractions[2] * count))
    validations = max(1, round(fractions[1] * count))
    parts = order[tests + validations :], order[tests : tests + validations], order[:tests]
    return Splits(*(np.sort(part) for part in parts))


def split_sizes(sizes: tuple[int, int, int]) -> Splits:
    """Examples that lie in the order training, validation, test."""
    bounds = np.cumsum((0, *sizes))
    return Splits(*(np.arange(a, b, dtype=np.int64) for a, b in itertools.pairwise(bounds)))


def split_marked_test(
    labels: NDArray[np.int64], tests: NDArray[np.bool_], seed: int, *, classes: Sequence[str]
) -> Splits:
    """Keep marked examples as the test split; 1/9 of the others is for validation.

    Raises:
        TaskError: No example is marked, or a class has too few that are not.
    """
    if not tests.any():
        raise TaskError("no example belongs to the test split", hint="check the option test=")
    rest = np.flatnonzero(~tests).astype(np.int64)
    train, validation = stratified(labels[rest], (8 / 9, 1 / 9), seed, classes=classes)
    return Splits(rest[train], rest[validation], np.flatnonzero(tests).astype(np.int64))
