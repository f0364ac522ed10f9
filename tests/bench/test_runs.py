"""Runs in a folder: kept as they come, taken up again, told of in rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nasplat
from nasplat.bench import runs, summary
from nasplat.bench.drawing import draw
from nasplat.bench.measures import Problem
from nasplat.bench.report import _of_runs, to_markdown
from nasplat.bench.runs import Plan, Runs, _files, code_of, run_all
from nasplat.bench.trace import Trace
from nasplat.errors import NotFoundError, UsageError
from tests.bench.small import small_table

PLAN = Plan(["random", "regularised-evolution"], seeds=2, evaluations=8)


def seeds_run(out: Path | None, plan: Plan = PLAN, processes: int = 1) -> list[tuple[str, int]]:
    """Which searches were really run."""
    met: list[tuple[str, int]] = []
    table = small_table()
    run_all(
        table,
        Problem.of(table),
        plan,
        processes=processes,
        out=out,
        done=lambda trace, done, total: met.append((trace.strategy, trace.seed)),
    )
    return met


def test_what_was_run_is_not_run_again(tmp_path: Path) -> None:
    assert len(seeds_run(tmp_path / "new")) == 4
    assert seeds_run(tmp_path / "new") == []
    more = Plan([*PLAN.strategies, "local"], seeds=3, evaluations=8)
    assert sorted(seeds_run(tmp_path / "new", more)) == [
        ("local", 0),
        ("local", 1),
        ("local", 2),
        ("random", 2),
        ("regularised-evolution", 2),
    ]


def test_without_a_folder_nothing_is_kept() -> None:
    assert len(seeds_run(None)) == len(seeds_run(None)) == 4


def test_processes_find_what_one_finds(tmp_path: Path) -> None:
    seeds_run(tmp_path / "one")
    seeds_run(tmp_path / "two", processes=2)
    (one,), (two,) = runs.read(tmp_path / "one"), runs.read(tmp_path / "two")
    assert one.traces.keys() == two.traces.keys()
    assert all(one.traces[key].rows == two.traces[key].rows for key in one.traces)


def test_an_interrupted_run_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    seeds_run(tmp_path)
    file = tmp_path / runs.FILE
    text = file.read_text(encoding="utf-8")
    file.write_text(text[:-40], encoding="utf-8")
    assert sum(len(known.traces) for known in runs.read(tmp_path)) == 3
    assert len(seeds_run(tmp_path)) == 1
    (known,) = runs.read(tmp_path)
    assert len(known.traces) == 4


def test_runs_of_other_code_are_run_again_and_left_out(tmp_path: Path) -> None:
    seeds_run(tmp_path, Plan(["random"], 3, 8))
    file = tmp_path / runs.FILE
    file.write_text(
        file.read_text(encoding="utf-8").replace(code_of("random"), "0" * 16), encoding="utf-8"
    )
    assert len(seeds_run(tmp_path, Plan(["random"], 2, 8))) == 2
    (known,) = runs.read(tmp_path)
    assert [trace.seed for trace in known.by_strategy()["random"]] == [0, 1]


def test_the_code_of_a_strategy_of_ones_own_counts(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class Mine: pass\n", encoding="utf-8")
    before = code_of(f"{file}:Mine")
    file.write_text("class Mine: other = 1\n", encoding="utf-8")
    code_of.cache_clear()
    assert code_of(f"{file}:Mine") != before
    named = [file.relative_to(Path(nasplat.__file__).parent) for file in _files("guided")]
    assert {Path("pareto.py"), Path("predict/ridge.py")} < set(named)
    assert {file.parts[0] for file in named} == {"pareto.py", "predict", "search"}
    assert code_of("guided") == code_of("random") != code_of("bananas")
    assert code_of("bananas") != code_of("local-search")


def test_runs_of_other_problems_and_lengths_stand_beside_each_other(tmp_path: Path) -> None:
    table = small_table()
    for objectives in (["score"], ["score", "macs"]):
        problem = Problem.of(table, objectives)
        run_all(table, problem, Plan(["random"], 1, 8), out=tmp_path)
        run_all(table, problem, Plan(["random"], 2, 12), out=tmp_path)
    single, both = runs.read(tmp_path)
    assert single.problem.single and not both.problem.single
    assert len(both.traces) == 3
    assert [trace.evaluations for trace in both.by_strategy()["random"]] == [12, 12]


def test_a_line_that_is_no_run_is_named(tmp_path: Path) -> None:
    seeds_run(tmp_path)
    file = tmp_path / runs.FILE
    file.write_text('{"problem": 1}\n' + file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UsageError, match="line 1 of"):
        runs.read(tmp_path)
    with pytest.raises(NotFoundError, match="holds no runs"):
        runs.read(tmp_path / "other")


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan([], 1, 5), "at least one strategy"),
        (Plan(["random"], 0, 5), "one seed"),
        (Plan(["random", "gided"], 1, 5), "unknown strategy"),
        (Plan(["random"], 1, 5, batch=0), "at least 1 candidate"),
        (Plan(["evolution", "random"], 1, 5, options={"population": 9}), "has no option"),
        (Plan(["evolution"], 1, 5, options={"population": 1}), "population of at least 2"),
    ],
)
def test_nothing_is_started_when_something_cannot_be_run(
    tmp_path: Path, plan: Plan, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        seeds_run(tmp_path / "new", plan)
    assert not (tmp_path / "new").exists()


def made(values: list[list[float]], objectives: int = 1) -> Runs:
    """Runs of one strategy on a problem whose values reach from 0 to 10."""
    problem = Problem(
        table="made",
        title="",
        reference="",
        objectives=("a", "b")[:objectives],
        directions=("min", "min")[:objectives],
        fidelities=(1,),
        size=99,
        best=(0.0,) * objectives,
        worst=(10.0,) * objectives,
        front=((0.0,) * objectives,),
    )
    known = Runs(problem)
    for seed, met in enumerate(values):
        trace = Trace("s", {}, seed, problem.objectives, (1,), len(met), 5)
        for place, value in enumerate(met):
            trace.note(place, 1, place + 1.0, (value,) * objectives)
        trace.asked, trace.seconds = [(0, len(met))], [0.5 * len(met)]
        known.traces[runs.key_of(trace)] = trace
        known.code[runs.key_of(trace)] = ""
    return known


def test_a_row_tells_of_the_optimum_and_of_regret() -> None:
    (row,) = summary.rows(made([[4.0, 2.0, 0.0], [4.0, 3.0, 1.0], [0.0, 9.0, 9.0]]))
    assert row == {
        "strategy": "s",
        "runs": 3,
        "to_optimum": 3.0,
        "to_optimum_p95": None,
        "found": pytest.approx(2 / 3),
        "regret_3": pytest.approx(1 / 3),
        "seconds_per_proposal": 0.5,
    }
    assert json.loads(json.dumps(row))["to_optimum_p95"] is None


def test_a_row_of_several_objectives_tells_of_the_hypervolume() -> None:
    (row,) = summary.rows(made([[10.0, 5.0], [10.0, 0.0], [10.0, 10.0]], objectives=2))
    assert row["hypervolume_2"] == 0.25
    assert "to_optimum" not in row


def test_marks_are_those_that_a_search_reaches() -> None:
    assert summary.marks(300) == [50, 100, 200]
    assert summary.marks(120) == [50, 100]
    assert summary.marks(30) == [30]


def test_curves_hold_every_run_at_every_evaluation() -> None:
    costs, met = summary.curves(made([[4.0, 2.0, 3.0], [1.0, 2.0, 0.0]]))
    assert costs == [1, 2, 3]
    assert np.array_equal(met["s"], [[4, 2, 2], [1, 1, 0]])


def test_strategies_with_runs_of_other_lengths_share_their_columns() -> None:
    known = made([[4.0, 2.0, 0.0]])
    trace = Trace("t", {}, 0, ("a",), (1,), 2, 5)
    for place, value in enumerate((3.0, 1.0)):
        trace.note(place, 1, place + 1.0, (value,))
    known.traces[runs.key_of(trace)] = trace
    known.code[runs.key_of(trace)] = ""
    long, short = summary.rows(known)
    assert list(long) == list(short)
    assert (long["regret_2"], long["regret_3"]) == (2.0, 0.0)
    assert (short["regret_2"], short["regret_3"]) == (1.0, None)
    _, met = summary.curves(known)
    assert np.array_equal(met["t"], [[3.0, 1.0, np.nan]], equal_nan=True)
    part = _of_runs(known)
    assert part.curves is not None
    assert "| t |" in to_markdown([part]) and "<svg" in draw(part.curves)


def test_the_best_strategy_stands_first(tmp_path: Path) -> None:
    table = small_table()
    known = run_all(table, Problem.of(table), Plan(["random", "guided"], 3, 25), out=tmp_path)
    assert [row["strategy"] for row in summary.rows(known)] == ["guided", "random"]
    both = Problem.of(table, ["score", "macs"])
    known = run_all(table, both, Plan(["random", "guided"], 3, 20), out=tmp_path)
    rows = summary.rows(known)
    assert rows[0]["hypervolume_20"] > rows[1]["hypervolume_20"]
