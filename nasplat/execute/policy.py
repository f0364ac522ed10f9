"""What follows from each class of failure: whether a trial is tried again, how often, and changed
in which way. Pure data and functions; it knows neither drivers nor Ray.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nasplat.errors import Failure
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
