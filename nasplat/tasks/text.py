"""Texts for language modelling: files of one's own, and the Python standard library's own source.

``stdlib-text`` needs no download: it reads modules of the Python that runs it. Which ones is fixed, so
that all machines with one version of Python have the same text; its fingerprint is of the bytes, so that
workers with another version say that the data have changed.
"""

from __future__ import annotations

import gzip
import platform
import sysconfig
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasplat.errors import TaskError
from nasplat.tasks.language import LanguageTask

Bytes = NDArray[np.uint8]

MODULES = """
textwrap argparse bisect configparser heapq collections/__init__ json/decoder calendar contextlib csv
dataclasses datetime decimal difflib email/message enum fileinput fnmatch fractions functools gettext
glob gzip html/parser http/client inspect ipaddress json/encoder keyword locale logging/__init__ mailbox
numbers optparse os pathlib pickle platform pprint queue random reprlib sched shlex shutil socketserver
statistics string subprocess tarfile tempfile threading tokenize traceback types typing unittest/case
urllib/parse uuid warnings weakref zipfile
"""
"""In this order, as long as there are any in this Python; some are packages in newer ones."""

SUFFIXES = frozenset((".txt", ".text", ".md", ".rst", ".log", ".tex", ".html", ".xml", ".json"))
"""Endings of texts, each also with ``.gz`` behind it."""
FRACTIONS = (0.9, 0.05, 0.05)


def text(
    path: str | Path,
    *,
    length: int = 64,
    objective: str = "next",
    limit: int | None = None,
    suffix: str | None = None,
    seed: int = 0,
) -> LanguageTask:
    """Language modelling of a text, a ``.gz`` of one, or the texts of a folder.

    Args:
        path: The file or folder; files of a folder follow each other in the order of their paths.
        length: Bytes in a window: the context of a model, 2 to 65,536.
        objective: ``next`` byte, or ``masked``: hidden bytes from both sides.
        limit: Bytes that are read at most, from the beginning; None: all.
        suffix: Ending of the files of a folder that count, such as ``.py``; None: those of texts.
        seed: Which bytes are hidden follows from it.

    Raises:
        TaskError: There is no text, a file cannot be read, or it is too short.
    """
    if limit is not None and limit < 1:
        raise TaskError(f"limit must be at least 1 byte, got {limit}")
    where = Path(path).expanduser().resolve()
    files = _files(where, suffix) if where.is_dir() else [where]
    parts: list[bytes] = []
    room = limit
    for file in files:
        part = _read(file, room)
        parts.append(part)
        if room is not None:
            room -= len(part)
            if room <= 0:
                break
    joined = b"".join(parts)
    return LanguageTask(
        name=str(path),
        spec={
            "kind": "text",
            "path": str(where),
            "length": length,
            "objective": objective,
            "limit": limit,
            "suffix": suffix,
            "seed": seed,
        },
        text=np.frombuffer(joined, dtype=np.uint8),
        length=length,
        fractions=FRACTIONS,
        objective=objective,
        seed=seed,
        note=f"{len(files)} files" if where.is_dir() else "",
    )


def stdlib_text(
    *, length: int = 64, size: int = 262_144, objective: str = "next", seed: int = 0
) -> LanguageTask:
    """The source of the Python standard library, to predict byte by byte; no download.

    Args:
        length: Bytes in a window: the context of a model, 2 to 65,536.
        size: Bytes of text, 10,000 to 1,000,000.
        objective: ``next`` byte, or ``masked``: hidden bytes from both sides.
        seed: Which bytes are hidden follows from it.

    Raises:
        TaskError: An option is out of range, or this Python comes without its source.
    """
    if not 10_000 <= size <= 1_000_000:
        raise TaskError(f"size of stdlib-text must be in [10000, 1000000] bytes, got {size}")
    folder = Path(sysconfig.get_paths()["stdlib"])
    joined = bytearray()
    for name in MODULES.split():
        file = folder / f"{name}.py"
        if file.is_file():
            joined += file.read_bytes().replace(b"\r\n", b"\n")
        if len(joined) >= size:
            break
    else:
        raise TaskError(
            f"{folder} holds {len(joined):,} bytes of the source of the standard library, "
            f"{size:,} are needed",
            hint="this Python comes without its source; give a text of your own: --task FILE.txt",
        )
    version = platform.python_version()
    return LanguageTask(
        name="stdlib-text",
        spec={
            "kind": "stdlib-text",
            "length": length,
            "size": size,
            "objective": objective,
            "seed": seed,
        },
        text=np.frombuffer(bytes(joined[:size]), dtype=np.uint8),
        length=length,
        fractions=FRACTIONS,
        objective=objective,
        seed=seed,
        note=f"Python {version}",
    )


def is_text(file: Path) -> bool:
    """Whether the name of a file is that of a text."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in SUFFIXES


def _files(folder: Path, suffix: str | None) -> list[Path]:
    found = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and (is_text(file) if suffix is None else file.name.endswith(suffix))
    ]
    if not found:
        expected = suffix or ", ".join(sorted(SUFFIXES))
        raise TaskError(
            f"there are no texts in {folder}: no file ends with {expected}",
            hint="say which files count: suffix=.py",
        )
    return found


def _read(file: Path, limit: int | None) -> bytes:
    try:
        if file.suffix.lower() == ".gz":
            with gzip.open(file, "rb") as opened:
                return opened.read(-1 if limit is None else limit)
        with open(file, "rb") as plain:
            return plain.read(-1 if limit is None else limit)
    except (OSError, EOFError, zlib.error) as error:
        raise TaskError(f"{file} cannot be read: {error}") from error
