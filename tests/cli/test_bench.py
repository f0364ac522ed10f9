"""Benchmarks from the command line, on the table that ships and on one of the user's own."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from nasplat.cli.main import run
from tests.cli.conftest import Runner, nasplat

__all__ = ["nasplat"]

SPACE = """
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.space.decisions import Choice
from nasplat.space.space import Space


def space(task):
    body = Conv(channels=Choice(2, 4, 8), kernel=Choice(1, 3), stride=2) >> ClassifierHead(classes=10)
    return Space(body, task.inputs, task.outputs, name="own")
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NASPLAT_BENCH_DATA", raising=False)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A table of six rows with its space."""
    (tmp_path / "space.py").write_text(SPACE, encoding="utf-8")
    rows = ["conv.channels,conv.kernel,accuracy,latency"]
    for channels in (2, 4, 8):
        rows += [
            f"{channels},{kernel},{0.5 + 0.01 * channels + 0.1 * kernel},{channels * kernel}"
            for kernel in (1, 3)
        ]
    file = tmp_path / "own.csv"
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "own.toml").write_text(
        'title = "Own"\nobjectives = ["accuracy:max", "latency:min"]\n', encoding="utf-8"
    )
    return file


def test_the_tables_are_listed_with_whether_they_are_there(nasplat: Runner) -> None:
    result = nasplat("bench", "list", "--format", "json")
    tables = {row["table"]: row["available"] for row in json.loads(result.out)}
    assert tables["digits-mini"] is True
    assert tables["nb201-c10"] is False
    assert "--data FOLDER" in result.err
    assert "digits-mini" in nasplat("bench", "list").out


def test_a_table_that_ships_is_searched_without_any_data(nasplat: Runner, tmp_path: Path) -> None:
    words = ["bench", "run", "digits-mini", "--strategy", "random,local-search", "--seeds", "2"]
    words += ["--evaluations", "20", "--processes", "2"]
    result = nasplat(*words, "--format", "json")
    assert result.code == 0, result.err
    rows = {row["strategy"]: row for row in json.loads(result.out)}
    assert set(rows) == {"random", "local-search"}
    assert all(row["runs"] == 2 and row["table"] == "digits-mini" for row in rows.values())
    assert "[4/4]" in result.err
    assert (tmp_path / "bench" / "digits-mini" / "runs.jsonl").is_file()
    again = nasplat(*words, "--format", "json")
    assert again.out == result.out
    assert "[4/4]" not in again.err


def test_a_table_of_ones_own_is_searched_for_what_is_asked(nasplat: Runner, own: Path) -> None:
    result = nasplat(
        "bench", "run", str(own), "--strategy", "random", "--strategy", "evolution", "--seeds", "2",
        "--objective", "latency:min", "--option", "x=1", "-o", "out",
    )  # fmt: skip
    assert result.code == 2
    assert "no option 'x'" in result.err
    result = nasplat(
        "bench", "run", str(own), "--strategy", "random,optuna-tpe", "--objective", "latency:min",
        "--seeds", "3", "--out", "out", "--format", "csv",
    )  # fmt: skip
    assert result.code == 0, result.err
    rows = {row["strategy"]: row for row in csv.DictReader(io.StringIO(result.out))}
    assert set(rows) == {"random", "optuna-tpe"}
    assert (rows["random"]["regret_6"], rows["random"]["found"]) == ("0.0", "1.0")
    table = nasplat(
        "bench", "run", str(own), "--strategy", "random", "--out", "out", "--seeds", "1"
    )
    assert "hypervolume 6" in table.out.splitlines()[0]


