"""Turns the errors of SQLAlchemy and its drivers into nasplat's own, each with the next step."""

from __future__ import annotations

from sqlalchemy import exc

from nasplat.errors import StoreError
from nasplat.store.url import Location

_RULES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("database is locked", "database table is locked", "lock timeout", "lock_not_available"),
        "another writer kept the database locked for longer than the store waits",
        "End the other process (nasplat stop STUDY), or let several writers share a PostgreSQL: "
        "--storage postgresql+psycopg://USER@HOST/NAME",
    ),
    (
        ("disk is full", "no space left", "diskfull", "could not extend file", "disk i/o error"),
        "the disk of the database is full or failing; what was committed is kept",
        "Free some space and continue with: nasplat resume STUDY",
    ),
    (
        ("readonly database", "read-only transaction", "read only transaction"),
        "the database is read-only here",
        "It can still be queried; to write, make the file and its folder writable or copy it",
    ),
    (
        ("permission denied for", "must be owner"),
        "this database user may not do that",
        "Grant the user the right to create and write tables in the schema, or use another URL",
    ),
    (
        ("not a database", "malformed", "file is encrypted"),
        "the file is damaged or no SQLite database",
        "See what is left with: nasplat db check; or restore a copy",
    ),
    (
        ("unable to open database file",),
        "the database file cannot be opened",
        "Check that its folder exists and that you may write in it",
    ),
    (
        ("password authentication failed", "no password supplied", "does not exist"),
        "the database server refused the connection",
        "Check user, password and name of the database in --storage or NASPLAT_STORAGE",
    ),
    (
        (
            "connection refused",
            "connection failed",
            "could not connect",
            "connection timeout",
            "server closed the connection",
            "terminating connection",
            "failed to resolve host",
            "the connection is closed",
            "consuming input failed",
        ),
        "the database server cannot be reached",
        "Check host and port in --storage or NASPLAT_STORAGE and that the server runs; "
        "what was committed is kept: nasplat resume STUDY",
    ),
    (
        ("foreign key constraint", "foreignkeyviolation"),
        "a row refers to something that is not stored",
        "Store the device or architecture first: put_device, add_architectures",
    ),
    (
        ("value too long", "stringdatarighttruncation"),
        "a name, word or digest is longer than its column",
        "Use a shorter one; the lengths are at the top of nasplat/store/schema.py",
    ),
    (
        ("no such table", "no such column", "undefined table"),
        "the database lacks a table that this nasplat needs",
        "See what differs with: nasplat db check",
    ),
)


def reason(error: BaseException, location: Location) -> str:
    """What the driver said, on one line, without SQL, parameters and password."""
    origin = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    text = " ".join(str(origin).split()) or type(origin).__name__
    if location.password:
        text = text.replace(location.password, "***")
    return text


def translate(error: BaseException, location: Location) -> StoreError:
    """Make the StoreError that explains an error of SQLAlchemy or of a driver."""
    said = reason(error, location)
    probe = f"{said} {type(getattr(error, 'orig', error)).__name__}".lower()
    for signs, meaning, hint in _RULES:
        if any(sign in probe for sign in signs):
            return StoreError(f"{location.shown}: {meaning} ({said})", hint=hint)
    return StoreError(
        f"{location.shown}: the database refused ({said})",
        hint="Check it with: nasplat db check",
    )
