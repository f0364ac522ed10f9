"""The one tree of nasplat's own errors, and the classes into which failed trials fall.

    NasplatError                 something nasplat can explain; exit code 1
    ├── UsageError               wrong usage or input (also a ValueError); exit code 2
    │   ├── GraphTypeError       an op met tensor types that it does not take
    │   ├── SpaceError           a search space that is not well formed
    │   ├── GenotypeError        a genotype that its space does not contain
    │   ├── TaskError            data or a task that cannot be used
    │   ├── BudgetError          a budget that is malformed or can never be spent
    │   ├── ConstraintError      a constraint that is malformed or can never be met
    │   ├── DeviceError          a device that is unknown or cannot be measured
    │   └── ExportError          an export that cannot be written or verified
    ├── NotFoundError            nothing matches what was asked for; exit code 3
    ├── BudgetSpentError         the budget was spent before anything started; exit code 4
    ├── StoreError               the results database cannot be used as asked
    └── TrialFailure             one trial failed, with the class of its failure

Every message says what was met and what was expected; ``hint`` is the next step for the user.
This module knows nothing of any other part of nasplat.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import ClassVar, TypeVar

_E = TypeVar("_E", bound="NasplatError")


class NasplatError(Exception):
    """An error that nasplat can explain.

    Args:
        message: What was met and what was expected, without a trailing full stop.
        hint: The next step for the user; empty when the message already says it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(NasplatError, ValueError):
    """Wrong usage or input: nothing was started."""

    exit_code = 2


class GraphTypeError(UsageError):
    """An op met tensor types that it does not take; names the rule, the path and the types."""


class SpaceError(UsageError):
    """A search space that is not well formed."""


class GenotypeError(UsageError):
    """A genotype that its space does not contain.

    Args:
        offences: One sentence for each offending path, all of them.
    """

    def __init__(self, offences: Sequence[str], *, hint: str = "") -> None:
        self.offences = tuple(offences)
        super().__init__("the genotype is not in the space: " + "; ".join(offences), hint=hint)


class TaskError(UsageError):
    """Data or a task that cannot be used as it is."""


class BudgetError(UsageError):
    """A budget that is malformed or can never be spent on this cluster."""


class ConstraintError(UsageError):
    """A constraint that is malformed or that no candidate of the space can meet."""


class DeviceError(UsageError):
    """A device that is unknown or cannot be measured from here."""


class ExportError(UsageError):
    """An export that cannot be written or does not verify."""


class NotFoundError(NasplatError):
    """Nothing in the store matches what was asked for."""

    exit_code = 3


class BudgetSpentError(NasplatError):
    """The budget of a study was spent before anything could be started."""

    exit_code = 4


class StoreError(NasplatError):
    """The results database cannot be used as asked (unreachable, read-only, newer schema)."""


class Failure(StrEnum):
    """Why a trial failed; each class has its own policy of retrying."""

    INVALID = "invalid"
    DIVERGED = "diverged"
    OOM = "oom"
    TIMEOUT = "timeout"
    LOST = "lost"
    BUG = "bug"


class TrialFailure(NasplatError):
    """One trial failed; the search goes on.

    Args:
        failure: The class of the failure.
        message: What happened, for the trial's record.
    """

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure

    def __reduce__(self) -> tuple[type[TrialFailure], tuple[Failure, str]]:
        """Rebuild from both arguments, so that the class survives the way back from a worker."""
        return TrialFailure, (self.failure, self.message)


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """Sort ``known`` by likeness to ``name``, the most similar first."""
    return sorted(
        known, key=lambda other: (-difflib.SequenceMatcher(None, name, other).ratio(), other)
    )


def unknown(
    kind: str,
    name: str,
    known: Iterable[str],
    error: type[_E],
    *,
    hint: str = "",
) -> _E:
    """Make the error for a name that is not known, listing the known ones, nearest first."""
    names = nearest_first(name, known)
    listing = ", ".join(names) if names else "there are none"
    return error(f"unknown {kind} {name!r}; known: {listing}", hint=hint)
