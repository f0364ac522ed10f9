"""The environment variables that nasplat reads, all of them, in one place.

    NASPLAT_STORAGE       SQLAlchemy URL of the results database
    NASPLAT_HOME          folder for runs, checkpoints and the default database
    NASPLAT_CACHE         folder for decoded data; default: nasplat/ in XDG_CACHE_HOME or ~/.cache
    NASPLAT_SEED          default seed of a study
    NASPLAT_BENCH_DATA    folder of published tables for benchmarks

An option on the command line overrides its variable.
"""

from __future__ import annotations

import os
from pathlib import Path

from nasplat.errors import UsageError

PREFIX = "NASPLAT_"
KNOWN = ("STORAGE", "HOME", "CACHE", "SEED", "BENCH_DATA")


def _read(name: str) -> str | None:
    return os.environ.get(PREFIX + name) or None


def home() -> Path:
    """The folder that holds runs and the default database: ``NASPLAT_HOME`` or ``./runs``."""
    return Path(_read("HOME") or "runs").expanduser().resolve()


def storage() -> str:
    """The URL of the results database: ``NASPLAT_STORAGE`` or a SQLite file in :func:`home`."""
    return _read("STORAGE") or f"sqlite:///{home() / 'nasplat.db'}"


def cache() -> Path:
    """The folder for what can be computed again, such as decoded images."""
    given = _read("CACHE")
    if given:
        return Path(given).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(base).expanduser() / "nasplat").resolve()


def seed() -> int:
    """The default seed of a study: ``NASPLAT_SEED`` or 0.

    Raises:
        UsageError: The variable is no whole number.
    """
    value = _read("SEED") or "0"
    try:
        return int(value)
    except ValueError as error:
        raise UsageError(f"NASPLAT_SEED must be a whole number, got {value!r}") from error


def bench_data() -> Path | None:
    """The folder of published tables of results, ``NASPLAT_BENCH_DATA``; None where it is not set."""
    given = _read("BENCH_DATA")
    return Path(given).expanduser().resolve() if given else None


def used() -> dict[str, str]:
    """The variables that are set now, recorded with a study."""
    return {PREFIX + name: os.environ[PREFIX + name] for name in KNOWN if _read(name)}
