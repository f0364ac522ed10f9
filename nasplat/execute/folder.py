"""Temporary folders that go with the run, and those of runs that were killed with the next one.

A folder is in use as long as its owner holds the lock in it, which ends with the process however it
ends. This module knows nothing of what is put into the folders.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "nasplat-"
# Unix sockets, which Ray makes in its folder, have paths of at most 107 bytes.
_ROOT = Path("/tmp")
_LOCK = ".lock"
_YOUNG_SECONDS = 60.0


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that is removed at the end; remove what killed runs left behind.

    Yields:
        The folder, with a short path.
    """
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=_ROOT))
    try:
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep() -> list[Path]:
    """Remove folders whose owner is gone; returns them.

    Folders younger than a minute are left alone: their owner may not have locked them yet.
    """
    removed = []
    for folder in _ROOT.glob(f"{PREFIX}*-*"):
        # What another user owns, or another run is just removing, is left to them.
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:
                continue
            with (folder / _LOCK).open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                removed.append(folder)
    return removed
