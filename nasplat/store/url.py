"""Storage URLs: which database is meant, where its file is, how to print it without the password.

``sqlite:///runs/nasplat.db``, ``memory://`` (this handle only), ``postgresql+psycopg://user@host/name``.
Opens nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from nasplat.errors import UsageError

_FORMS = "sqlite:///FILE, memory:// or postgresql+psycopg://USER@HOST/NAME"
_NETWORK = frozenset(
    (
        *("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs"),
        *("lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs"),
    )
)
_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.bindfs"})


@dataclass(frozen=True)
class Location:
    """Where a store is.

    Args:
        kind: ``sqlite``, ``memory`` or ``postgresql``.
        url: The full URL, password included; never printed.
        file: Absolute path of the SQLite file, else None.
    """

    kind: str
    url: str
    file: Path | None = None

    @property
    def shown(self) -> str:
        """The URL with its password hidden."""
        if self.kind == "memory":
            return "memory://"
        return make_url(self.url).render_as_string(hide_password=True)

    @property
    def password(self) -> str | None:
        """The password of the URL, to be kept out of messages."""
        return None if self.kind == "memory" else make_url(self.url).password


def parse(url: str) -> Location:
    """Read a storage URL.

    Raises:
        UsageError: Not a URL of a supported database.
    """
    if url in ("memory://", "sqlite://", "sqlite:///:memory:"):
        return Location("memory", "memory://")
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        # the text itself may hold a password, so it is not repeated
        raise UsageError(f"the storage is not a database URL; expected {_FORMS}") from error
    if backend == "sqlite":
        return _sqlite(parsed)
    if backend in ("postgresql", "postgres"):
        if not parsed.database:
            raise UsageError(
                f"the storage {parsed.render_as_string()} names no database; expected {_FORMS}"
            )
        parsed = parsed.set(drivername="postgresql+psycopg")
        return Location("postgresql", parsed.render_as_string(hide_password=False))
    raise UsageError(f"the storage {parsed.render_as_string()} is not supported; expected {_FORMS}")


def _sqlite(parsed: URL) -> Location:
    if not parsed.database or parsed.query or parsed.host:
        raise UsageError(
            f"the storage {parsed.render_as_string()} names no file",
            hint="A relative path has three slashes (sqlite:///runs/nasplat.db), an absolute four.",
        )
    file = Path(parsed.database).expanduser().absolute()
    return Location("sqlite", f"sqlite:///{file}", file)


def writable(file: Path) -> bool:
    """Whether this process may write a SQLite file and the journal beside it."""
    effective = os.access in os.supports_effective_ids
    return os.access(file, os.W_OK, effective_ids=effective) and os.access(
        file.parent, os.W_OK, effective_ids=effective
    )


def network_type(file: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The type of the network file system that ``file`` is on; None on a local or unknown one."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None  # no Linux: nothing is known
    target = file.resolve()
    best, kind = -1, ""
    for line in lines:
        left, _, right = line.partition(" - ")
        mount = Path(left.split()[4].encode().decode("unicode_escape"))
        depth = len(mount.parts)
        if depth >= best and (mount == target or mount in target.parents):
            best, kind = depth, right.split()[0]
    fuse = kind.startswith("fuse.") and kind not in _LOCAL_FUSE
    return kind if fuse or kind in _NETWORK else None
