"""Where the command line writes: results to stdout, everything else to stderr."""

from __future__ import annotations

import os
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
    """Print a result; a reader that has seen enough, such as ``head``, is no error."""
    try:
        print(text, file=sys.stdout, flush=True)
    except BrokenPipeError:
        # Whatever else is printed goes nowhere, the flush at exit included.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
