"""Checkpoints: whole or not there, also when the disk is full."""

from __future__ import annotations

import multiprocessing
import resource
from pathlib import Path

import pytest
import torch

from nasplat.errors import Failure, TrialFailure
from nasplat.evaluate.checkpoint import STATE, TENSORS, read_checkpoint, write_checkpoint

SMALL = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3, dtype=torch.int64)}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "new" / "one", SMALL, {"epoch": 3, "list": [1, None]})
    found = read_checkpoint(tmp_path / "new" / "one")
    assert found is not None
    tensors, state = found
    assert state == {"epoch": 3, "list": [1, None]}
    assert all(torch.equal(tensors[name], value) for name, value in SMALL.items())


def test_an_older_one_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for epoch in (1, 2):
        write_checkpoint(tmp_path / "one", SMALL, {"epoch": epoch})
    found = read_checkpoint(tmp_path / "one")
    assert found is not None and found[1] == {"epoch": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize("damaged", [TENSORS, STATE])
def test_a_damaged_one_counts_as_missing(tmp_path: Path, damaged: str) -> None:
    write_checkpoint(tmp_path / "one", SMALL, {"epoch": 1})
    data = (tmp_path / "one" / damaged).read_bytes()
    (tmp_path / "one" / damaged).write_bytes(data[: len(data) // 2])
    assert read_checkpoint(tmp_path / "one") is None
    assert read_checkpoint(tmp_path / "two") is None


def _write_until_full(folder: str, results: multiprocessing.Queue[tuple[str, str]]) -> None:
    """In a process of its own: no file may grow beyond 64 KiB, as on a disk that is full."""
    torch.set_num_threads(1)
    path = Path(folder)
    write_checkpoint(path / "first", SMALL, {"epoch": 1})
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
    try:
        write_checkpoint(path / "second", {"a": torch.zeros(100_000)}, {"epoch": 2})
    except TrialFailure as failure:
        results.put((failure.failure, failure.message))
    else:
        results.put(("nothing", ""))


def test_a_full_disk_is_a_failure_and_earlier_ones_stay(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[str, str]] = context.Queue()
    process = context.Process(target=_write_until_full, args=(str(tmp_path), results))
    process.start()
    failure, message = results.get(timeout=60)
    process.join()
    assert failure == Failure.LOST
    assert "second (400,0" in message and "cannot be written: File too large" in message
    found = read_checkpoint(tmp_path / "first")
    assert found is not None and found[1] == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


def test_a_folder_that_cannot_be_made_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        TrialFailure, match=r"cannot be written: (Not a directory|File exists)"
    ) as met:
        write_checkpoint(tmp_path / "file" / "one", SMALL, {})
    assert met.value.failure is Failure.LOST
