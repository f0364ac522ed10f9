"""Paths are counted as on paper."""

from __future__ import annotations

import numpy as np
import pytest

from nasplat.predict.live import Live, Value
from nasplat.predict.paths import lengths, sets_of, walks

A, B = "a", "b"


@pytest.fixture
def diamond() -> Live:
    """input → a → (b | a, a, b | nothing) → add → b → output."""
    values = (
        Value(None, "", ()),
        Value(None, A, (0,)),
        Value(None, B, (1,)),
        Value(None, A, (1,)),
        Value(None, A, (3,)),
        Value(None, B, (4,)),
        Value(None, "add", (1, 2, 5)),
        Value(None, B, (6,)),
    )
    return Live(values, (7,))


def test_sets_hold_steps_and_no_merges(diamond: Live) -> None:
    assert sets_of((A, B, "add"), [diamond]).tolist() == [[1, 0, 0], [0, 1, 0], [1, 1, 0]]


def test_many_families_are_counted_one_by_one_and_together() -> None:
    chain = Live(tuple(Value(None, "", ()) for _ in range(1)), (0,))
    names = tuple("abcdefg")
    assert sets_of(names, [chain]).sum(1).tolist() == [1] * 7 + [7]


def test_lengths_of_paths(diamond: Live) -> None:
    sets = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    extent, avoiding, mean = lengths(diamond, (A, B), sets)
    # Three paths: a b; a b b; a a a b b.
    assert [extent[f"shortest {number:02d}"] for number in range(3)] == [1, 1, 2]
    assert [extent[f"longest {number:02d}"] for number in range(3)] == [3, 2, 5]
    assert extent["number"] == pytest.approx(2)
    assert list(mean.values()) == pytest.approx([5 / 3, 5 / 3, 10 / 3])
    assert list(avoiding.values()) == [0, 0, 0]


def test_paths_that_avoid_a_family_are_those_without_it(diamond: Live) -> None:
    shorter = Live(diamond.values, (6,))
    _, avoiding, _ = lengths(shorter, (B,), np.array([[1.0]]))
    assert avoiding["00"] == pytest.approx(np.log2(1 + 1))


def test_a_graph_without_output_has_no_path(diamond: Live) -> None:
    extent, avoiding, mean = lengths(Live(diamond.values, ()), (A,), np.array([[1.0]]))
    assert extent["shortest 00"] == extent["longest 00"] == avoiding["00"] == mean["00"] == -1
    assert extent["number"] == 0


def test_walks_pass_over_merges_and_count_every_path(diamond: Live) -> None:
    row = {name: 2**value - 1 for name, value in walks(diamond, (A, B)).items()}
    assert row["input > a"] == pytest.approx(1)
    assert row["a > b > b"] == pytest.approx(2)
    assert row["a > b > output"] == pytest.approx(1)
    assert row["b > b > output"] == pytest.approx(2)
    assert row["a > a > a"] == pytest.approx(1)
    assert "input > b" not in row


def test_ops_that_do_not_vary_are_passed_over(diamond: Live) -> None:
    assert "input > b" in walks(diamond, (B,))
