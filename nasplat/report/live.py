"""The progress of a running search: a live panel on a terminal, plain lines elsewhere.

Fed by a function that returns the status of a study (the JSON of ``nasplat status``), which is read
in a thread of its own, so that the search never waits for its own display.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from nasplat.errors import NasplatError
from nasplat.report import units

Status = Mapping[str, Any]
REFRESH_SECONDS = 1.0
LINE_SECONDS = 15.0
_BAR = 24


def share_used(status: Status) -> float:
    """How much of the budget is used, 0..1: of its parts the one that is spent first."""
    return _share(status, 0)


def _share(status: Status, unfinished: int) -> float:
    parts = [
        (float(part["used"]) - (unfinished if part["unit"] == "trials" else 0))
        / float(part["limit"])
        for part in status["budget"]
        if part["limit"]
    ]
    return min(1.0, max(0.0, *parts)) if parts else 0.0


def budget_text(status: Status) -> str:
    """``3.0 of 3.0 min``; several parts are joined by commas."""
    return ", ".join(_part(part) for part in status["budget"])


def _part(part: Mapping[str, Any]) -> str:
    unit, used, limit = part["unit"], float(part["used"]), float(part["limit"])
    if unit == "trials":
        return f"{used:.0f} of {limit:.0f} trials"
    if unit == "s" and limit >= 60:
        unit, seconds = ("h", 3600) if limit >= 7200 else ("min", 60)
        used, limit = used / seconds, limit / seconds
    decimals = 2 if limit < 2 else 1
    return f"{used:.{decimals}f} of {limit:.{decimals}f} {unit}"


def trials_text(status: Status) -> str:
    """``64 complete  21 stopped early  2 failed (diverged)``; states without trials are left out."""
    trials = status["trials"]
    failures = status.get("failures") or {}
    names = {"stopped": "stopped early"}
    parts = []
    for state in ("complete", "stopped", "failed", "running", "waiting"):
        number = trials.get(state, 0)
        if not number and state != "complete":
            continue
        text = f"{number} {names.get(state, state)}"
        if state == "failed" and failures:
            text += f" ({', '.join(failures)})"
        parts.append(text)
    return "  ".join(parts)


def quality_text(status: Status) -> str:
    """``front 9  hypervolume 0.871  predictor gp tau 0.71``: what is known so far."""
    parts = [f"front {len(status['front'])}"]
    if status.get("hypervolume") is not None:
        parts.append(f"hypervolume {status['hypervolume']:.3f}")
    predictor = status.get("predictor")
    if predictor and predictor.get("kendall_tau") is not None:
        parts.append(f"predictor {predictor['name']} tau {predictor['kendall_tau']:.2f}")
    return "  ".join(parts)


def bar(share: float) -> str:
    """A bar of 24 cells and the percentage."""
    filled = round(share * _BAR)
    return f"{'█' * filled}{'░' * (_BAR - filled)} {share * 100:3.0f} %"


class Progress:
    """Turns status after status into lines; remembers when the run began, to say what is left.

    Args:
        clock: Seconds, rising.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: tuple[float, float] | None = None

    def left(self, status: Status) -> float | None:
        """Seconds until the budget is used at the pace of this run; None before that is known.

        A trial that has only begun says nothing of the pace.
        """
        trials = status["trials"]
        begun = int(trials.get("running", 0)) + int(trials.get("waiting", 0))
        share, now = _share(status, begun), self._clock()
        if self._began is None:
            self._began = (now, share)
        since, before = now - self._began[0], share - self._began[1]
        return since * (1 - share) / before if before > 0.01 and since > 0 else None

    def lines(self, status: Status) -> list[str]:
        """The panel: budget, trials, quality."""
        left = self.left(status)
        ahead = f"   about {units.duration(left)} left" if left is not None and left > 1 else ""
        return [
            f"budget {budget_text(status)}  {bar(share_used(status))}{ahead}",
            f"trials {trials_text(status)}",
            quality_text(status),
        ]

    def line(self, status: Status) -> str:
        """The same on one line."""
        left = self.left(status)
        ahead = f"  left {units.duration(left)}" if left is not None and left > 1 else ""
        return f"budget {budget_text(status)}  {trials_text(status)}  {quality_text(status)}{ahead}"


@contextmanager
def watch(
    read: Callable[[], Status],
    console: Console,
    *,
    refresh: float = REFRESH_SECONDS,
    line_every: float = LINE_SECONDS,
) -> Iterator[None]:
    """Show progress while the block runs.

    Args:
        read: Returns the status; called from another thread. An error of it that nasplat can
            explain (a busy database) skips one refresh.
        console: Where to show it, on stderr.
        refresh: Seconds between two readings on a terminal.
        line_every: Seconds between two lines elsewhere.
    """
    done = threading.Event()
    progress = Progress()

    def latest() -> Status | None:
        try:
            return read()
        except NasplatError:
            return None

    def panel() -> None:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while True:
                began = time.monotonic()
                if (status := latest()) is not None:
                    live.update(Text("\n".join(progress.lines(status))), refresh=True)
                # A long study takes long to read: at most a tenth of one processor goes into it.
                if done.wait(max(refresh, 9 * (time.monotonic() - began))):
                    return

    def log() -> None:
        before = ""
        while not done.wait(line_every):
            status = latest()
            if status is not None and (line := progress.line(status)) != before:
                console.print(line, soft_wrap=True, highlight=False, markup=False)
                before = line

    thread = threading.Thread(
        target=panel if console.is_terminal else log, name="nasplat-progress", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=5)
