"""The conformance suite of tasks: inherit it, supply the fixture ``task``, and your task is checked.

class TestMine(TaskConformance):
    @pytest.fixture
    def task(self) -> Task:
        return load_task("./my_task.py")
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from nasplat.errors import TaskError
from nasplat.graph.types import TensorType
from nasplat.tasks.augment import Augment
from nasplat.tasks.base import Batch, Task
from nasplat.tasks.load import load_task


def random_outputs(task: Task, batch: int, seed: int = 0) -> Tensor | dict[str, Tensor]:
    """What an untrained model might return: a tensor, or a dict when there are several outputs."""
    generator = torch.Generator().manual_seed(seed)
    made = {name: kind.example(batch, generator) for name, kind in task.outputs.items()}
    return next(iter(made.values())) if len(made) == 1 else made


def _join(batches: list[Batch]) -> tuple[list[Tensor], Tensor]:
    inputs = [torch.cat(parts) for parts in zip(*(b.inputs for b in batches), strict=True)]
    return inputs, torch.cat([b.targets for b in batches])


def _part(outputs: Tensor | dict[str, Tensor], begin: int, end: int) -> Any:
    if isinstance(outputs, Tensor):
        return outputs[begin:end]
    return {name: value[begin:end] for name, value in outputs.items()}


def _rows(batches: list[Batch]) -> list[bytes]:
    """The target of each example, to be compared whatever its shape."""
    return [row.numpy().tobytes() for batch in batches for row in batch.targets]


class TaskConformance:
    """The rules of :class:`nasplat.tasks.base.Task`."""

    def test_types_are_tensor_types_and_metrics_have_directions(self, task: Task) -> None:
        assert task.inputs and task.outputs and task.metrics
        for kinds in (task.inputs, task.outputs):
            assert isinstance(kinds, Mapping)
            assert all(isinstance(kind, TensorType) for kind in kinds.values())
        assert set(task.metrics.values()) <= {"max", "min"}

    def test_spec_is_json_and_makes_the_same_task(self, task: Task) -> None:
        spec = json.loads(json.dumps(task.spec))
        again = load_task(spec)
        assert again.fingerprint == task.fingerprint
        assert again.spec == task.spec
        assert again.describe() == task.describe()

    def test_changed_data_are_noticed(self, task: Task) -> None:
        with pytest.raises(TaskError, match="have changed"):
            load_task({**task.spec, "fingerprint": "t1:of-other-data"})

    def test_batches_have_the_types_of_the_inputs(self, task: Task) -> None:
        batch = next(task.batches("train", 4))
        assert len(batch) <= 4
        assert len(batch.inputs) == len(task.inputs)
        for tensor, kind in zip(batch.inputs, task.inputs.values(), strict=True):
            assert tuple(tensor.shape[1:]) == kind.shape
            assert torch.isfinite(tensor).all()

    @pytest.mark.parametrize("split", ["train", "validation"])
    def test_one_pass_gives_every_example_once(self, task: Task, split: str) -> None:
        plain = list(task.batches(split, 7))
        shuffled = list(task.batches(split, 7, shuffle_seed=1))
        assert sum(map(len, plain)) == sum(map(len, shuffled)) == task.sizes[split]
        assert all(0 < len(batch) <= 7 for batch in plain + shuffled)
        assert sorted(_rows(plain)) == sorted(_rows(shuffled))

    def test_equal_seeds_give_equal_batches(self, task: Task) -> None:
        augment = Augment(shift=0.1, erase=0.5, mixup=0.2)
        first, second = (
            list(task.batches("train", 8, shuffle_seed=3, augment=augment)) for _ in range(2)
        )
        for a, b in zip(first, second, strict=True):
            assert torch.equal(a.targets, b.targets)
            assert all(torch.equal(x, y) for x, y in zip(a.inputs, b.inputs, strict=True))

    def test_other_seeds_give_another_order(self, task: Task) -> None:
        one, _ = _join(list(task.batches("train", 8, shuffle_seed=1)))
        two, _ = _join(list(task.batches("train", 8, shuffle_seed=2)))
        assert any(not torch.equal(x, y) for x, y in zip(one, two, strict=True))

    def test_search_cannot_reach_the_test_split(self, task: Task) -> None:
        with pytest.raises(TaskError, match="not for searching"):
            task.batches("test", 8)
        assert sum(map(len, task.test(8))) == task.sizes["test"] > 0

    def test_unknown_splits_are_refused(self, task: Task) -> None:
        with pytest.raises(TaskError, match="unknown split 'valid'"):
            task.batches("valid", 8)

    def test_loss_is_a_scalar_that_can_be_differentiated(self, task: Task) -> None:
        batch = next(task.batches("train", 4))
        outputs = random_outputs(task, len(batch))
        leaves = [outputs] if isinstance(outputs, Tensor) else list(outputs.values())
        for leaf in leaves:
            leaf.requires_grad_()
        for smoothing in (0.0, 0.1):
            loss = task.loss(outputs, batch.targets, label_smoothing=smoothing)
            assert loss.dim() == 0
            assert math.isfinite(float(loss.detach()))
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        assert any(leaf.grad is not None and leaf.grad.abs().sum() > 0 for leaf in leaves)

    def test_loss_takes_mixed_examples(self, task: Task) -> None:
        batch = next(task.batches("train", 4, shuffle_seed=0, augment=Augment(mixup=0.5)))
        loss = task.loss(random_outputs(task, len(batch)), batch.targets)
        assert math.isfinite(float(loss.detach()))

    def test_score_holds_every_metric(self, task: Task) -> None:
        _, targets = _join(list(task.batches("validation", 64)))
        scores = task.score(random_outputs(task, len(targets)), targets)
        assert list(scores) == list(task.metrics)
        assert all(isinstance(value, float) and math.isfinite(value) for value in scores.values())

    def test_a_meter_scores_batches_as_if_they_were_one(self, task: Task) -> None:
        batches = list(task.batches("validation", 7))
        outputs = random_outputs(task, sum(map(len, batches)))
        sizes = [len(batch) for batch in batches]
        meter = task.meter()
        for number, batch in enumerate(batches):
            begin = sum(sizes[:number])
            meter.add(_part(outputs, begin, begin + len(batch)), batch.targets)
        whole = task.score(outputs, _join(batches)[1])
        assert meter.result() == pytest.approx(whole, rel=1e-6, abs=1e-9)

    def test_evaluation_takes_a_sensible_number_at_once(self, task: Task) -> None:
        assert 1 <= task.evaluation_batch <= 512

    def test_describe_is_one_line_with_the_name(self, task: Task) -> None:
        assert task.describe().startswith(f"{task.name}: ")
        assert "\n" not in task.describe()

    def test_preprocessing_is_json(self, task: Task) -> None:
        assert json.loads(json.dumps(dict(task.preprocessing))) == dict(task.preprocessing)
