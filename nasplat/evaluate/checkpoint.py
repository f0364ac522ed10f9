"""Checkpoints as folders: ``tensors.safetensors`` and ``state.json``, whole or not there at all.

A checkpoint is written beside its place and renamed into it once it is on disk, so that a crash or
a full disk leaves the earlier ones as they were. No pickles. What the tensors mean is not known
here.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from nasplat.errors import Failure, TrialFailure

TENSORS = "tensors.safetensors"
STATE = "state.json"


def write_checkpoint(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write a checkpoint, wholly or not at all.

    Args:
        folder: Where it will be; an older one there is replaced.
        tensors: By name, no two of them in the same memory.
        state: JSON of everything else.

    Raises:
        TrialFailure: ``Failure.LOST`` when the disk is full or cannot be written; nothing is left
            behind and other checkpoints are untouched.
    """
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    part: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        _write(part / TENSORS, data)
        _write(part / STATE, json.dumps(state, sort_keys=True).encode())
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(part, folder)
        _sync_folder(folder.parent)
    except OSError as error:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
        reason = error.strerror or str(error)
        raise TrialFailure(
            Failure.LOST,
            f"the checkpoint {folder} ({len(data):,} bytes) cannot be written: {reason}",
        ) from error


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a checkpoint; None when it is not there or not whole."""
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text())
        return load_file(folder / TENSORS), state
    except (OSError, ValueError, SafetensorError):
        return None


def _write(file: Path, data: bytes) -> None:
    with open(file, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
