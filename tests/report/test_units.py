"""Numbers as people read them."""

from __future__ import annotations

import pytest

from nasplat.report import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (512, "512"),
        (61_200, "61.2 k"),
        (999_960, "1.00 M"),
        (4.1e9, "4.10 G"),
        (2e12, "2 T"),
    ],
)
def test_a_count_has_three_digits_and_a_prefix(value: float, text: str) -> None:
    assert units.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (15_625, "15,625"),
        (999_999, "999,999"),
        (3_100_000_000_000_000_000, "3.1e18"),
        (9_990_000, "1.0e7"),
        (10**400, "1.0e400"),
    ],
)
def test_the_size_of_a_space_is_exact_below_a_million(value: int, text: str) -> None:
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (45, "45 s"),
        (720, "12 min"),
        (3599, "1 h"),
        (9000, "2 h 30 min"),
        (97_200, "1 d 3 h"),
    ],
)
def test_a_duration_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


def test_a_digest_is_shortened_to_its_version_and_eight_digits() -> None:
    assert units.short("g1:7f3a91c2deadbeef") == "g1:7f3a91c2"
    assert units.short("0123456789") == "01234567"


def test_a_time_is_written_in_utc_with_its_zone() -> None:
    assert units.when(0.0) == "1970-01-01T00:00:00Z"
    assert units.when(None) is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.98765, "0.9877"),
        ("latency_ms", 0.4124, "0.4124"),
        ("difference", 3.1e-6, "3.10e-06"),
        ("params", 61_200, "61.2 k"),
        ("weight_bytes", 61_200, "61.2 kB"),
        ("number", 12, "12"),
    ],
)
def test_a_value_is_written_as_suits_its_name(name: str, value: float, text: str) -> None:
    assert units.value(name, value) == text
