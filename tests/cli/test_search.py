"""Searches from the command line: what they print, how they end, what they refuse.

Most searches here evaluate by a formula instead of training: the loop around is the real one. Journeys
with training are in ``tests/test_journeys.py``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nasplat.search.study import Study
from nasplat.testing.formula import KIND
from tests.cli.conftest import Runner


def study_file(folder: Path, *lines: str, seconds: float = 0.0, fail_every: int = 0) -> str:
    """A study file for a search without training."""
    file = folder / "study.yaml"
    evaluator = {"kind": KIND, "seconds": seconds, "fail_every": fail_every, "checkpoints": True}
    file.write_text(
        "space: nasbench201\nbudget: 12trials\nstudy: quick\nexecutor: inline\nstrategy: random\n"
        f"objective: [accuracy:max, params:min]\nevaluator: {json.dumps(evaluator)}\n"
        + "".join(f"{line}\n" for line in lines)
    )
    return str(file)


def test_a_search_ends_with_its_front_the_database_and_commands_that_work(
    nasplat: Runner, tmp_path: Path
) -> None:
    result = nasplat("search", study_file(tmp_path))
    assert result.code == 0, result.err
    assert "12 of 12 trials" in result.out and "100 %" in result.out
    assert "g1:" in result.out
    assert f"database  sqlite:///{tmp_path / 'home' / 'nasplat.db'}" in result.out
    assert "study quick  space nasbench201 (15,625 candidates)  task digits" in result.err
    front = json.loads(nasplat("pareto", "quick", "--format", "json").out)
    assert front
    printed = [
        line.split("nasplat query ")[1] for line in result.out.splitlines() if "query" in line
    ]
    rows = json.loads(nasplat("query", printed[0].strip('"'), "--format", "json").out)
    assert {row["digest"] for row in rows} == {point["digest"] for point in front}


def test_with_json_the_status_stands_alone_on_stdout(nasplat: Runner, tmp_path: Path) -> None:
    result = nasplat("search", study_file(tmp_path), "--format", "json", "--budget", "5trials")
    status = json.loads(result.out)
    assert status["study"] == "quick" and status["state"] == "complete"
    assert status["budget"] == [{"unit": "trials", "limit": 5.0, "used": 5.0}]
    assert [point["digest"] for point in status["front_rows"]]


def test_a_dry_run_prints_the_plan_and_stores_nothing(nasplat: Runner, tmp_path: Path) -> None:
    words = ("search", study_file(tmp_path), "--dry-run", "--constraint", "params<=40k")
    result = nasplat(*words)
    assert result.code == 0, result.err
    assert "15,625 candidates" in result.out and "% of random candidates" in result.out
    record = json.loads(nasplat(*words, "--format", "json").out)
    assert 0 < record["feasible"] < 1
    assert record["constraints"] == ["params<=40000"]
    assert not (tmp_path / "home").exists()


def test_a_search_that_learns_from_an_earlier_study_says_so(
    nasplat: Runner, tmp_path: Path
) -> None:
    assert nasplat("search", study_file(tmp_path)).code == 0
    words = ("search", study_file(tmp_path), "--study", "next", "--strategy", "guided")
    dry = nasplat(*words, "--transfer", "quick", "--dry-run")
    assert "learns from  study quick, 12 results: accuracy by accuracy" in dry.out
    record = json.loads(nasplat(*words, "--transfer", "quick", "--dry-run", "-f", "json").out)
    assert record["transfer"] == [
        {"study": "quick", "results": 12, "informs": {"accuracy": "accuracy"}}
    ]
    file = study_file(tmp_path, "transfer: quick")
    text = Path(file).read_text().replace("study: quick", "study: next").replace("random", "guided")
    Path(file).write_text(text)
    result = nasplat("search", file, "--budget", "3trials")
    assert result.code == 0, result.err
    assert list(Study.load("next").settings.transfer) == ["quick"]
    assert nasplat("resume", "next", "--budget", "5trials").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--strategy", "guided", "--transfer", "quik"], 3, "unknown study 'quik'; known: quick"),
        (["--strategy", "random", "--transfer", "quick"], 2, "does not learn from earlier studies"),
        (["--strategy", "guided", "--option", "transfer=quick"], 2, "--transfer STUDY"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    nasplat: Runner, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    assert nasplat("search", study_file(tmp_path)).code == 0
    result = nasplat("search", study_file(tmp_path), "--study", "next", *words)
    assert result.code == code
    assert said in result.err


def test_a_dry_run_of_training_measures_an_epoch(nasplat: Runner) -> None:
    words = ("--space", "nasbench201", "--budget", "10min", "--epochs", "9", "--dry-run")
    record = json.loads(nasplat("search", *words, "--format", "json").out)
    assert record["seconds_per_epoch"] > 0 and record["candidates"] >= 1
    assert record["rungs"] == [3, 9]
    assert record["device"] == "cpu (onnxruntime, 1 thread)"


def test_equal_seeds_give_equal_candidates(nasplat: Runner, tmp_path: Path) -> None:
    file = study_file(tmp_path)
    digests = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        nasplat("search", file, "--study", name, "--seed", seed)
        rows = json.loads(nasplat("trials", name, "--format", "json").out)
        digests.append([row["digest"] for row in rows])
    assert digests[0] == digests[1] != digests[2]


def test_a_study_of_that_name_is_refused_or_taken_up(nasplat: Runner, tmp_path: Path) -> None:
    file = study_file(tmp_path)
    assert nasplat("search", file).code == 0
    again = nasplat("search", file)
    assert again.code == 2
    assert "exists already" in again.err and "nasplat resume quick" in again.err
    other = nasplat("search", file, "--space", "hybrid-vit")
    assert other.code == 2
    assert "space nasbench201" in other.err and "hybrid-vit" in other.err
    assert nasplat("search", file, "--skip-if-exists").code == 4


def test_a_spent_budget_is_exit_code_4_and_a_larger_one_goes_on(
    nasplat: Runner, tmp_path: Path
) -> None:
    nasplat("search", study_file(tmp_path))
    spent = nasplat("resume", "quick")
    assert spent.code == 4
    assert "nasplat resume quick --budget" in spent.err
    assert nasplat("resume", "quick", "--budget", "15trials").code == 0
    assert len(json.loads(nasplat("trials", "--format", "json").out)) == 15


def test_a_search_in_which_everything_failed_says_why(nasplat: Runner, tmp_path: Path) -> None:
    result = nasplat("search", study_file(tmp_path, fail_every=1), "--budget", "3trials")
    assert result.code == 1
    assert "no trial came to an end, 3 failed" in result.err and "diverged" in result.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--space", "hybrid-vti"], "unknown space 'hybrid-vti'; known: hybrid-vit"),
        (["--task", "digit"], "unknown task 'digit'; known: digits"),
        (["--objective", "acuracy:max"], "unknown objective 'acuracy'; known: accuracy"),
        (["--objective", "accuracy:up"], "must be max or min, got 'up'"),
        (["--strategy", "randon"], "unknown strategy 'randon'; known: random"),
        (["--objective", "latency_ms:min", "--device", "gpu9"], "unknown device 'gpu9'"),
        (["--workers", "labtop"], "unknown worker profile 'labtop'; known: laptop"),
        (["--executor", "dask"], "executor must be one of ray, inline, got 'dask'"),
        (["--budget", "0trials"], "must be above zero"),
        (["--budget", "soon"], "cannot be read"),
        (["--budget", "1h,2h"], "twice"),
        (["--constraint", "params<=1"], "over this space params goes from"),
        (["--constraint", "params=5M"], "cannot be read"),
        (["--constraint", "parms<=5M"], "unknown metric 'parms'; known: params"),
        (["--option", "populatoin=3"], "has no option 'populatoin'"),
        (["--epochs", "0"], "at least 1"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_stored(
    nasplat: Runner, tmp_path: Path, words: list[str], said: str
) -> None:
    evaluator = {"kind": "train"} if "--device" in words else {"kind": KIND}
    file = study_file(tmp_path, f"evaluator: {json.dumps(evaluator)}")
    result = nasplat("search", file, *words)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "home").exists()


def test_gpu_hours_without_a_gpu_are_refused_with_the_alternative(nasplat: Runner) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    result = nasplat("search", "--space", "hybrid-vit", "--budget", "100gpu-h")
    assert result.code == 2
    assert "can never be spent: the cluster has 0 GPUs" in result.err
    assert "cpu-h" in result.err and "ray start --address" in result.err


def test_what_a_task_cannot_use_is_explained(nasplat: Runner, tmp_path: Path) -> None:
    (tmp_path / "flowers" / "daisy").mkdir(parents=True)
    result = nasplat(
        "search", "--space", "nasbench201", "--budget", "1min", "--task", f"{tmp_path / 'flowers'}"
    )
    assert result.code == 2
    assert "flowers" in result.err and "Traceback" not in result.err


def start(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "NASPLAT_HOME": str(tmp_path / "home")}
    return subprocess.Popen(
        [sys.executable, "-m", "nasplat", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_trials(tmp_path: Path, count: int) -> None:
    url = f"sqlite:///{tmp_path / 'home' / 'nasplat.db'}"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if (tmp_path / "home" / "nasplat.db").exists():
            try:
                if Study.load("quick", url).status()["trials"]["complete"] >= count:
                    return
            except Exception:
                pass  # the database is just being made
        time.sleep(0.2)
    raise AssertionError(f"{count} trials did not complete in time")


def test_ctrl_c_keeps_all_and_says_how_to_go_on(nasplat: Runner, tmp_path: Path) -> None:
    file = study_file(tmp_path, seconds=0.05)
    process = start(tmp_path, "search", file, "--budget", "40trials", "--min-epochs", "9")
    wait_for_trials(tmp_path, 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopped launching" in err and "resume quick" in err
    before = {
        row["number"]: row for row in json.loads(nasplat("trials", "-f", "json").out)
        if row["state"] == "complete"
    }  # fmt: skip
    assert before
    assert json.loads(nasplat("status", "--format", "json").out)["state"] == "stopped"
    assert nasplat("resume", "quick", "--budget", "20trials").code == 0
    after = {row["number"]: row for row in json.loads(nasplat("trials", "-f", "json").out)}
    assert len(after) == 20
    kept = ("digest", "metrics", "device_seconds", "started", "ended")
    for number, row in before.items():
        assert [after[number][name] for name in kept] == [row[name] for name in kept]


def test_stop_from_another_process_ends_a_search_in_order(nasplat: Runner, tmp_path: Path) -> None:
    file = study_file(tmp_path, seconds=0.05)
    process = start(tmp_path, "search", file, "--budget", "400trials", "--min-epochs", "9")
    wait_for_trials(tmp_path, 1)
    assert "asked" in nasplat("stop", "quick").err
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(nasplat("status", "--format", "json").out)["state"] == "stopped"
    again = nasplat("stop", "quick")
    assert again.code == 2
    assert "is not running: it is stopped" in again.err
