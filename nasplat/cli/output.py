"""Where the command line writes: results to stdout, everything else to stderr."""

from __future__ import annotations

import sys

_quiet = False


def be_quiet(quiet: bool) -> None:
    """Leave out notes and progress from now on, or show them again."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether notes and progress are left out."""
    return _quiet


def line(text: str) -> None:
    """Print a result."""
    print(text, file=sys.stdout)


def note(text: str) -> None:
    """Tell the person at the terminal something that is no result."""
    if not _quiet:
        print(text, file=sys.stderr, flush=True)


def error(message: str, hint: str = "") -> None:
    """Print an error and, indented below it, the next step."""
    print(f"error: {_indented(message)}", file=sys.stderr)
    if hint:
        print(f"       {_indented(hint)}", file=sys.stderr, flush=True)


def _indented(text: str) -> str:
    return "\n       ".join(text.splitlines())
