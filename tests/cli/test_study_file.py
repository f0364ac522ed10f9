"""Settings from a file and from options."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplat.cli.study_file import merged
from nasplat.errors import UsageError

NAMES = (
    "space task budget study objective constraint strategy option seed workers executor epochs "
    "min_epochs eta final_epochs device ops storage"
)
OPTIONS = dict.fromkeys(NAMES.split())


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    return file


def test_options_go_before_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "space: hybrid-vit\nbudget: 8gpu-h\nseed: 3\nobjective: accuracy:max\n")
    assert merged(file, {**OPTIONS, "budget": "10min"}) == {
        "space": "hybrid-vit",
        "budget": "10min",
        "seed": 3,
        "objectives": ["accuracy:max"],
    }


def test_names_may_be_written_with_dashes_and_hold_mappings(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "space: a\nbudget: 5trials\nstudy: 2024\nmin-epochs: 1\n"
        "recipe: {lr: 0.003}\noption: {pool: 10}\n",
    )
    found = merged(file, OPTIONS)
    assert found["min_epochs"] == 1
    assert found["recipe"] == {"lr": 0.003}
    assert found["options"] == {"pool": 10}
    assert found["name"] == "2024"


def test_options_of_the_strategy_are_read_as_json_where_they_are() -> None:
    given = {**OPTIONS, "space": "a", "budget": "1h", "option": ["pool=10", "kernel=matern"]}
    assert merged(None, given)["options"] == {"pool": 10, "kernel": "matern"}


def test_all_unknown_settings_are_named_with_what_was_meant(tmp_path: Path) -> None:
    file = write(tmp_path, "space: a\nbugdet: 1h\nobjectvie: x\n")
    with pytest.raises(UsageError, match=r"bugdet \(meant budget\?\), objectvie \(meant objective"):
        merged(file, OPTIONS)


def test_everything_that_is_missing_is_named() -> None:
    with pytest.raises(UsageError, match="--space and --budget"):
        merged(None, OPTIONS)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "just words"])
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"study\.yaml"):
        merged(write(tmp_path, text), OPTIONS)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        merged(tmp_path / "none.yaml", OPTIONS)
