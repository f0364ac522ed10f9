"""Opening a store: versions, migrations, what goes wrong with files and servers."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import Connection

from nasplat import content
from nasplat.errors import NotFoundError, StoreError, UsageError
from nasplat.store import migrate
from nasplat.store import store as store_module
from nasplat.store.records import Lease, NewReport
from nasplat.store.schema import HEAD, Base
from nasplat.store.store import NetworkStorageWarning, Store
from nasplat.store.views import drop_views
from nasplat.testing.store_given import make_study, make_trials


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/results.db"
    else:
        yield request.getfixturevalue("postgres_url")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with the study ``demo`` of one trial."""
    file = tmp_path / "results.db"
    with Store.open(f"sqlite:///{file}") as store:
        store.create_study(make_study())
        store.add_trials("demo", make_trials(1), lease=Lease("w"))
        store.report("demo", 0, NewReport(1, {"accuracy": 0.5}, 1.0))
    return file


def set_version(url: str, version: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '{version}'")
    engine.dispose()


def shape(connection: Connection) -> dict[str, object]:
    """Everything that a database says of its tables and views."""
    inspector = inspect(connection)
    found: dict[str, object] = {}
    for table in inspector.get_table_names():
        found[table] = (
            [
                {**column, "type": str(column["type"]), "comment": None}
                for column in inspector.get_columns(table)
            ],
            inspector.get_pk_constraint(table),
            sorted(inspector.get_foreign_keys(table), key=str),
            sorted(inspector.get_unique_constraints(table), key=str),
            sorted(inspector.get_indexes(table), key=str),
        )
    for view in inspector.get_view_names():
        found[view] = inspector.get_view_definition(view)
    return found


# versions and migrations


def test_a_fresh_database_equals_one_that_the_migrations_made(
    url: str, postgres_server: str, tmp_path: Path
) -> None:
    with Store.open(url) as store, store.engine.connect() as connection:
        fresh = shape(connection)
        if store.postgresql:
            connection.rollback()
            schema = inspect(connection).default_schema_name
            connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
            connection.commit()
    engine = create_engine(url if "postgresql" in url else f"sqlite:///{tmp_path}/migrated.db")
    with engine.begin() as connection:
        migrate.upgrade(connection)
        migrated = shape(connection)
        assert migrate.stored_version(connection) == HEAD
        assert migrate.differences(connection) == []
    engine.dispose()
    assert set(fresh) > {*Base.metadata.tables, "trials", "front"}
    assert fresh == migrated


def test_the_models_are_at_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(content.path("db")))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_the_first_migration_can_be_taken_back(tmp_path: Path) -> None:
    from alembic import command

    engine = create_engine(f"sqlite:///{tmp_path}/results.db")
    with engine.begin() as connection:
        migrate.upgrade(connection)
        drop_views(connection)
        command.downgrade(migrate._config(connection), "base")
        assert inspect(connection).get_table_names() == [migrate.VERSION_TABLE]
    engine.dispose()


def test_a_newer_schema_is_refused_and_both_versions_are_named(url: str) -> None:
    Store.open(url).close()
    set_version(url, "0007")
    with pytest.raises(StoreError, match=f"has schema 0007, newer than {HEAD}"):
        Store.open(url)
    with Store.open(url, any_version=True) as store:
        assert store.version() == "0007"
        assert store.check() == [f"the schema is 0007, this nasplat needs {HEAD}"]
        with pytest.raises(StoreError, match="newer"):
            store.upgrade()


