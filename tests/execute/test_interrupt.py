"""Ctrl-C once asks, twice kills."""

from __future__ import annotations

import os
import signal
import time

import pytest

from nasplat.execute.interrupt import Interrupts


def state(interrupts: Interrupts) -> tuple[bool, bool]:
    return interrupts.requested, interrupts.overdue


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)


def test_the_first_is_a_request_and_the_second_raises() -> None:
    with Interrupts(grace=60) as interrupts:
        assert state(interrupts) == (False, False)
        press()
        assert state(interrupts) == (True, False)
        with pytest.raises(KeyboardInterrupt):
            press()


def test_the_handler_that_was_there_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts(grace=60):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_the_grace_time_runs_from_the_first_request() -> None:
    interrupts = Interrupts(grace=0.05)
    assert state(interrupts) == (False, False)
    interrupts.stop()
    interrupts.stop()
    time.sleep(0.06)
    assert state(interrupts) == (True, True)


def test_a_stop_from_outside_leaves_the_first_ctrl_c_a_request() -> None:
    interrupts = Interrupts(grace=60)
    interrupts.stop()
    interrupts.press()
    with pytest.raises(KeyboardInterrupt):
        interrupts.press()
