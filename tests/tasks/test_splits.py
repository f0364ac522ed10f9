"""Splits: disjoint, complete, stratified, the same on every run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasplat.errors import TaskError
from nasplat.tasks.splits import split_all, split_given_test

NAMES = ("a", "b", "c")


@given(
    counts=st.lists(st.integers(3, 60), min_size=3, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_example_is_in_exactly_one_split_and_every_class_in_each(
    counts: list[int], seed: int
) -> None:
    labels = np.repeat(np.arange(3), counts)
    splits = split_all(labels, seed, classes=NAMES)
    parts = (splits.train, splits.validation, splits.test)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for part in parts:
        assert set(labels[part]) == {0, 1, 2}
        assert list(part) == sorted(part)
    for label, count in enumerate(counts):
        held_out = int((labels[splits.test] == label).sum())
        assert held_out == max(1, round(0.1 * count))


def test_equal_seeds_give_equal_splits_and_others_do_not() -> None:
    labels = np.arange(300) % 3
    first = split_all(labels, 5, classes=NAMES)
    assert np.array_equal(first.test, split_all(labels, 5, classes=NAMES).test)
    assert not np.array_equal(first.test, split_all(labels, 6, classes=NAMES).test)


def test_the_split_of_seed_0_never_moves() -> None:
    splits = split_all(np.arange(30) % 3, 0, classes=NAMES)
    assert splits.validation.tolist() == [14, 18, 28]
    assert splits.test.tolist() == [7, 12, 17]


def test_a_given_test_split_stays_the_last_examples() -> None:
    splits = split_given_test(np.arange(120) % 3, 30, 0, classes=NAMES)
    assert splits.test.tolist() == list(range(90, 120))
    assert splits.sizes == {"train": 81, "validation": 9, "test": 30}


def test_all_classes_that_are_too_small_are_named() -> None:
    labels = np.array([0] * 10 + [1] * 2 + [2])
    with pytest.raises(TaskError, match=r"too few in: b \(2\), c \(1\)"):
        split_all(labels, 0, classes=NAMES)
