"""Worker profiles are read strictly: a typing error is told, never skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplat import content
from nasplat.errors import UsageError
from nasplat.execute.profile import KEYS, Profile, load_profile


@pytest.mark.parametrize("name", ["laptop", "gpu", "cluster"])
def test_shipped_profiles_load(name: str) -> None:
    assert load_profile(name).name == name


def test_every_shipped_file_is_a_profile() -> None:
    assert set(content.names("workers", ".toml")) == {"laptop", "gpu", "cluster"}


def test_an_unknown_profile_lists_the_known_ones_nearest_first() -> None:
    with pytest.raises(UsageError, match="unknown worker profile 'laptob'; known: laptop"):
        load_profile("laptob")


def write(folder: Path, text: str) -> str:
    file = folder / "mine.toml"
    file.write_text(text, "utf-8")
    return str(file)


def test_a_file_of_the_users_own_is_named_after_its_stem(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path, "cpus = 2\ngpus = 0.25\n[resources]\njetson = 1\n"))
    assert (profile.name, profile.threads) == ("mine", 2)
    assert profile.request == {"CPU": 2.0, "GPU": 0.25, "jetson": 1.0}


def test_unknown_keys_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_profile(write(tmp_path, "cpu = 2\ntime_out = 5\n"))
    assert "cpu (meant cpus?), time_out (meant timeout?)" in str(caught.value)
    assert all(key in caught.value.hint for key in KEYS)


def test_wrong_values_are_all_named_at_once(tmp_path: Path) -> None:
    text = 'cpus = 0\ngpus = 1.5\ntimeout = "1h"\nconcurrent = 1.5\nheartbeat = -1\naddress = ""\n'
    with pytest.raises(UsageError) as caught:
        load_profile(write(tmp_path, text))
    for key in ("cpus", "gpus", "timeout", "concurrent", "heartbeat", "address"):
        assert f"{key} must be" in caught.value.message
    assert "mine.toml" in caught.value.message


def test_what_is_not_toml_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mine\.toml is not TOML"):
        load_profile(write(tmp_path, "cpus = = 2"))


def test_a_request_asks_only_for_what_is_wanted() -> None:
    assert Profile(name="p").request == {"CPU": 1.0}
    assert Profile(name="p", memory_gb=2).request["memory"] == 2e9
