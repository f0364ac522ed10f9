"""The verbs about the database itself, and databases that cannot be used."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Runner


def file_of(storage: str) -> Path:
    return Path(storage.removeprefix("sqlite:///"))


def test_path_prints_the_url_that_is_used(nasplat: Runner, storage: str) -> None:
    assert nasplat("db", "path").out.strip() == storage
    record = json.loads(nasplat("db", "path", "--format", "json").out)
    assert record == {"storage": storage, "file": str(file_of(storage))}


def test_a_password_is_hidden(nasplat: Runner) -> None:
    url = "postgresql+psycopg://me:secret@host/results"
    out = nasplat("db", "path", "--storage", url).out
    assert "secret" not in out and "me:***@host" in out


def test_a_sound_database_is_ok_and_up_to_date(nasplat: Runner, storage: str) -> None:
    assert nasplat("db", "check").out.startswith("ok")
    record = json.loads(nasplat("db", "upgrade", "--format", "json").out)
    assert record["before"] == record["after"]


def test_a_database_with_a_wrong_ledger_is_told(nasplat: Runner, storage: str) -> None:
    with sqlite3.connect(file_of(storage)) as connection:
        connection.execute("update ledger_entry set used_micros = used_micros + 1000000")
    result = nasplat("db", "check", "--format", "json")
    assert result.code == 1
    assert json.loads(result.out)["problems"]


@pytest.mark.parametrize("verb", [["studies"], ["status"], ["search", "--budget", "1trials"]])
def test_a_newer_schema_is_refused_and_left_alone(
    nasplat: Runner, storage: str, verb: list[str]
) -> None:
    with sqlite3.connect(file_of(storage)) as connection:
        connection.execute("update nasplat_version set version_num = '9999'")
    before = file_of(storage).read_bytes()
    words = [*verb, "--space", "nasbench201"] if verb[0] == "search" else verb
    result = nasplat(*words)
    assert result.code == 1
    assert "newer than" in result.err and "9999" in result.err
    assert file_of(storage).read_bytes() == before


def test_a_file_that_is_no_database_is_explained(nasplat: Runner, tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are my notes, " * 100)
    result = nasplat("studies", "--storage", f"sqlite:///{file}")
    assert result.code == 1
    assert "no SQLite database" in result.err


def test_a_storage_that_is_no_url_is_wrong_usage(nasplat: Runner) -> None:
    result = nasplat("studies", "--storage", "results.db")
    assert result.code == 2
    assert "sqlite:///" in result.err
