"""Worker profiles: what one trial gets, how long it may take and where the workers are.

A profile is a TOML file in ``workers/`` or anywhere the user points to. This module reads and
checks it; it starts nothing and counts no processors.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasplat import content
from nasplat.errors import UsageError, nearest_first
from nasplat.execute.base import HEARTBEAT_SECONDS


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How trials are run. Every field is a key of the profile's TOML file.

    Attributes:
        name: Name of the profile; the file's stem when the file does not say.
        cpus: Processors of one trial, > 0; a fraction shares one processor.
        gpus: GPUs of one trial, >= 0; below 1 a fraction (0.5: two trials share a GPU), from 1 on
            a whole number.
        memory_gb: Memory that one trial reserves in 10^9 bytes, 0 for none.
        resources: Further Ray resources of one trial, name to amount (``{"jetson": 1}``).
        concurrent: Most trials at the same time, 0 for as many as the cluster holds.
        timeout: Seconds after which a trial is ended, 0 for never; a job's own time-out goes first.
        grace: Seconds that running trials get after the first Ctrl-C to reach their next rung.
        heartbeat: Longest time between two beats of running trials in seconds, > 0.
        address: Ray address: ``local`` starts Ray on this machine and ends it with the run,
            ``auto`` joins the cluster that runs on this machine, ``host:port`` joins another.
        env: Environment variables of the workers.
    """

    name: str
    cpus: float = 1.0
    gpus: float = 0.0
    memory_gb: float = 0.0
    resources: Mapping[str, float] = dataclasses.field(default_factory=dict)
    concurrent: int = 0
    timeout: float = 0.0
    grace: float = 30.0
    heartbeat: float = HEARTBEAT_SECONDS
    address: str = "local"
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        offences = _offences(self)
        if offences:
            raise UsageError(f"profile {self.name!r}: " + "; ".join(offences))

    @property
    def local(self) -> bool:
        """Whether Ray is started on this machine for the run alone."""
        return self.address == "local"

    @property
    def threads(self) -> int:
        """Threads that one trial computes with, >= 1."""
        return max(1, math.floor(self.cpus))

    @property
    def request(self) -> dict[str, float]:
        """What one trial asks of Ray, by Ray's own names of resources."""
        asked = {"CPU": float(self.cpus), "GPU": float(self.gpus), "memory": self.memory_gb * 1e9}
        asked |= {name: float(amount) for name, amount in self.resources.items()}
        return {name: amount for name, amount in asked.items() if amount > 0}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _offences(profile: Profile) -> list[str]:
    """List what is wrong with a profile, every field at once."""
    found = []

    def need(field: str, rule: str, holds: bool) -> None:
        if not holds:
            found.append(f"{field} must be {rule}, got {getattr(profile, field)!r}")

    def at_least_zero(value: object) -> bool:
        return _is_number(value) and float(str(value)) >= 0

    need("cpus", "a number above 0", at_least_zero(profile.cpus) and profile.cpus > 0)
    whole = at_least_zero(profile.gpus) and (profile.gpus < 1 or float(profile.gpus).is_integer())
    need("gpus", "a fraction below 1 or a whole number", whole)
    for field in ("memory_gb", "timeout", "grace"):
        need(field, "a number from 0", at_least_zero(getattr(profile, field)))
    beat = profile.heartbeat
    need("heartbeat", "a number above 0", at_least_zero(beat) and beat > 0)
    count = isinstance(profile.concurrent, int) and not isinstance(profile.concurrent, bool)
    need("concurrent", "a whole number from 0", count and profile.concurrent >= 0)
    address = profile.address
    need("address", '"local", "auto" or "host:port"', isinstance(address, str) and address != "")
    amounts = isinstance(profile.resources, Mapping) and all(
        at_least_zero(amount) for amount in profile.resources.values()
    )
    need("resources", "a table of numbers from 0", amounts)
    texts = isinstance(profile.env, Mapping) and all(
        isinstance(value, str) for value in profile.env.values()
    )
    need("env", "a table of texts", texts)
    return found


KEYS: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(Profile))
"""The keys that a profile's file may hold."""


def load_profile(name_or_path: str) -> Profile:
    """Read a worker profile.

    Args:
        name_or_path: Name of a shipped profile (``laptop``, ``gpu``, ``cluster``) or the path of
            a TOML file.

    Raises:
        UsageError: There is no such profile (the known ones are listed, nearest first), the file is
            not TOML, or it holds keys or values that a profile does not have (all are listed).
    """
    file = content.find("worker profile", name_or_path, "workers", ".toml")
    return read_profile(file)


def read_profile(file: Path) -> Profile:
    """Read the profile in a TOML file; see `load_profile`."""
    try:
        data: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the worker profile {file} is not TOML: {error}") from error
    surplus = sorted(set(data) - set(KEYS))
    if surplus:
        likeliest = ", ".join(f"{key} (meant {nearest_first(key, KEYS)[0]}?)" for key in surplus)
        raise UsageError(
            f"the worker profile {file} has keys that are not known: {likeliest}",
            hint=f"Known keys: {', '.join(KEYS)}.",
        )
    try:
        return Profile(**{"name": file.stem, **data})
    except UsageError as error:
        raise UsageError(f"{error.message} ({file})", hint=error.hint) from error