def test_fidelities_are_counted_as_cost(nasplat: Runner) -> None:
    words = ["bench", "run", "digits-mini", "--strategy", "random", "--seeds", "1"]
    known = json.loads(nasplat(*words, "--evaluations", "10", "-f", "json").out)
    rungs = nasplat(*words, "--evaluations", "10", "--fidelities", "2,6", "--objective", "accuracy")
    assert rungs.code == 0, rungs.err
    assert "at 2, 6" in rungs.err
    assert known[0]["runs"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits-minni"], "unknown table 'digits-minni'; known: digits-mini"),
        (["nb201-c10"], "--data FOLDER"),
        (["digits-mini", "--strategy", "gided"], "unknown strategy 'gided'; known: guided"),
        (["digits-mini", "--strategy", ","], "--strategy names nothing"),
        (["digits-mini", "--evaluations", "0"], "evaluations must be at least 1"),
        (["digits-mini", "--evaluations", "99999999"], "fewer than the 99999999"),
        (["digits-mini", "--objective", "acuracy"], "known: accuracy"),
        (["digits-mini", "--objective", "accuracy:min"], "is to be maximised"),
        (["digits-mini", "--fidelities", "two"], "whole numbers above 0"),
        (["digits-mini", "--fidelities", "3,6"], "unknown fidelity '3'"),
        (["digits-mini", "--seeds", "0"], "at least one strategy, one seed"),
        (["missing.csv"], "missing.csv"),
    ],
)
def test_wrong_input_is_refused_with_the_next_step(
    nasplat: Runner, tmp_path: Path, words: list[str], message: str
) -> None:
    result = nasplat("bench", "run", *words)
    assert result.code == 2, result.err
    assert message in result.err
    assert not (tmp_path / "bench").exists()


def test_curves_are_told_from_their_beginnings(nasplat: Runner) -> None:
    words = ["bench", "curves", "digits-mini", "--share", "0.5", "--seeds", "1"]
    result = nasplat(*words, "--finished", "20,50", "-f", "json")
    assert result.code == 0, result.err
    rows = json.loads(result.out)
    assert [row["finished"] for row in rows] == [20, 50]
    assert rows[1]["seen"] == 1 and 0.4 < rows[1]["predicted"] < 0.9 > rows[1]["last"] > 0.4
    assert "tau of last" in nasplat(*words).out
    refused = nasplat(*words, "--finished", "930")
    assert refused.code == 2
    assert "ask for fewer finished curves" in refused.err


def test_questions_are_timed(nasplat: Runner) -> None:
    result = nasplat(
        "bench", "speed", "digits-mini", "--strategy", "random,guided", "--observations", "30,20",
        "--format", "json",
    )  # fmt: skip
    rows = json.loads(result.out)
    assert [(row["strategy"], row["observations"]) for row in rows] == [
        ("random", 20), ("random", 30), ("guided", 20), ("guided", 30),
    ]  # fmt: skip
    assert all(0 < row["seconds"] < 30 for row in rows)


def test_a_report_is_written_of_what_was_run(nasplat: Runner, tmp_path: Path) -> None:
    nasplat(
        "bench", "run", "digits-mini", "--strategy", "random", "--seeds", "2", "--evaluations", "9"
    )
    result = nasplat("bench", "report")
    assert result.out.split() == ["bench/report.html", "bench/report.md"]
    assert "digits-mini" in (tmp_path / "bench" / "report.md").read_text(encoding="utf-8")
    result = nasplat("bench", "report", "bench/digits-mini", "--out", "there")
    assert result.out.split() == ["there/report.html", "there/report.md"]
    missing = nasplat("bench", "report", "elsewhere")
    assert missing.code == 3
    assert "nasplat bench run" in missing.err


def test_a_table_is_made_then_raced_and_searched(nasplat: Runner, own: Path) -> None:
    made = nasplat(
        "bench", "make", "made.csv", "--space", "space.py", "--epochs", "1", "--count", "3"
    )
    assert made.code == 0, made.err
    assert made.out.strip() == "made.csv"
    assert "[3/3]" in made.err
    race = nasplat(
        "bench", "race", "--space", "space.py", "--task", "digits", "--budget", "2trials",
        "--strategy", "random,local", "--seeds", "1", "--epochs", "1", "--format", "json",
    )  # fmt: skip
    assert race.code == 0, race.err
    rows = json.loads(race.out)
    assert {row["strategy"] for row in rows} == {"random", "local"}
    assert all(0 < row["hypervolume"] < 1 for row in rows)
    assert "bench/space-digits" in race.err
    searched = nasplat("bench", "run", "made.csv", "--strategy", "random", "--seeds", "1")
    assert searched.code == 0, searched.err


def test_every_verb_has_an_exit_code_for_wrong_words() -> None:
    assert run(["bench", "race", "--space", "hybrid-vit"]) == 2
    assert run(["bench", "make", "t.csv"]) == 2
