"""Who holds the trials of a study, and how to take back those whose holder is gone."""

from __future__ import annotations

import os
import socket

from nasplat.store.records import TrialState
from nasplat.store.store import Store

SECONDS = 60.0
"""A trial whose driver has not been heard of for so long waits again."""


def worker_name() -> str:
    """Who holds the leases of this process: host and number of the process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def reclaim_dead(store: Store, study: str) -> list[int]:
    """Take back trials whose lease lapsed, and those whose driver ran on this machine and is gone.

    Returns:
        Numbers of the trials that wait again.
    """
    held = store.trials(study, states=[TrialState.RUNNING])
    holders = {trial.worker for trial in held if trial.worker is not None}
    gone = bool(holders) and all(is_gone(worker) for worker in holders)
    return store.reclaim(study, everything=gone)


def is_gone(worker: str) -> bool:
    """Whether a worker ran on this machine and does not any more."""
    host, _, process = worker.rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
