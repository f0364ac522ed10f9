"""Training as an evaluator: rungs, checkpoints, latency before training, the class of each failure."""

from __future__ import annotations

import dataclasses
import multiprocessing
import re
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from nasplat.errors import Failure, TaskError, TrialFailure, UsageError
from nasplat.evaluate.base import Context, Evaluator, Job
from nasplat.evaluate.jobs import LATENCY, as_failure
from nasplat.evaluate.train import TrainEvaluator, score_test, train_final
from nasplat.graph.graph import Graph
from nasplat.graph.op import Bits
from nasplat.hardware.device import local_device
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.tasks.digits import digits
from nasplat.tasks.recipe import Recipe
from nasplat.testing.evaluator import EvaluatorConformance, run
from tests.evaluate.conftest import MakeJob, chain


def fails(job: Job, scratch: Path) -> TrialFailure:
    with pytest.raises(TrialFailure) as met:
        run(TrainEvaluator(), job, scratch)
    return met.value


class TestTrain(EvaluatorConformance):
    @pytest.fixture
    def evaluator(self) -> Evaluator:
        return TrainEvaluator(device="cpu")

    @pytest.fixture
    def job(self, make_job: MakeJob) -> Job:
        return make_job()


class TestTrainWithEverything(TestTrain):
    """The same rules with averaged weights, mixing, three rungs and Nesterov steps."""

    @pytest.fixture
    def job(self, make_job: MakeJob) -> Job:
        recipe = {"recipe.ema": 0.95, "optimizer": "sgd", "lr": 0.05, "mixup": 0.2}
        return make_job(recipe={**recipe, "batch_size": 256}, fidelities=(1, 2, 4), seed=3)


def test_reports_hold_the_tasks_metrics_a_curve_and_a_checkpoint(
    make_job: MakeJob, tmp_path: Path
) -> None:
    begun = time.perf_counter()
    first, second = run(TrainEvaluator(), make_job(fidelities=(1, 3)), tmp_path)
    elapsed = time.perf_counter() - begun
    assert list(first.metrics) == list(digits().metrics)
    assert [point["epoch"] for point in second.curve] == [2.0, 3.0]
    assert second.checkpoint is not None and Path(second.checkpoint).is_dir()
    assert 0 < first.seconds + second.seconds <= elapsed


def test_the_schedule_belongs_to_the_last_rung(make_job: MakeJob, tmp_path: Path) -> None:
    short, _ = run(TrainEvaluator(), make_job(fidelities=(1, 2)), tmp_path / "a")
    long, _ = run(TrainEvaluator(), make_job(fidelities=(1, 4)), tmp_path / "b")
    assert short.curve[0]["lr"] < long.curve[0]["lr"]


