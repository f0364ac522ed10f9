"""Ctrl-C once stops launching, twice kills: the counting of both, apart from what follows.

It knows neither drivers nor Ray. A signal handler must not touch a database in the middle of a
transaction, so the first Ctrl-C only sets a flag that the executor looks at between two steps.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """Listens for Ctrl-C while it is entered.

    Only the main thread can listen for signals; elsewhere `press` alone counts.

    Args:
        grace: Seconds after the first Ctrl-C until `overdue` is true, >= 0.
    """

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self._since: float | None = None
        self._pressed = False
        self._previous: signal._HANDLER = None
        self._listening = False

    def __enter__(self) -> Self:
        self._since, self._pressed = None, False
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._heard)
            self._listening = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._listening:
            self._listening = False
            signal.signal(signal.SIGINT, self._previous or signal.default_int_handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.press()

    def press(self) -> None:
        """Do what Ctrl-C does.

        Raises:
            KeyboardInterrupt: It was pressed before.
        """
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True
        self.stop()

    def stop(self) -> None:
        """Start the grace time, once; a stop from outside does so too."""
        if self._since is None:
            self._since = time.monotonic()

    @property
    def pressed(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._pressed

    @property
    def requested(self) -> bool:
        """Whether running work is to end, after Ctrl-C or a stop from outside."""
        return self._since is not None

    @property
    def overdue(self) -> bool:
        """Whether the grace time is over."""
        return self._since is not None and time.monotonic() - self._since >= self.grace
