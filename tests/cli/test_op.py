"""The verbs about operations."""

from __future__ import annotations

import json
from pathlib import Path

from nasplat.ops.table import op_table
from tests.cli.conftest import Runner


def test_every_op_is_listed_with_its_family_and_settings(nasplat: Runner) -> None:
    rows = json.loads(nasplat("op", "list", "--format", "json").out)
    assert {row["op"] for row in rows} == set(op_table())
    conv = next(row for row in rows if row["op"] == "conv")
    assert conv["family"] == "conv" and conv["settings"]["kernel"] == 3 and conv["about"]


def test_a_family_alone(nasplat: Runner) -> None:
    rows = json.loads(nasplat("op", "list", "--family", "norm", "-f", "json").out)
    assert {row["family"] for row in rows} == {"norm"}


def test_an_op_is_shown_with_its_docstring_and_defaults(nasplat: Runner) -> None:
    shown = nasplat("op", "show", "window_attention").out
    assert "Attributes:" in shown and "window = " in shown


def test_unknown_names_are_answered_with_the_nearest(nasplat: Runner) -> None:
    wrong = nasplat("op", "show", "windw_attention")
    assert wrong.code == 2 and "known: window_attention" in wrong.err
    assert nasplat("op", "list", "--family", "cnv").code == 2


def test_ops_of_a_users_file_are_listed_too(nasplat: Runner, tmp_path: Path) -> None:
    nasplat("new", "op", str(tmp_path / "my_mixer.py"))
    shown = nasplat("op", "list", "--ops", str(tmp_path / "my_mixer.py")).out
    assert "my_mixer" in shown