def test_only_the_last_two_checkpoints_are_kept(make_job: MakeJob, tmp_path: Path) -> None:
    run(TrainEvaluator(), make_job(fidelities=(1, 2, 3, 4)), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-00003", "epoch-00004"]


def test_a_finished_checkpoint_is_reported_again_without_training(
    make_job: MakeJob, tmp_path: Path
) -> None:
    job = make_job()
    last = run(TrainEvaluator(), job, tmp_path)[-1]
    again = run(TrainEvaluator(), dataclasses.replace(job, checkpoint=last.checkpoint), tmp_path)
    assert [report.metrics for report in again] == [last.metrics]
    assert again[0].final and not again[0].curve


def test_a_checkpoint_of_another_machine_is_not_missed(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    whole = run(TrainEvaluator(), job, tmp_path / "here")
    shutil.rmtree(tmp_path / "here")
    gone = dataclasses.replace(job, checkpoint=whole[0].checkpoint)
    assert [r.metrics for r in run(TrainEvaluator(), gone, tmp_path / "there")] == [
        r.metrics for r in whole
    ]


def test_a_checkpoint_of_another_job_is_refused(make_job: MakeJob, tmp_path: Path) -> None:
    first = run(TrainEvaluator(), make_job(), tmp_path)[0]
    failure = fails(make_job(seed=1, checkpoint=first.checkpoint), tmp_path)
    assert failure.failure is Failure.INVALID
    assert "belongs to another job" in failure.message


def test_a_retry_with_half_the_batch_goes_on_from_the_checkpoint(
    make_job: MakeJob, tmp_path: Path
) -> None:
    first = run(TrainEvaluator(), make_job(), tmp_path)[0]
    retry = make_job(recipe={"batch_size": 64}, checkpoint=first.checkpoint)
    assert [report.fidelity for report in run(TrainEvaluator(), retry, tmp_path)] == [2]


@pytest.mark.parametrize("bits", [Bits(), Bits(weight=8, activation=8)])
def test_latency_is_reported_before_any_training(
    make_job: MakeJob, tmp_path: Path, bits: Bits
) -> None:
    small = chain(Conv(channels=4), ClassifierHead(classes=10), bits=bits)
    job = make_job(graph=small, latency=local_device().to_json(), metrics=("accuracy", LATENCY))
    running = TrainEvaluator().evaluate(job, Context(tmp_path))
    first = next(running)
    running.close()
    assert first.fidelity == 0 and not first.final and first.checkpoint is None
    assert list(first.metrics) == [LATENCY]
    assert 0 < first.metrics[LATENCY] < 1000
    assert first.measurements[LATENCY]["value_ms"] == first.metrics[LATENCY]
    assert not list(tmp_path.iterdir())


def test_measuring_changes_no_metric(make_job: MakeJob, tmp_path: Path) -> None:
    small = chain(Conv(channels=4, norm="batch"), ClassifierHead(classes=10))
    plain = run(TrainEvaluator(), make_job(graph=small), tmp_path / "a")
    job = make_job(graph=small, latency=local_device().to_json())
    measured = run(TrainEvaluator(), job, tmp_path / "b")
    assert [r.fidelity for r in measured] == [0, 1, 2]
    assert [r.metrics for r in measured[1:]] == [r.metrics for r in plain]


def _train_until_full(data: dict[str, Any], folder: str, results: Any) -> None:
    """In a process of its own: after the first rung no file may grow beyond 4 KiB."""
    running = TrainEvaluator().evaluate(Job.from_json(data), Context(Path(folder)))
    first = next(running)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        next(running)
    except TrialFailure as failure:
        results.put((first.checkpoint, str(failure.failure), failure.message))
    else:
        results.put((first.checkpoint, "nothing", ""))


def test_a_full_disk_fails_the_trial_and_it_goes_on_from_the_checkpoint_before(
    make_job: MakeJob, tmp_path: Path
) -> None:
    job = make_job()
    whole = run(TrainEvaluator(), job, tmp_path / "whole")
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    arguments = (job.to_json(), str(tmp_path / "full"), results)
    process = spawn.Process(target=_train_until_full, args=arguments)
    process.start()
    checkpoint, failure, message = results.get(timeout=120)
    process.join()
    assert failure == Failure.LOST
    assert "epoch-00002" in message and "cannot be written: File too large" in message
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["epoch-00001"]
    resumed = run(TrainEvaluator(), make_job(checkpoint=checkpoint), tmp_path / "full")
    assert [report.metrics for report in resumed] == [whole[1].metrics]


def test_divergence_has_its_class(make_job: MakeJob, tmp_path: Path) -> None:
    wild = {"optimizer": "sgd", "lr": 10.0, "momentum": 0.999, "clip_norm": 0.0, "warmup": 0.0}
    failure = fails(make_job(recipe=wild, fidelities=(3,)), tmp_path)
    assert failure.failure is Failure.DIVERGED


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {"recipe.speed": 1}}, "no field 'speed'"),
        ({"recipe": {"lr": -1}}, "lr must be in"),
        ({"metrics": ("accuracy", "bleu")}, "no metric bleu; it has accuracy"),
        ({"metrics": (LATENCY,)}, "no metric latency_ms"),
        ({"graph": chain(Conv(channels=2), ClassifierHead(classes=3))}, r"needs .* Logits\(10\)"),
        ({"task": digits(size=16).spec}, r"takes Image\(1, 8, 8\), task digits gives Image\(1, 16"),
    ],
)
def test_what_does_not_fit_together_is_invalid(
    make_job: MakeJob, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    failure = fails(make_job(**changes), tmp_path)
    assert failure.failure is Failure.INVALID
    with pytest.raises(TrialFailure, match=message):
        raise failure


def test_an_ill_typed_graph_is_invalid(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    data = job.to_json()
    data["graph"]["nodes"][-1]["inputs"] = ["nowhere"]
    failure = fails(Job.from_json(data), tmp_path)
    assert failure.failure is Failure.INVALID
    assert "nowhere" in failure.message


def test_data_that_are_not_on_this_worker_lose_the_trial(make_job: MakeJob, tmp_path: Path) -> None:
    spec = {"kind": "arrays", "path": "/nowhere/data.npz"}
    failure = fails(make_job(task=spec), tmp_path)
    assert failure.failure is Failure.LOST
    assert "/nowhere/data.npz" in failure.message


OWN_OP = '''
"""An op whose module breaks in the way that its field says."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from nasplat.graph.op import Call, Op


class BreakModule(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x):
        if self.how == "memory":
            return x + torch.empty(2**46).sum()
        raise KeyError("a plain bug")


@dataclass(frozen=True, kw_only=True)
class Break(Op):
    how: str = "bug"

    def infer(self, x):
        return x

    def call(self, x):
        return Call(BreakModule, {"how": self.how})
'''


@pytest.mark.parametrize(
    ("how", "failure", "message"),
    [
        ("memory", Failure.OOM, "out of memory: .*can't allocate"),
        ("bug", Failure.BUG, "Traceback .*KeyError: 'a plain bug'"),
    ],
)
def test_an_own_op_that_breaks_has_the_right_class(
    make_job: MakeJob, tmp_path: Path, how: str, failure: Failure, message: str
) -> None:
    (tmp_path / "my_op.py").write_text(OWN_OP)
    data = make_job(op_files=(str(tmp_path / "my_op.py"),)).to_json()
    node = {"name": "broken", "op": "break", "settings": {"how": how}, "inputs": ["stem"]}
    data["graph"]["nodes"].insert(1, node)
    data["graph"]["nodes"][2]["inputs"] = ["broken"]
    met = fails(Job.from_json(data), tmp_path)
    assert met.failure is failure
    assert re.search(message, met.message, re.DOTALL)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (MemoryError(), Failure.OOM),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), Failure.OOM),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), Failure.OOM),
        (RuntimeError("shapes differ"), Failure.BUG),
        (TaskError("gone"), Failure.LOST),
        (UsageError("wrong"), Failure.INVALID),
    ],
)
def test_each_kind_of_error_has_its_class(error: Exception, failure: Failure) -> None:
    assert as_failure(error).failure is failure


