"""What every evaluator that runs models does with a job: rebuild, check, name failures.

It trains nothing and writes nothing.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch

from nasplat.errors import Failure, TaskError, TrialFailure, UsageError
from nasplat.evaluate.base import Job
from nasplat.graph.graph import Graph
from nasplat.graph.op import Op
from nasplat.ops.table import op_table
from nasplat.tasks.base import Task
from nasplat.tasks.load import load_task

LATENCY = "latency_ms"


def as_failure(error: Exception) -> TrialFailure:
    """The failure that an error in an evaluation amounts to."""
    text = str(error) or type(error).__name__
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in text
    ):
        return TrialFailure(Failure.OOM, f"out of memory: {text.splitlines()[0]}")
    if isinstance(error, TaskError):
        return TrialFailure(Failure.LOST, f"the data cannot be used on this worker: {text}")
    if isinstance(error, UsageError):
        return TrialFailure(Failure.INVALID, text)
    return TrialFailure(Failure.BUG, "".join(traceback.format_exception(error)))


def task_of(job: Job) -> Task:
    """The job's task; a process keeps the last one it made."""
    return _task(json.dumps(dict(job.task), sort_keys=True))


@lru_cache(maxsize=2)
def _task(spec: str) -> Task:
    return load_task(json.loads(spec))


@lru_cache(maxsize=8)
def ops_of(files: tuple[str, ...]) -> Mapping[str, type[Op]]:
    """The ops of the library and of a user's files, by kind."""
    return op_table([Path(file) for file in files])


def check_metrics(job: Job, task: Task) -> None:
    """Refuse a job that wants what nobody measures.

    Raises:
        UsageError: Wanted metrics are not known; all are named.
    """
    known = {*task.metrics, *((LATENCY,) if job.latency is not None else ())}
    absent = [name for name in job.metrics if name not in known]
    if absent:
        raise UsageError(
            f"task {task.name} has no metric {', '.join(absent)}; it has {', '.join(sorted(known))}"
        )


def check_graph(graph: Graph, task: Task) -> None:
    """Refuse a graph that does not fit the task.

    Raises:
        UsageError: Types of inputs or outputs differ.
    """
    given = list(graph.inputs.values())
    if given != list(task.inputs.values()):
        raise UsageError(
            f"the graph takes {', '.join(map(str, given))}, task {task.name} gives "
            f"{', '.join(map(str, task.inputs.values()))}"
        )
    made = graph.output_types
    single = len(made) == len(task.outputs) == 1
    for name, wanted in task.outputs.items():
        met = next(iter(made.values())) if single else made.get(name)
        if met != wanted:
            raise UsageError(
                f"task {task.name} needs the output {name} of type {wanted}, the graph has "
                f"{', '.join(f'{key}: {kind}' for key, kind in made.items())}"
            )
