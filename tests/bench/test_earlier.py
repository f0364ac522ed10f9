"""Rows of other tables are what a search or a recipe knows from before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasplat.bench import runs
from nasplat.bench.earlier import EarlierTable, read_earlier
from nasplat.bench.harness import run
from nasplat.bench.measures import Problem
from nasplat.bench.predictors import measure_predictors
from nasplat.bench.runs import Plan, run_all
from nasplat.errors import UsageError
from tests.bench.small import score, small_table

OPTIONS = {"drawn": 24, "varied": 16, "refined": 8}


def test_rows_are_minimised_random_and_their_own() -> None:
    table = small_table(failed=[3])
    one, other = (EarlierTable(table, 20).results(["score"], seed) for seed in (0, 1))
    assert len(one.candidates) == len(set(map(id, one.candidates))) == 20
    scores = [-score(candidate.genotype) for candidate in one.candidates]
    known = np.isfinite(one.values[0])
    assert np.allclose(one.values[0][known], np.array(scores)[known])
    assert known.sum() >= 19
    genotypes = [[candidate.genotype for candidate in who.candidates] for who in (one, other)]
    assert genotypes[0] != genotypes[1]


def test_metrics_inform_their_namesakes_and_the_first_objective_the_first() -> None:
    before = EarlierTable(small_table(), 48).results(["accuracy", "macs", "energy"], 0)
    assert sorted(before.values) == [0, 1]
    scores = [-score(candidate.genotype) for candidate in before.candidates]
    assert np.allclose(before.values[0], scores)
    assert np.allclose(before.values[1], [one.cost.macs for one in before.candidates])


def test_a_search_knows_the_rows_and_says_so() -> None:
    table = small_table()
    before = [EarlierTable(replace(table, name="other"), 40)]
    trace = run(table, "guided", evaluations=12, seed=0, options=OPTIONS, batch=2, transfer=before)
    assert trace.label.endswith("transfer=other:40, varied=16)")
    plain = run(table, "guided", evaluations=12, seed=0, options=OPTIONS, batch=2)
    assert plain.rows[:1] == trace.rows[:1] and plain.rows != trace.rows


def test_runs_with_and_without_are_kept_apart(tmp_path: Path) -> None:
    table = small_table()
    before = [EarlierTable(table, 30)]
    for transfer in ([], before, before):
        plan = Plan(["guided"], 1, 4, options=OPTIONS, transfer=transfer)
        met = run_all(table, Problem.of(table), plan, out=tmp_path)
        (label,) = met.by_strategy()
        assert ("transfer=small:30" in label) == bool(transfer)
    (kept,) = runs.read(tmp_path)
    assert len(kept.traces) == 2


@pytest.mark.parametrize("name", ["random", "regularised-evolution"])
def test_who_cannot_learn_from_before_is_refused(name: str) -> None:
    table = small_table()
    plan = Plan([name], 1, 4, transfer=[EarlierTable(table, 30)])
    with pytest.raises(UsageError, match="no option 'transfer'"):
        run_all(table, Problem.of(table), plan)


def test_a_recipe_that_takes_earlier_searches_orders_few_rows_better() -> None:
    table = small_table()
    before = [EarlierTable(table, 40)]
    (with_it,) = measure_predictors(table, ["graph-gp"], [6], seeds=3, transfer=before)
    (without,) = measure_predictors(table, ["graph-gp"], [6], seeds=3)
    assert with_it.recipe == "graph-gp with small:40"
    assert with_it.kendall_tau > without.kendall_tau + 0.1
    with pytest.raises(UsageError, match="ridge does not take earlier searches such as small"):
        measure_predictors(table, ["ridge"], [6], seeds=1, transfer=before)


def test_tables_are_read_by_name_with_a_number_of_rows() -> None:
    whole, some = read_earlier(["digits-mini", "digits-mini:30"])
    assert (str(whole), str(some)) == ("digits-mini:200", "digits-mini:30")
    with pytest.raises(UsageError, match="--transfer digits-mini:5 asks for 5 rows"):
        read_earlier(["digits-mini:5"])
    with pytest.raises(UsageError, match="unknown table 'digits-min'; known: digits-mini"):
        read_earlier(["digits-min"])