def test_a_deadline_ends_a_running_epoch(make_job: MakeJob, tmp_path: Path) -> None:
    evaluator, job = TrainEvaluator(), make_job(fidelities=(1, 100_000))
    context = Context(tmp_path)
    running = evaluator.evaluate(job, context)
    next(running)
    context.deadline = time.monotonic() + 0.2
    begun = time.monotonic()
    with pytest.raises(TrialFailure) as met:
        next(running)
    assert met.value.failure is Failure.TIMEOUT
    assert time.monotonic() - begun < 20


def test_winners_are_trained_at_full_length_and_tested_once(graph: Graph) -> None:
    seen: list[tuple[int, int]] = []
    task, recipe = digits(), Recipe(batch_size=128, ema=0.9)
    winner = train_final(graph, task, recipe, 4, 0, lambda done, of, _: seen.append((done, of)))
    again = train_final(graph, task, recipe, 4, 0)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(winner.curve) == 4
    assert not winner.module.training
    assert winner.metrics == again.metrics
    tested = score_test(winner.module, task)
    assert list(tested) == list(task.metrics)
    assert tested == score_test(again.module, task)
    assert tested != winner.metrics


def test_a_winner_gets_what_its_last_rung_got(
    graph: Graph, make_job: MakeJob, tmp_path: Path
) -> None:
    job = make_job(fidelities=(1, 3))
    searched = run(TrainEvaluator(), job, tmp_path)[-1]
    winner = train_final(graph, digits(), Recipe.from_mapping(job.recipe), 3, job.seed)
    assert winner.metrics == searched.metrics


@pytest.mark.parametrize("epochs", [0, -1])
def test_a_winner_needs_at_least_one_epoch(graph: Graph, epochs: int) -> None:
    with pytest.raises(UsageError, match=f"at least 1, got {epochs}"):
        train_final(graph, digits(), Recipe(), epochs, 0)


def test_zero_threads_are_refused() -> None:
    with pytest.raises(UsageError, match="threads must be at least 1, got 0"):
        TrainEvaluator(threads=0)
