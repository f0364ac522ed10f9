"""``nasplat task list | show``: every task with its types, and one of them in full."""

from __future__ import annotations

import json
from pathlib import Path

from nasplat.tasks.load import NAMES, OWN, OWN_TYPES
from tests.cli.conftest import Runner


def test_all_tasks_are_listed_with_types_and_options(nasplat: Runner) -> None:
    rows = {row["task"]: row for row in json.loads(nasplat("task", "list", "-f", "json").out)}
    assert set(rows) == {*NAMES, *(f"PATH?kind={kind}" for kind in OWN), "openml:NAME"}
    assert set(OWN_TYPES) == {*OWN, "openml"}
    assert rows["scenes"]["types"] == "Image(1, 32, 32) -> Image(11, 32, 32)"
    assert rows["scenes"]["metric"] == "miou:max"
    assert rows["stdlib-text"]["options"]["length"] == 64
    assert all(row["about"] for row in rows.values())
    assert "digits-stream" in nasplat("task", "list").out


def test_one_task_is_shown_in_full(nasplat: Runner) -> None:
    record = json.loads(nasplat("task", "show", "scenes?count=40", "-f", "json").out)
    assert record["outputs"] == {"logits": "Image(11, 32, 32)"}
    assert record["sizes"] == {"train": 32, "validation": 4, "test": 4}
    assert record["options"]["count"] == 40
    text = nasplat("task", "show", "scenes?count=40").out
    assert "32 train, 4 validation, 4 test" in text
    assert "background, 0, 1" in text


def test_a_task_that_is_not_there_says_what_is(nasplat: Runner, tmp_path: Path) -> None:
    met = nasplat("task", "show", "scene")
    assert met.code == 2
    assert "unknown task 'scene'; known: scenes" in met.err
    (tmp_path / "a.txt").write_text("too short")
    met = nasplat("task", "show", str(tmp_path / "a.txt"))
    assert met.code == 2
    assert "too few for a window of 64" in met.err
