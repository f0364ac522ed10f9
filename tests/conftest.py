"""What every test runs under: a storage and a home of its own, one thread, no colours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

# Before torch, onnxruntime or a Ray worker is started: tests run beside each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the studies of whoever runs it."""
    for name in ("NASPLAT_STORAGE", "NASPLAT_SEED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NASPLAT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NASPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")