def test_an_older_schema_is_upgraded_only_when_asked(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(url) as store:
        store.create_study(make_study())
        store.add_trials("demo", make_trials(2), lease=Lease("w"))
        store.report("demo", 0, NewReport(1, {"accuracy": 0.5}, 1.0))
    # the next release: one more migration, which rebuilds a table that others refer to
    shutil.copytree(content.path("db"), tmp_path / "db")
    (tmp_path / "db" / "versions" / "0002_next.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision = '0002'\ndown_revision = '0001'\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('architecture', recreate='auto') as table:\n"
        "        table.add_column(sa.Column('family', sa.String(24)))\n"
        "        table.alter_column('graph', nullable=True)\n"
    )
    monkeypatch.setattr(content, "path", lambda folder: tmp_path / folder)
    monkeypatch.setattr(migrate, "HEAD", "0002")
    monkeypatch.setattr(store_module, "HEAD", "0002")
    with pytest.raises(StoreError, match="has schema 0001, this nasplat needs 0002") as caught:
        Store.open(url)
    assert "nasplat db upgrade" in caught.value.hint
    with Store.open(url, any_version=True) as store:
        assert store.upgrade() == ("0001", "0002")
    with Store.open(url) as store:
        with store.engine.connect() as connection:
            columns = [column["name"] for column in inspect(connection).get_columns("architecture")]
        assert "family" in columns
        assert [trial.number for trial in store.trials("demo")] == [0, 1]
        assert store.query("select accuracy from trials where number = 0").iloc[0, 0] == 0.5


def test_a_migration_that_fails_changes_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(url) as store:
        store.create_study(make_study())
    shutil.copytree(content.path("db"), tmp_path / "db")
    (tmp_path / "db" / "versions" / "0002_broken.py").write_text(
        "from alembic import op\nrevision = '0002'\ndown_revision = '0001'\n"
        "def upgrade():\n"
        "    op.drop_table('event')\n    op.execute('SELECT * FROM nowhere')\n"
    )
    monkeypatch.setattr(content, "path", lambda folder: tmp_path / folder)
    monkeypatch.setattr(store_module, "HEAD", "0002")
    with Store.open(url) as store, pytest.raises(StoreError):
        store.upgrade()
    monkeypatch.undo()
    with Store.open(url) as store:
        assert store.check() == [] and len(store.studies()) == 1


def test_alembic_alone_is_sent_to_nasplat(tmp_path: Path) -> None:
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(content.path("db")))
    with pytest.raises(UsageError, match="nasplat db upgrade"):
        command.upgrade(config, "head")


# what is there already, or is not


def test_a_missing_database_is_made_with_its_folder_or_not_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/some/where/results.db"
    with pytest.raises(NotFoundError, match="there is no database at"):
        Store.open(url, create=False)
    assert not (tmp_path / "some").exists()
    Store.open(url).close()
    Store.open(url, create=False).close()


def test_an_empty_database_is_not_made_a_store_unasked(postgres_url: str) -> None:
    with pytest.raises(NotFoundError, match="holds no results yet"):
        Store.open(postgres_url, create=False)


