"""Which class of failure an exception is, and what follows from each class: whether a trial is
tried again, how often, and changed in which way. Data and functions; it knows neither drivers nor Ray.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.base import Job


@dataclass(frozen=True)
class Policy:
    """What follows from one class of failure.

    Attributes:
        retries: How often a trial that failed so is tried again, 0 for never.
        smaller: Whether a retry halves the recipe's batch size.
        checkpoint: Whether a retry goes on from the last checkpoint.
        reason: Why, one clause for the user.
    """

    retries: int
    smaller: bool
    checkpoint: bool
    reason: str


POLICIES: Mapping[Failure, Policy] = MappingProxyType(
    {
        Failure.INVALID: Policy(0, False, False, "it would be invalid again"),
        Failure.DIVERGED: Policy(0, False, False, "the result of this recipe is that it diverges"),
        Failure.OOM: Policy(1, True, True, "it may fit with half the batch"),
        Failure.TIMEOUT: Policy(0, False, False, "it would be as slow again"),
        Failure.LOST: Policy(2, False, True, "the worker was at fault, not the trial"),
        Failure.BUG: Policy(0, False, False, "the code would fail again"),
    }
)


def retry(job: Job, failures: Mapping[Failure, int]) -> Job | None:
    """Say how a failed job is tried again.

    Args:
        job: The job as it was last handed out, with the last checkpoint of the trial.
        failures: How often the trial has failed so far by class, the present failure included;
            every class must still be within its own number of retries.

    Returns:
        The job to hand out, or None when the trial has failed for good.
    """
    for failure, count in failures.items():
        if count > POLICIES[failure].retries:
            return None
    for failure in failures:
        if POLICIES[failure].smaller:
            smaller = halve_batch(job)
            if smaller is None:
                return None
            job = smaller
        if not POLICIES[failure].checkpoint:
            job = dataclasses.replace(job, checkpoint=None)
    return job


def halve_batch(job: Job) -> Job | None:
    """Return the job with half its batch size, or None when there is nothing left to halve."""
    size = job.recipe.get("batch_size")
    if not isinstance(size, int) or size < 2:
        return None
    return dataclasses.replace(job, recipe={**job.recipe, "batch_size": size // 2})


def classify(error: BaseException) -> tuple[Failure, str]:
    """Say which class of failure an exception of an evaluation is, with a message for the record.

    Args:
        error: What the evaluator raised.

    Returns:
        The class, and one line; for a bug, the line of code where it was raised besides.
    """
    line = f"{type(error).__name__}: {error}".strip().rstrip(":")
    if isinstance(error, TrialFailure):
        return error.failure, error.message
    # torch's own class is found by name, so that torch need not be imported to say so.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return Failure.OOM, line
    if isinstance(error, UsageError):
        return Failure.INVALID, error.message
    return Failure.BUG, f"{line} (at {_place(error)})"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown line"
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}"
