"""Named queries are described completely; SQLite lets nothing but reading pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplat.errors import UsageError
from nasplat.store.query import read_named_query
from nasplat.store.store import Store

HEADER = "-- What it answers,\n-- in two lines.\n"


def test_a_header_gives_meaning_types_and_defaults(tmp_path: Path) -> None:
    file = tmp_path / "mine.sql"
    file.write_text(
        HEADER + "-- :study text -- the study\n-- :low real = 0.5 -- the least\n"
        "-- :top integer = null -- how many\n"
        "SELECT cast(:study AS varchar), :low, '10:30', x::text FROM t LIMIT :top;\n"
    )
    query = read_named_query(file)
    assert (query.name, query.meaning) == ("mine", "What it answers, in two lines.")
    assert [
        (p.name, p.kind, p.required, p.default, p.meaning) for p in query.parameters.values()
    ] == [
        ("study", "text", True, None, "the study"),
        ("low", "real", False, 0.5, "the least"),
        ("top", "integer", False, None, "how many"),
    ]
    assert query.sql.startswith("SELECT") and not query.sql.endswith(";")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        HEADER + "SELECT :study",
        HEADER + "-- :study text -- the study\nSELECT 1",
        HEADER + "-- :study string -- the study\nSELECT :study",
    ],
)
def test_a_query_that_is_not_described_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.sql").write_text(text)
    with pytest.raises(UsageError, match="describe each parameter"):
        read_named_query(tmp_path / "mine.sql")


@pytest.mark.parametrize("where", ["file", "memory"])
@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH DATABASE '{}/stolen.db' AS other",
        "VACUUM INTO '{}/stolen.db'",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA query_only = OFF",
        "CREATE TEMP TABLE mine (a integer)",
    ],
)
def test_no_statement_reaches_beyond_the_database(tmp_path: Path, where: str, sql: str) -> None:
    url = "memory://" if where == "memory" else f"sqlite:///{tmp_path}/results.db"
    with Store.open(url) as store:
        with pytest.raises(UsageError, match="only reads"):
            store.query(sql.format(tmp_path))
        assert store.query("PRAGMA table_info(trial)").shape[0] > 10
    assert not (tmp_path / "stolen.db").exists()