def test_the_database_of_something_else_is_left_alone(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE trials (mine integer)")
    with pytest.raises(StoreError, match="database of something else: it has trials"):
        Store.open(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["trials"]
    engine.dispose()


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        Store.open(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database at all, but rather long\n" * 40)
    with pytest.raises(StoreError, match=r"notes\.txt: the file is damaged or no SQLite database"):
        Store.open(f"sqlite:///{tmp_path}/notes.txt")


def test_check_finds_what_is_missing_or_does_not_add_up(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("DROP VIEW front")
        connection.execute("DROP INDEX ix_event_study_id_kind")
        connection.execute("UPDATE trial SET device_micros = 5000000")
        connection.execute("DELETE FROM space")
    connection.close()
    with Store.open(f"sqlite:///{file}") as store:
        problems = "\n".join(store.check())
    assert "the view front is missing" in problems
    assert "ix_event_study_id_kind" in problems
    assert "trial 0 of 'demo' took 5.0 device seconds, its ledger says 1.0" in problems
    assert "of study refers to a row that space lacks" in problems


# URLs


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "not a database URL"),
        ("results.db", "not a database URL"),
        ("oracle://u:geheim@host/x", "oracle://u:\\*\\*\\*@host/x is not supported"),
        ("mysql+pymysql://u:geheim@host/x", "is not supported"),
        ("nosuch://u:geheim@host/x", "database URL|not supported"),
        ("sqlite://results.db", "names no file"),
        ("postgresql://u:geheim@host", "names no database"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        Store.open(url)
    assert "geheim" not in str(caught.value)
    assert "sqlite:///" in str(caught.value)


def test_a_server_that_cannot_be_reached_is_named_without_the_password() -> None:
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        Store.open("postgresql://someone:geheim@127.0.0.1:1/results")
    assert "geheim" not in str(caught.value)
    assert "postgresql+psycopg://someone:***@127.0.0.1:1/results" in str(caught.value)


def test_a_refused_user_or_database_is_explained(postgres_server: str) -> None:
    with pytest.raises(StoreError, match=r"refused the connection.*does not exist"):
        Store.open(f"postgresql://nasplat@/nowhere?host={postgres_server}")


# files that cannot be written


@contextmanager
def as_nobody() -> Iterator[None]:
    """Permissions do not hold root back: be somebody else where needed."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only_file(file: Path) -> Iterator[Path]:
    """The database in a folder that everybody may read and nobody write."""
    folder = Path(tempfile.mkdtemp(prefix="nasplat-ro-"))
    copy = folder / "results.db"
    shutil.copy(file, copy)
    copy.chmod(0o444)
    folder.chmod(0o555)
    yield copy
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_database_can_be_queried_and_says_so_when_written(
    read_only_file: Path,
) -> None:
    with as_nobody(), Store.open(f"sqlite:///{read_only_file}") as store:
        assert store.read_only
        assert store.study("demo").name == "demo"
        assert store.query("select accuracy from trials").iloc[0, 0] == 0.5
        assert store.check() == []
        with pytest.raises(StoreError, match="is read-only here: it can be queried, not written"):
            store.add_trials("demo", make_trials(1))
        with pytest.raises(StoreError, match="read-only"), store.batch(every_seconds=1):
            store.finish("demo", 0)
    assert [path.name for path in read_only_file.parent.iterdir()] == ["results.db"]


def test_a_folder_that_cannot_be_made_is_named(read_only_file: Path) -> None:
    with as_nobody(), pytest.raises(StoreError, match="its folder cannot be made"):
        Store.open(f"sqlite:///{read_only_file.parent}/new/results.db")
    with as_nobody(), pytest.raises(StoreError, match="cannot be opened"):
        Store.open(f"sqlite:///{read_only_file.parent}/new.db")


def test_a_full_disk_is_explained_and_nothing_committed_is_lost(file: Path) -> None:
    with Store.open(f"sqlite:///{file}") as store:
        with store.engine.connect() as connection:
            # SQLite reports a limit on pages exactly as it reports a full disk
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StoreError, match="the disk of the database is full") as caught:
            store.add_trials("demo", make_trials(2000))
        assert "nasplat resume" in caught.value.hint
        with (
            pytest.raises(StoreError, match="ended a transaction after an error"),
            store.batch(every_seconds=60),
        ):
            for start in range(1, 4000, 100):
                with suppress(StoreError):
                    store.add_trials("demo", make_trials(100, start))
        assert [trial.number for trial in store.trials("demo")] == [0]
        assert store.check() == []


def test_a_locked_database_is_explained(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasplat.store.engine.BUSY_SECONDS", 0.1)
    with Store.open(f"sqlite:///{file}") as store:
        blocker = sqlite3.connect(file, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another writer kept the database locked") as caught:
            store.add_trials("demo", make_trials(1))
        assert "postgresql+psycopg://" in caught.value.hint
        with (
            pytest.raises(StoreError, match="another writer kept the database locked"),
            store.batch(every_seconds=1),
        ):
            store.add_trials("demo", make_trials(1))
        assert len(store.trials("demo")) == 1  # reading goes on
        blocker.execute("ROLLBACK")
        blocker.close()
        assert store.add_trials("demo", make_trials(1)) == [1]


def test_a_lost_server_is_explained_and_the_handle_recovers(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        store.create_study(make_study())
        with store._write() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with (
            pytest.raises(StoreError, match="cannot be reached"),
            store._write() as connection,
            psycopg.connect(postgres_url.replace("+psycopg", "")) as other,
        ):
            assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() == pid
            other.execute("SELECT pg_terminate_backend(%s)", [pid])
            connection.exec_driver_sql("SELECT 1")
        assert store.add_trials("demo", make_trials(1)) == [0]


def test_a_file_on_a_network_file_system_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nasplat.store.store.network_type", lambda file: "nfs4")
    with pytest.warns(NetworkStorageWarning, match=r"network file system \(nfs4\).*To silence"):
        Store.open(f"sqlite:///{tmp_path}/results.db").close()
