"""Numbers as people read them: 61.2 k, 3.1e18, 2 h 30 min. Knows no table and no study."""

from __future__ import annotations

from datetime import UTC, datetime

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
COUNTED = ("params", "macs", "flops")
"""Costs that are counts and read best with a prefix."""


def count(value: float) -> str:
    """A count with three digits and a prefix: ``61.2 k``, ``4.1 G``, ``512``."""
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * 0.9995:
            return f"{_digits(value / factor)} {prefix}"
    return _digits(value)


def _digits(value: float) -> str:
    if float(value).is_integer() and abs(value) < 1000:
        return str(int(value))
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{decimals}f}"


def memory(value: float) -> str:
    """Bytes: ``61.2 kB``, ``512 B``."""
    number, _, prefix = count(value).partition(" ")
    return f"{number} {prefix}B"


def size(value: int) -> str:
    """The number of candidates of a space, exact below a million: ``15,625``, ``3.1e18``."""
    if value < 1_000_000:
        return f"{value:,}"
    exponent = len(str(value)) - 1
    tenths = round(value / 10 ** (exponent - 1)) if exponent < 300 else int(str(value)[:2])
    if tenths == 100:
        tenths, exponent = 10, exponent + 1
    return f"{tenths / 10:.1f}e{exponent}"


def duration(seconds: float) -> str:
    """A stretch of time: ``0.8 s``, ``45 s``, ``12 min``, ``2 h 30 min``, ``3 d 4 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def when(epoch: float | None) -> str | None:
    """A time in ISO 8601 with its zone, in whole seconds UTC: ``2026-11-21T05:40:00Z``."""
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def short(digest: str) -> str:
    """A digest as tables show it: its version and eight digits, ``g1:7f3a91c2``."""
    version, colon, digits = digest.partition(":")
    return version + colon + digits[:8] if colon else digest[:8]


def value(name: str, number: float) -> str:
    """A metric or cost in the form that suits its name."""
    if name in COUNTED:
        return count(number)
    if name.endswith("_bytes"):
        return memory(number)
    if float(number).is_integer() and abs(number) < 1e6:
        return str(int(number))
    if abs(number) < 1e-3:
        return f"{number:.2e}"
    return (
        f"{number:.4f}"
        if abs(number) < 1
        else f"{number:.3f}"
        if abs(number) < 100
        else f"{number:.1f}"
    )
