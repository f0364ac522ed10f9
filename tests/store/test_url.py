"""What a storage URL means, and which file systems are on a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplat.store.url import network_type, parse

MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /data rw - nfs4 server:/data rw
31 30 8:2 / /data/local\\040disk rw - xfs /dev/vdb rw
32 22 0:41 / /mnt/far rw - fuse.sshfs someone@far: rw
33 22 0:42 / /mnt/near rw - fuse.fuse-overlayfs overlay rw
34 22 0:43 / /home/share rw - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/var/results.db", None),
        ("/data/results.db", "nfs4"),
        ("/data/local disk/results.db", None),
        ("/datax/results.db", None),
        ("/mnt/far/deep/results.db", "fuse.sshfs"),
        ("/mnt/near/results.db", None),
        ("/home/share/results.db", "cifs"),
    ],
)
def test_the_innermost_mount_decides(tmp_path: Path, file: str, kind: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert network_type(Path(file), mounts) == kind


def test_without_a_list_of_mounts_nothing_is_claimed(tmp_path: Path) -> None:
    assert network_type(Path("/data/x.db"), tmp_path / "none") is None


def test_postgresql_always_means_psycopg_and_shows_no_password() -> None:
    for scheme in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        location = parse(f"{scheme}://me:secret@host/results")
        assert location.url == "postgresql+psycopg://me:secret@host/results"
        assert location.shown == "postgresql+psycopg://me:***@host/results"
        assert location.kind == "postgresql" and location.file is None


def test_a_sqlite_file_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse("sqlite:///results.db").file == tmp_path / "results.db"
    assert parse("sqlite:////var/results.db").file == Path("/var/results.db")


@pytest.mark.parametrize("url", ["memory://", "sqlite://", "sqlite:///:memory:"])
def test_memory_has_three_spellings(url: str) -> None:
    assert parse(url).kind == "memory"
