"""Temporary folders go with their run, or with the next one when the run was killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nasplat.execute import folder
from nasplat.execute.folder import sweep, temporary_folder


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folder, "_ROOT", tmp_path)
    return tmp_path


def age(path: Path) -> None:
    os.utime(path, (0, 0))


def test_a_folder_goes_with_its_run_also_after_an_error(root: Path) -> None:
    with pytest.raises(RuntimeError), temporary_folder() as made:
        (made / "file").touch()
        raise RuntimeError
    assert list(root.iterdir()) == []


def test_what_a_killed_run_left_is_removed_by_the_next(root: Path) -> None:
    left = root / "nasplat-1-left"
    left.mkdir()
    (left / ".lock").touch()
    age(left)
    with temporary_folder():
        assert not left.exists()


def test_a_folder_in_use_and_a_young_one_stay(root: Path) -> None:
    with temporary_folder() as used:
        age(used)
        young = root / "nasplat-1-young"
        young.mkdir()
        (young / ".lock").touch()
        assert sweep() == []
        assert used.exists() and young.exists()


def test_folders_that_are_not_ours_stay(root: Path) -> None:
    other = root / "nasplat-notes"
    other.mkdir()
    age(other)
    assert sweep() == []
    assert other.exists()
