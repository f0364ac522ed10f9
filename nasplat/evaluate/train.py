"""Training as an evaluator: from scratch, rung by rung, with checkpoints; and the last training of
winners.

The evaluator rebuilds graph, task and recipe from the job's data. It knows no store and no Ray.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from nasplat.errors import TrialFailure, UsageError
from nasplat.evaluate.bank import Bank
from nasplat.evaluate.base import Context, Job, Report
from nasplat.evaluate.checkpoint import read_checkpoint, write_checkpoint
from nasplat.evaluate.jobs import LATENCY, as_failure, check_graph, check_metrics, ops_of, task_of
from nasplat.evaluate.training import (
    Trainer,
    choose_device,
    derive_seed,
    evaluate,
    threads,
)
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.graph.serialise import graph_from_json
from nasplat.tasks.base import Task
from nasplat.tasks.recipe import Recipe

#: Checkpoints kept of a trial: the last one, and the one that the store may still point to.
KEPT = 2


class TrainEvaluator:
    """Trains each candidate from scratch and reports the validation metrics at every rung.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:1``..., or ``auto``: a GPU where there is one.
        threads: Threads of torch on the processor; None: as many as torch has. Small models are
            fastest with one.
    """

    kind: ClassVar[str] = "train"

    def __init__(self, *, device: str = "auto", threads: int | None = 1) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, got {threads}")
        self.device = device
        self.threads = threads

    @property
    def spec(self) -> dict[str, Any]:
        """JSON from which the same evaluator is made."""
        return {"kind": self.kind, "device": self.device, "threads": self.threads}

    def evaluate(self, job: Job, context: Context) -> Generator[Report, None, None]:
        """Train to each rung; a checkpoint stands behind every report."""
        try:
            yield from self._evaluate(job, context)
        except TrialFailure:
            raise
        except Exception as error:
            raise as_failure(error) from error

    def _evaluate(self, job: Job, context: Context) -> Generator[Report, None, None]:
        begun = time.perf_counter()
        context.heartbeat()
        with threads(self.threads):
            task = task_of(job)
            recipe = Recipe.from_mapping(job.recipe)
            check_metrics(job, task)
            ops = ops_of(job.op_files)
            graph = graph_from_json(job.graph, ops)
            check_graph(graph, task)
            bank = Bank(context.scratch.parent, ops) if recipe.weights == "bank" else None
            trainer = Trainer(
                lower(graph, seed=derive_seed(job.seed, "weights") % 2**32),
                task,
                recipe,
                epochs=job.fidelities[-1],
                seed=job.seed,
                device=choose_device(self.device),
            )
            resumed = _resume(trainer, job)
            if bank is not None and not resumed:
                bank.inherit(graph, trainer.module)
            measured = None
            if job.latency is not None and not resumed:
                measured = measure_latency(graph, trainer.module, task, job.latency)
        if measured is not None:
            now = time.perf_counter()
            yield Report(
                fidelity=0,
                metrics={LATENCY: measured["value_ms"]},
                seconds=now - begun,
                measurements={LATENCY: measured},
            )
            begun = time.perf_counter()
        rungs = [rung for rung in job.fidelities if rung > trainer.epoch]
        for rung in rungs or job.fidelities[-1:]:
            with threads(self.threads):
                curve = []
                while trainer.epoch < rung:
                    curve.append(trainer.train_epoch(context.heartbeat))
                metrics = trainer.validate(context.heartbeat)
                if bank is not None:
                    bank.keep(graph, trainer.module)
                folder = _keep(trainer, job, context.scratch)
            now = time.perf_counter()
            yield Report(
                fidelity=rung,
                metrics=metrics,
                seconds=now - begun,
                checkpoint=str(folder),
                final=rung == job.fidelities[-1],
                curve=tuple(curve),
            )
            begun = time.perf_counter()


def measure_latency(
    graph: Graph, module: nn.Module, task: Task, device: Mapping[str, Any]
) -> dict[str, Any]:
    """Measure a candidate on this machine, as JSON of the measurement; before it is trained.

    Quantised nodes are calibrated with training examples.
    """
    from nasplat.hardware.latency import measure_candidate

    calibration = None
    if any(node.bits.quantised for node in graph.live):
        batch = next(task.batches("train", min(64, task.evaluation_batch)))
        names = list(graph.inputs)
        calibration = [dict(zip(names, (x.numpy() for x in batch.inputs), strict=True))]
    where = next(iter(module.parameters())).device
    measured = measure_candidate(graph, module.cpu().eval(), device, calibration)
    module.to(where)
    return measured.to_json()


def _identity(trainer: Trainer, job: Job) -> dict[str, Any]:
    """What a checkpoint belongs to; the batch size may change when memory was short."""
    recipe = trainer.recipe.to_json()
    del recipe["batch_size"]
    return {
        "digest": job.digest,
        "task": trainer.task.fingerprint,
        "seed": job.seed,
        "epochs": job.fidelities[-1],
        "recipe": recipe,
    }


def _resume(trainer: Trainer, job: Job) -> bool:
    """Go on from the job's checkpoint; False when there is none to go on from.

    Raises:
        UsageError: The checkpoint belongs to another job.
    """
    if job.checkpoint is None:
        return False
    found = read_checkpoint(Path(job.checkpoint))
    if found is None:
        return False
    tensors, state = found
    wanted, met = _identity(trainer, job), state.get("job")
    if met != wanted:
        raise UsageError(
            f"the checkpoint {job.checkpoint} belongs to another job: {met}, expected {wanted}"
        )
    trainer.load(tensors, state)
    return True


def _keep(trainer: Trainer, job: Job, scratch: Path) -> Path:
    """Write a checkpoint into the trial's folder; older ones go once this one is there."""
    folder = scratch / f"epoch-{trainer.epoch:05d}"
    state = {**trainer.state(), "job": _identity(trainer, job)}
    write_checkpoint(folder, trainer.tensors(), state)
    for old in sorted(scratch.glob("epoch-*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


@dataclass(frozen=True)
class TrainedModel:
    """A winner, trained at full length.

    Attributes:
        module: With the weights that count, on the processor, set to evaluation.
        metrics: On the validation split.
        curve: One point per epoch: ``epoch``, training ``loss``, ``lr``, ``seconds``.
        seconds: Device time.
    """

    module: nn.Module
    metrics: Mapping[str, float]
    curve: tuple[Mapping[str, float], ...]
    seconds: float


def train_final(
    graph: Graph,
    task: Task,
    recipe: Recipe,
    epochs: int,
    seed: int,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
    *,
    device: str = "auto",
    num_threads: int | None = 1,
) -> TrainedModel:
    """Train a winner from scratch at full length.

    On the training split alone: the validation split stays for calibration and for choosing among
    seeds, and the test split for :func:`score_test`.

    Args:
        graph: The winner.
        task: What it was searched for.
        recipe: How it is trained.
        epochs: At least 1.
        seed: Initial weights and everything random follow from it.
        progress: Called after every epoch with its number (from 1), ``epochs`` and its point.
        device: As for :class:`TrainEvaluator`.
        num_threads: As its ``threads``.

    Raises:
        TrialFailure: Training diverged.
        UsageError: Graph and task do not fit.
    """
    if epochs < 1:
        raise UsageError(f"epochs must be at least 1, got {epochs}")
    check_graph(graph, task)
    begun = time.perf_counter()
    with threads(num_threads):
        trainer = Trainer(
            lower(graph, seed=derive_seed(seed, "weights") % 2**32),
            task,
            recipe,
            epochs=epochs,
            seed=seed,
            device=choose_device(device),
        )
        curve = []
        for _ in range(epochs):
            curve.append(trainer.train_epoch())
            if progress is not None:
                progress(trainer.epoch, epochs, curve[-1])
        metrics = trainer.validate()
    return TrainedModel(trainer.finish().cpu(), metrics, tuple(curve), time.perf_counter() - begun)


def score_test(module: nn.Module, task: Task) -> dict[str, float]:
    """Every metric on the test split: once, for a model that has been chosen and exported."""
    where = next(iter(module.parameters())).device
    return evaluate(module, task.test(task.evaluation_batch), task.meter(), where)
