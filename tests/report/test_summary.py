"""What a person reads at the end of a search."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from nasplat.report import summary

OBJECTIVES = [
    {"metric": "accuracy", "direction": "max"},
    {"metric": "latency_ms", "direction": "min"},
]
FRONT = [
    {
        "digest": "g1:7f3a91c2deadbeef",
        "metrics": {"accuracy": 0.989, "latency_ms": 0.412, "loss": 0.1},
        "costs": {"params": 61_200, "macs": 4_000_000, "flops": 8_000_000},
    }
]


def make_status(**changes: Any) -> dict[str, Any]:
    return {
        "study": "demo",
        "state": "complete",
        "space": "hybrid-vit",
        "task": "digits",
        "objectives": OBJECTIVES,
        "constraints": ["params<=5e+06"],
        "budget": [{"unit": "s", "limit": 180.0, "used": 180.0}],
        "trials": {"complete": 64, "stopped": 21, "failed": 2, "running": 0, "waiting": 0},
        "failures": {"diverged": 2},
        "hypervolume": 0.871,
        "front": ["g1:7f3a91c2deadbeef"],
        "predictor": None,
    } | changes


@pytest.fixture(autouse=True)
def _on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nasplat"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def test_a_result_tells_budget_trials_front_database_and_what_to_type_next() -> None:
    text = summary.result_text(make_status(), FRONT, "sqlite:///runs/nasplat.db")
    assert text.splitlines() == [
        "budget 3.0 of 3.0 min  ████████████████████████ 100 %   64 complete  21 stopped early  "
        "2 failed (diverged)   front 1  hypervolume 0.871",
        " digest       accuracy  latency_ms  params  macs",
        " g1:7f3a91c2    0.9890      0.4120  61.2 k   4 M",
        "database  sqlite:///runs/nasplat.db",
        "next      nasplat export demo --best accuracy",
        "          nasplat pareto demo --plot front.html",
        '          nasplat query "select digest, accuracy, latency_ms from front where '
        "study = 'demo'\"",
    ]


def test_an_unfinished_study_is_resumed_first_and_nothing_is_exported_without_a_front() -> None:
    text = summary.result_text(make_status(state="stopped", front=[]), [], "sqlite:///a.db")
    assert "next      nasplat resume demo\n          nasplat trials demo" in text
    assert "export" not in text


def test_commands_name_the_storage_that_was_given() -> None:
    at = ("--storage", "sqlite:///a b.db")
    text = summary.result_text(make_status(), FRONT, "sqlite:///a b.db", at)
    assert "nasplat export demo --best accuracy --storage 'sqlite:///a b.db'" in text


@pytest.mark.parametrize(
    "words",
    [("query", "select 'a'"), ("resume", "my study"), ("query", 'it\'s "$HOME" `x` !'), ("a",)],
)
def test_a_printed_command_is_read_back_by_a_shell_as_it_was_meant(words: tuple[str, ...]) -> None:
    assert shlex.split(summary.command(*words)) == ["nasplat", *words]


def test_a_program_that_is_not_on_the_path_is_printed_so_that_it_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(tmp_path / ".venv" / "bin" / "nasplat")])
    assert summary.program() == ".venv/bin/nasplat"


def test_a_status_names_constraints_only_where_there_are_some() -> None:
    assert "params<=5e+06" in summary.status_text(make_status())
    assert "subject" not in summary.status_text(make_status(constraints=[]))
