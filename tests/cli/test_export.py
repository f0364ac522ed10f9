"""What `nasplat export` and `nasplat verify` refuse; whole exports are in the journeys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner

pytestmark = pytest.mark.usefixtures("storage")


def test_winners_are_chosen_in_exactly_one_way(nasplat: Runner) -> None:
    for words in ([], ["--pareto", "--best", "accuracy"]):
        result = nasplat("export", "flowers", *words)
        assert result.code == 2
        assert "--best" in result.err and "--pareto" in result.err and "--arch" in result.err


@pytest.mark.parametrize(
    ("choice", "code", "said"),
    [
        (("--best", "acuracy"), 2, "unknown metric 'acuracy'"),
        (("--best", "accuracy where latency_ms<<1"), 2, "cannot be read"),
        (("--best", "accuracy where latency_ms<=0.1"), 3, "latency_ms goes from 0.3 to 1.4"),
        (("--arch", "g1:zzzz"), 3, "begins with 'g1:zzzz'"),
    ],
)
def test_a_choice_that_names_nothing_is_explained(
    nasplat: Runner, choice: tuple[str, str], code: int, said: str
) -> None:
    result = nasplat("export", "flowers", *choice)
    assert result.code == code, result.err
    assert said in result.err


def test_a_folder_that_exists_is_refused_before_anything_is_trained(
    nasplat: Runner, tmp_path: Path
) -> None:
    out = tmp_path / "my_model"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    result = nasplat("export", "flowers", "--best", "accuracy", "--out", str(out))
    assert result.code == 2
    assert f"{out} exists already" in result.err and "--overwrite" in result.err
    assert "training" not in result.err
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_a_folder_that_is_no_export_is_refused(nasplat: Runner, tmp_path: Path) -> None:
    result = nasplat("verify", str(tmp_path))
    assert result.code == 2
    assert "is no export" in result.err
