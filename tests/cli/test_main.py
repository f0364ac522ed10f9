"""Errors, exit codes and the options of every verb."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from nasplat.cli import main, output
from nasplat.errors import BudgetSpentError, GenotypeError, NasplatError, NotFoundError, StoreError
from tests.cli.conftest import Runner


@pytest.fixture(autouse=True)
def _loud() -> None:
    output.be_quiet(False)


def test_the_version_is_that_of_the_installation(nasplat: Runner) -> None:
    assert nasplat("--version").out.strip() == f"nasplat {version('nasplat')}"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreError("met this", hint="do that"), 1),
        (GenotypeError(["a is wrong"]), 2),
        (NotFoundError("met this"), 3),
        (BudgetSpentError("met this"), 4),
        (KeyboardInterrupt(), 130),
        (RuntimeError("a bug"), 1),
    ],
)
def test_every_error_has_its_exit_code_and_no_traceback(
    nasplat: Runner, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    result = nasplat("studies")
    assert result.code == code
    assert result.out == ""
    assert "Traceback" not in result.err


def test_an_error_says_what_was_met_and_the_next_step_below(
    nasplat: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise NasplatError("met this\nand that", hint="do this")

    monkeypatch.setattr(main, "app", fail)
    assert nasplat("studies").err == "error: met this\n       and that\n       do this\n"


def test_a_traceback_comes_only_with_debug_wherever_it_stands(nasplat: Runner) -> None:
    assert "Traceback" not in nasplat("space", "size", "no-such-space").err
    assert "Traceback" in nasplat("space", "size", "no-such-space", "--debug").err
    assert "Traceback" in nasplat("--debug", "space", "size", "no-such-space").err


@pytest.mark.parametrize(
    "words", [["serach"], ["trials", "--sorted"], ["space"], ["trials", "--limit", "many"]]
)
def test_wrong_words_are_wrong_usage(nasplat: Runner, words: list[str]) -> None:
    result = nasplat(*words)
    assert result.code == 2
    assert "Traceback" not in result.err


def test_wrong_words_are_answered_with_the_help_to_read(nasplat: Runner) -> None:
    assert "See: nasplat trials --help" in nasplat("trials", "--sorted").err


def test_notes_are_left_out_when_asked_for_quiet(nasplat: Runner, tmp_path: Path) -> None:
    assert "next" in nasplat("new", "space", str(tmp_path / "one.py")).err
    assert nasplat("new", "space", str(tmp_path / "two.py"), "--quiet").err == ""


def test_what_follows_two_dashes_is_no_option_of_the_program(nasplat: Runner) -> None:
    assert main._take(["query", "--", "--debug"], "--debug") == (False, ["query", "--", "--debug"])


def test_a_reader_that_closes_the_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m nasplat space sample nasbench201 -n 3000 -f csv | head -n 1"
    script = f"set -o pipefail; {command}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=100)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


def test_python_dash_m_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nasplat", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("nasplat ")
