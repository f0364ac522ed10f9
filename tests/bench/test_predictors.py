"""Recipes are measured on rows that they were not fitted on; what cannot be measured is refused."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from nasplat.bench.predictors import measure_predictors
from nasplat.bench.table import Table
from nasplat.errors import UsageError
from nasplat.predict.base import Floats
from nasplat.testing.strategy import some_space

SPACE = some_space()
GENOTYPES = [one.genotype for one in SPACE.batch(120, random.Random(0))]


def table(values: Floats | None = None) -> Table:
    """A sampled table whose metric follows from the cost."""
    if values is None:
        values = np.log([SPACE.build(genotype).cost.macs for genotype in GENOTYPES])
    results = {1: {"accuracy": values}}
    return Table("made", "made", SPACE, GENOTYPES, results, {"accuracy": "max"}, ("accuracy",))


def test_each_recipe_and_number_of_rows_is_one_entry() -> None:
    met = measure_predictors(table(), ["ridge", "graph-gp"], [10, 40], seeds=2, test_rows=50)
    assert [(one.recipe, one.rows) for one in met] == [
        ("ridge", 10),
        ("ridge", 40),
        ("graph-gp", 10),
        ("graph-gp", 40),
    ]
    best = met[-1]
    assert best.kendall_tau > 0.8 and best.kendall_tau > met[-2].kendall_tau
    assert best.spearman > best.kendall_tau
    assert 0 <= best.coverage_50 <= best.coverage_90 <= 1
    assert (best.table, best.metric, best.seeds, best.test_rows) == ("made", "accuracy", 2, 50)
    assert best.to_json()["fit_seconds"] > 0


def test_small_tables_test_on_what_is_left() -> None:
    (met,) = measure_predictors(table(), ["ridge"], [100], seeds=1)
    assert met.test_rows < 21


def test_a_part_of_a_table_is_rows_with_that_decision() -> None:
    path, value = next(iter(GENOTYPES[0].items()))
    share = sum(one.get(path) == value for one in GENOTYPES)
    (met,) = measure_predictors(table(), ["ridge"], [5], seeds=1, within={path: value})
    assert met.test_rows <= share - 5
    with pytest.raises(UsageError, match="no such"):
        measure_predictors(table(), ["ridge"], [5], within={path: "no such"})


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UsageError, match="leave nothing to predict"):
        measure_predictors(table(), ["ridge"], [500])
    with pytest.raises(UsageError, match="nothing to order"):
        measure_predictors(table(np.ones(len(GENOTYPES))), ["ridge"], [5])
    with pytest.raises(UsageError, match="at least 1 training row"):
        measure_predictors(table(), ["ridge"], [0])
    with pytest.raises(UsageError, match="metric"):
        measure_predictors(table(), ["ridge"], [5], metric="loss")
    with pytest.raises(UsageError, match="nosuch"):
        measure_predictors(table(), ["nosuch"], [5])


def test_failed_rows_are_left_out() -> None:
    whole = table()
    values = whole.results[1]["accuracy"].copy()
    values[:100] = np.nan
    spoiled = replace(whole, results={1: {"accuracy": values}})
    with pytest.raises(UsageError, match="rows with accuracy"):
        measure_predictors(spoiled, ["ridge"], [60])
