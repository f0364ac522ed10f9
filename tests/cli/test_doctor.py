"""What `nasplat doctor` finds."""

from __future__ import annotations

import json

import pytest

from nasplat.cli import doctor
from tests.cli.conftest import Runner


def test_a_sound_installation_is_all_ok(nasplat: Runner, storage: str) -> None:
    result = nasplat("doctor", "--format", "json")
    rows = {row["check"]: row for row in json.loads(result.out)}
    assert result.code == 0, result.out
    assert {"nasplat", "torch", "ray", "cpu", "gpu", "content", "workers", "disk"} <= set(rows)
    assert "1 studies" in rows["storage"]["found"]


def test_no_database_yet_is_nothing_amiss(nasplat: Runner) -> None:
    assert "made by the first search" in nasplat("doctor").out


def test_what_is_amiss_is_marked_and_is_exit_code_1(
    nasplat: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_LEAST_FREE_BYTES", 1e18)
    result = nasplat("doctor", "--format", "json")
    assert result.code == 1
    assert [row["check"] for row in json.loads(result.out) if not row["ok"]] == ["disk"]
