"""Scaffolds: each passes its own check."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Runner


def test_a_new_space_passes_its_check(nasplat: Runner, tmp_path: Path) -> None:
    file = tmp_path / "my_space.py"
    assert nasplat("new", "space", str(file)).out.strip() == str(file)
    result = nasplat("space", "check", str(file), "--task", "digits", "--format", "json")
    assert result.code == 0
    record = json.loads(result.out)
    assert record["ok"] and record["space"] == "my-space" and record["size"] > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["op", "task"])
def test_a_new_op_and_a_new_task_pass_their_conformance_test(
    nasplat: Runner, tmp_path: Path, kind: str
) -> None:
    assert nasplat("new", kind, str(tmp_path / f"my_{kind}.py")).code == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"test_my_{kind}.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout


def test_a_new_op_is_used_from_a_space_file_beside_it(nasplat: Runner, tmp_path: Path) -> None:
    nasplat("new", "op", str(tmp_path / "strip_conv.py"))
    nasplat("new", "space", str(tmp_path / "my_space.py"))
    space = tmp_path / "my_space.py"
    text = space.read_text().replace(
        "from nasplat.ops.conv", "from strip_conv import StripConv\n\nfrom nasplat.ops.conv"
    )
    space.write_text(text.replace("pool=PoolMixer()", "strip=StripConv()"))
    assert nasplat("space", "check", str(space)).code == 0


def test_a_new_task_is_loaded_by_its_path(nasplat: Runner, tmp_path: Path) -> None:
    nasplat("new", "task", str(tmp_path / "corners.py"))
    task = f"{tmp_path / 'corners.py'}?count=200"
    assert nasplat("space", "size", "nasbench201", "--task", task).out.strip() == "15625"


def test_nothing_is_overwritten_and_nothing_half_written(nasplat: Runner, tmp_path: Path) -> None:
    (tmp_path / "test_my_op.py").write_text("mine")
    result = nasplat("new", "op", str(tmp_path / "my_op.py"))
    assert result.code == 2
    assert "exists already" in result.err
    assert not (tmp_path / "my_op.py").exists()
    assert (tmp_path / "test_my_op.py").read_text() == "mine"


@pytest.mark.parametrize("name", ["my-space.py", "space.txt", "2nd.py"])
def test_a_name_that_is_no_module_is_refused(nasplat: Runner, tmp_path: Path, name: str) -> None:
    result = nasplat("new", "space", str(tmp_path / name))
    assert result.code == 2
    assert "cannot be a Python module" in result.err


def test_a_missing_folder_is_refused(nasplat: Runner, tmp_path: Path) -> None:
    result = nasplat("new", "space", str(tmp_path / "no" / "my_space.py"))
    assert result.code == 2
    assert "does not exist" in result.err
