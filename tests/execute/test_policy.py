"""Failures have classes, and each class says what follows."""

from __future__ import annotations

import dataclasses

import pytest

from nasplat.errors import Failure, GraphTypeError, TrialFailure
from nasplat.execute.policy import POLICIES, classify, halve_batch, retry
from nasplat.testing.driver import make_job

JOB = dataclasses.replace(make_job(0, batch_size=64), checkpoint="somewhere")


def test_every_class_has_a_policy() -> None:
    assert set(POLICIES) == set(Failure)


@pytest.mark.parametrize(
    "failure", [Failure.INVALID, Failure.DIVERGED, Failure.TIMEOUT, Failure.BUG]
)
def test_what_would_fail_again_is_never_retried(failure: Failure) -> None:
    assert retry(JOB, {failure: 1}) is None


def test_a_lost_worker_is_retried_twice_from_the_checkpoint() -> None:
    assert retry(JOB, {Failure.LOST: 1}) == JOB
    assert retry(JOB, {Failure.LOST: 2}) == JOB
    assert retry(JOB, {Failure.LOST: 3}) is None


def test_out_of_memory_is_retried_once_with_half_the_batch() -> None:
    again = retry(JOB, {Failure.OOM: 1})
    assert again is not None and again.recipe["batch_size"] == 32
    assert retry(again, {Failure.OOM: 2}) is None


def test_a_batch_of_one_cannot_be_halved() -> None:
    assert halve_batch(make_job(0, batch_size=1)) is None
    assert halve_batch(make_job(0)) is None
    assert retry(make_job(0), {Failure.OOM: 1}) is None


def test_an_evaluators_own_class_stands() -> None:
    error = TrialFailure(Failure.DIVERGED, "loss is nan")
    assert classify(error) == (Failure.DIVERGED, "loss is nan")


def test_memory_errors_are_out_of_memory_torchs_too() -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    assert classify(MemoryError())[0] is Failure.OOM
    assert classify(OutOfMemoryError("CUDA out of memory"))[0] is Failure.OOM


def test_wrong_input_is_invalid_and_anything_else_a_bug_with_its_place() -> None:
    assert classify(GraphTypeError("an Image is wanted"))[0] is Failure.INVALID
    try:
        dict[str, int]()["missing"]
    except KeyError as error:
        failure, message = classify(error)
    assert failure is Failure.BUG
    assert "KeyError: 'missing'" in message and "test_policy.py" in message
