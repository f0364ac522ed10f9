"""A real PostgreSQL for the tests: one server for the session, one schema for each test."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier


def _binaries() -> Path | None:
    """The folder of initdb and pg_ctl: on the path, or Debian's newest."""
    found = shutil.which("initdb")
    if found and Path(found).with_name("pg_ctl").exists():
        return Path(found).parent
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda file: int(file.parent.parent.name),
    )
    return versions[-1].parent if versions else None


def _as_server() -> list[str]:
    """PostgreSQL refuses to run as root: become the user that its package made."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The folder of the unix socket of a running server."""
    binaries = _binaries()
    if binaries is None:
        message = "no PostgreSQL server found (initdb, pg_ctl): apt-get install postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    # a short path: that of a socket has at most 107 bytes
    folder = Path(tempfile.mkdtemp(prefix="nasplat-pg-"))
    become = _as_server()
    if become:
        folder.chmod(0o777)
    data, log = folder / "data", folder / "log"
    subprocess.run(
        [
            *(*become, str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "nasplat"),
            *("--no-sync", "--encoding=UTF8", "--locale=C"),
        ],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=60"
    control = [*become, str(binaries / "pg_ctl"), "-D", str(data), "-w"]
    subprocess.run(
        [*control, "-l", str(log), "-o", options, "start"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        yield str(folder)
    finally:
        subprocess.run(
            [*control, "-m", "immediate", "stop"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty schema of its own; many times faster to make than a database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = f"host={postgres_server} user=nasplat dbname=postgres"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
    where = f"host={postgres_server}&options=-csearch_path%3D{name}"
    yield f"postgresql+psycopg://nasplat@/postgres?{where}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(name)))
