"""What every test runs under: a storage and a home of its own, one seed, one thread, no colours."""

from __future__ import annotations

import os
import random
from pathlib import Path

import hypothesis
import pytest

from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

# Before torch, onnxruntime or a Ray worker is started: tests run beside each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A verdict is that of the code: the same examples every time, on however busy a machine.
# `pytest --hypothesis-profile=default` looks for new ones.
hypothesis.settings.register_profile(
    "nasplat",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("nasplat")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What a test and its fixtures draw does not depend on which tests ran before it."""
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the studies of whoever runs it."""
    for name in ("NASPLAT_STORAGE", "NASPLAT_SEED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NASPLAT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NASPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")
