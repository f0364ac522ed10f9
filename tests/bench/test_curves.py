"""Curves are measured against the last value seen; tables without them are refused."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from nasplat.bench.curves import measure_curves
from nasplat.bench.table import Table
from nasplat.errors import UsageError
from nasplat.testing.strategy import some_space
from tests.bench.small import small_table, tiny_table

SPACE = some_space()
GENOTYPES = [one.genotype for one in SPACE.batch(120, random.Random(0))]


def table(direction: str = "min") -> Table:
    """Curves of 30 values that cross: fast ones end high, slow ones end low."""
    rng = np.random.default_rng(0)
    end, power = rng.uniform(1, 2, len(GENOTYPES)), rng.uniform(0.2, 1.5, len(GENOTYPES))
    sign = 1.0 if direction == "min" else -1.0
    points = {at: {"metric": sign * (end + (3 - end) * float(at) ** -power)} for at in range(1, 31)}
    return Table("made", "made", SPACE, GENOTYPES, points, {"metric": direction}, ("metric",))


@pytest.mark.parametrize("direction", ["min", "max"])
def test_curves_are_measured_against_the_last_value_seen(direction: str) -> None:
    met = measure_curves(table(direction), finished=60, seeds=2)
    assert (met.seen, met.values) == (6, 30)
    assert met.last == pytest.approx(met.best)
    assert met.predicted > met.last + 0.1
    assert 0.4 < met.coverage <= 1.0
    assert met == measure_curves(table("min"), finished=60, seeds=2)


def test_one_value_is_seen_at_least_and_the_end_never() -> None:
    assert measure_curves(small_table(), share=0.01, finished=10, seeds=1).seen == 1
    assert measure_curves(small_table(), share=0.99, finished=10, seeds=1).seen == 1


def test_curves_that_diverged_are_left_out() -> None:
    whole = table()
    last = whole.results[30]["metric"].copy()
    last[:70] = np.nan
    spoiled = replace(whole, results={**whole.results, 30: {"metric": last}})
    kept = len(set(spoiled.first[70:].tolist()) - set(range(70)))
    with pytest.raises(UsageError, match=f"has {kept} whole curves of metric") as met:
        measure_curves(spoiled, finished=60)
    assert met.value.hint == "ask for fewer finished curves"


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UsageError, match="one fidelity only"):
        measure_curves(tiny_table())
    with pytest.raises(UsageError, match="metric with curves of small 'loss'; known: macs, score"):
        measure_curves(small_table(), metric="loss")
    for share in (0.0, 1.0):
        with pytest.raises(UsageError, match="a share above 0 and below 1"):
            measure_curves(small_table(), share=share, finished=10)
    with pytest.raises(UsageError, match="48 whole curves"):
        measure_curves(small_table(), finished=47)
    with pytest.raises(UsageError, match="end alike"):
        measure_curves(small_table(constant=True), finished=10)
