"""Digits: the shipped default, and the promises that every experiment on it rests on."""

from __future__ import annotations

import pytest

from nasplat.errors import TaskError
from nasplat.graph.types import Image, Logits
from nasplat.tasks.base import Task
from nasplat.tasks.digits import digits
from nasplat.testing.task import TaskConformance


class TestDigits(TaskConformance):
    @pytest.fixture
    def task(self) -> Task:
        return digits()


class TestLargeDigits(TaskConformance):
    @pytest.fixture
    def task(self) -> Task:
        return digits(size=16, seed=3)


def test_the_fingerprint_never_moves() -> None:
    assert digits().fingerprint == "t1:700594638d4296ae70c1b6879d888f90"


def test_splits_are_80_10_10_and_stratified() -> None:
    task = digits()
    assert task.sizes == {"train": 1439, "validation": 179, "test": 179}
    for split in ("train", "validation"):
        counts = [0] * 10
        for batch in task.batches(split, 512):
            for label in batch.targets.tolist():
                counts[label] += 1
        assert max(counts) - min(counts) <= 0.06 * task.sizes[split]


def test_another_seed_is_another_task() -> None:
    assert digits(seed=1).fingerprint != digits().fingerprint


def test_training_inputs_are_normalised() -> None:
    batch = next(digits().batches("train", 2000))
    assert abs(float(batch.inputs[0].mean())) < 1e-5
    assert abs(float(batch.inputs[0].std()) - 1) < 1e-3


def test_types_and_description() -> None:
    task = digits()
    assert list(task.inputs.values()) == [Image(1, 8, 8)]
    assert list(task.outputs.values()) == [Logits(10)]
    assert task.describe() == "digits: 1,797 images, 10 classes, 80/10/10 split (seed 0), 8x8"
    assert digits(size=32).describe().endswith("resized to 32x32")


@pytest.mark.parametrize("size", [7, 257])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(TaskError, match=rf"\[8, 256\], got {size}"):
        digits(size=size)
