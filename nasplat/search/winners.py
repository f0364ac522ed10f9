"""From a study to models that run without it: choose winners, retrain them, export, verify.

Winners are trained from scratch at full length; the test split is read once for each of them, here and
nowhere else.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from nasplat.errors import NotFoundError, UsageError
from nasplat.evaluate.jobs import ops_of
from nasplat.evaluate.train import TrainedModel, train_final
from nasplat.export.export import Evaluation, export_model
from nasplat.export.manifest import read_manifest
from nasplat.graph.graph import Graph
from nasplat.graph.serialise import graph_from_json
from nasplat.search.history import known_metrics, objectives_of
from nasplat.search.jobs import trial_seed
from nasplat.search.objectives import Objective, minimised, parse_constraint, violation
from nasplat.search.study import Study
from nasplat.store.records import ArtifactRecord, TrialRecord, TrialState
from nasplat.tasks.base import Batch, Task
from nasplat.tasks.recipe import Recipe

CALIBRATION_BATCHES = 8
BATCH = 64
Say = Callable[[str], None]


@dataclass(frozen=True)
class Winner:
    """An exported winner.

    Attributes:
        digest: Digest of its graph.
        folder: Where the export is.
        validation: Metrics on the validation split, of the exported model.
        test: Metrics on the test split, of the exported ``model.onnx``.
        verified: Whether every check of ``verify.json`` holds.
        difference: Largest absolute difference of an artefact from the trained module.
    """

    digest: str
    folder: Path
    validation: Mapping[str, float]
    test: Mapping[str, float]
    verified: bool
    difference: float


def choose(
    study: Study, *, best: str | None = None, pareto: bool = False, arch: str | None = None
) -> list[TrialRecord]:
    """The trials that a user means by a choice of winners; exactly one choice is given.

    Args:
        study: The study.
        best: A metric, and bounds that hold for it: ``accuracy where latency_ms<=10``; of equal ones the
            study's other objectives decide.
        pareto: The whole front.
        arch: A digest or the beginning of one.

    Raises:
        UsageError: None or several choices, or one that cannot be read.
        NotFoundError: Nothing matches.
    """
    given = [name for name, value in (("best", best), ("pareto", pareto), ("arch", arch)) if value]
    if len(given) != 1:
        raise UsageError(
            f"choose winners in one way, got {' and '.join(given) or 'none'}",
            hint='Use --best "accuracy where latency_ms<=10", --pareto, or --arch g1:7f3a.',
        )
    complete = study.store.trials(study.name, states=[TrialState.COMPLETE])
    if not complete:
        raise NotFoundError(
            f"study {study.name!r} has no complete trial to export",
            hint=f"See how far it is: nasplat status {study.name}",
        )
    if best:
        return [_best(study, best, complete)]
    if pareto:
        numbers = [row["number"] for row in study.pareto()]
        by_number = {trial.number: trial for trial in complete}
        return [by_number[number] for number in numbers]
    return [_by_digest(study, arch or "", complete)]


def _best(study: Study, text: str, trials: list[TrialRecord]) -> TrialRecord:
    metric, _, rest = (part.strip() for part in text.partition(" where "))
    known = sorted({name for trial in trials for name in known_metrics(trial)})
    bounds = [
        parse_constraint(part, known) for part in re.split(r",|\band\b", rest) if part.strip()
    ]
    if metric not in known:
        raise UsageError(f"unknown metric {metric!r}; known: {', '.join(known)}")
    directions = {
        objective.metric: objective.direction for objective in objectives_of(study.record)
    }
    directions = {**{name: "min" for name in known}, **study.task.metrics, **directions}
    objective = Objective(metric, "max" if directions[metric] == "max" else "min")
    kept = [trial for trial in trials if violation(bounds, known_metrics(trial)) <= 0]
    kept = [trial for trial in kept if metric in known_metrics(trial)]
    if not kept:
        ranges = "; ".join(_range(bound.metric, trials) for bound in bounds)
        raise NotFoundError(f"no complete trial of {study.name!r} keeps {rest!r}; {ranges}")
    others = [other for other in objectives_of(study.record) if other.metric != metric]

    def key(trial: TrialRecord) -> tuple[float, ...]:
        values = known_metrics(trial)
        rest = minimised(others, values) or (math.inf,) * len(others)
        return (objective.minimised(values[metric]), *rest)

    return min(kept, key=key)


def _range(metric: str, trials: list[TrialRecord]) -> str:
    values = [known_metrics(trial)[metric] for trial in trials if metric in known_metrics(trial)]
    return f"{metric} goes from {min(values):g} to {max(values):g}"


def _by_digest(study: Study, prefix: str, trials: list[TrialRecord]) -> TrialRecord:
    wanted = prefix if prefix.startswith("g1:") else f"g1:{prefix}"
    found = {trial.digest: trial for trial in trials if trial.digest.startswith(wanted)}
    if not found:
        raise NotFoundError(
            f"no complete trial of {study.name!r} has a digest that begins with {prefix!r}",
            hint=f"List them: nasplat trials {study.name} --sort accuracy",
        )
    if len(found) > 1:
        raise UsageError(f"{prefix!r} begins several digests: {', '.join(sorted(found))}")
    return next(iter(found.values()))


def export_winner(
    study: Study,
    trial: TrialRecord,
    out: Path,
    *,
    seeds: int = 1,
    epochs: int | None = None,
    overwrite: bool = False,
    say: Say = lambda text: None,
) -> Winner:
    """Retrain a winner, export it and verify the export.

    Args:
        study: The study that found it.
        trial: The winner.
        out: Folder of the export; must not exist unless ``overwrite``.
        seeds: How often it is trained; the model with the best validation metric is exported, the
            spread over seeds is recorded.
        epochs: Length of the training; by default that of the study.
        overwrite: Replace an earlier export.
        say: Told what happens, one line at a time.

    Raises:
        ExportError: The folder exists, or an artefact does not verify.
        TrialFailure: Training diverged.
    """
    if seeds < 1:
        raise UsageError(f"seeds must be at least 1, got {seeds}")
    graph = _graph(study, trial)
    length = epochs or study.settings.final_epochs
    models = _train(study, trial, graph, seeds, length, say)
    task = study.task
    metric = next(iter(task.metrics))
    sign = 1.0 if task.metrics[metric] == "max" else -1.0
    chosen = max(models, key=lambda model: sign * model.metrics[metric])
    say(f"exporting and verifying {trial.digest[:11]}")
    report = export_model(
        graph,
        chosen.module,
        out,
        manifest=_manifest(study, trial, models, chosen, length),
        calibration=_calibration(task),
        evaluation=_test_split(task),
        overwrite=overwrite,
    )
    test = read_manifest(out)["evaluation"]["onnxruntime"]
    study.store.add_artifact(
        ArtifactRecord(
            digest=trial.digest,
            kind="export",
            path=str(out.resolve()),
            study=study.name,
            number=trial.number,
            data={"test": test, "validation": dict(chosen.metrics), "verified": report.ok},
        )
    )
    return Winner(trial.digest, out, dict(chosen.metrics), test, report.ok, report.max_difference)


def _graph(study: Study, trial: TrialRecord) -> Graph:
    record = study.store.architecture(trial.digest)
    return graph_from_json(record.graph, ops_of(study.settings.op_files))


def _train(
    study: Study, trial: TrialRecord, graph: Graph, seeds: int, epochs: int, say: Say
) -> list[TrainedModel]:
    recipe = Recipe.from_mapping(trial.recipe)
    models = []
    for number in range(seeds):
        say(f"training {trial.digest[:11]} for {epochs} epochs, seed {number + 1} of {seeds}")
        seed = trial_seed(study.record.seed + number, f"winner {trial.digest}")
        models.append(train_final(graph, study.task, recipe, epochs, seed))
    return models


def _arrays(task: Task, batch: Batch) -> dict[str, NDArray[Any]]:
    named = zip(task.inputs, batch.inputs, strict=True)
    return {name: tensor.numpy() for name, tensor in named}


def _calibration(task: Task) -> list[dict[str, NDArray[Any]]]:
    """Some training data, for the ranges of quantised activations."""
    batches = zip(
        range(CALIBRATION_BATCHES),
        task.batches("train", min(BATCH, task.evaluation_batch)),
        strict=False,
    )
    return [_arrays(task, batch) for _, batch in batches]


def _test_split(task: Task) -> Evaluation:
    """The test split and its metrics; the only place that reads it."""
    batches = list(task.test(min(BATCH, task.evaluation_batch)))

    def score(outputs: Iterable[Mapping[str, NDArray[Any]]]) -> Mapping[str, float]:
        meter = task.meter()
        for batch, named in zip(batches, outputs, strict=True):
            tensors = {name: torch.from_numpy(value) for name, value in named.items()}
            single = len(tensors) == 1
            meter.add(next(iter(tensors.values())) if single else tensors, batch.targets)
        return meter.result()

    return [_arrays(task, batch) for batch in batches], score


def _manifest(
    study: Study,
    trial: TrialRecord,
    models: list[TrainedModel],
    chosen: TrainedModel,
    epochs: int,
) -> dict[str, Any]:
    spread = {
        name: _mean_and_error([model.metrics[name] for model in models]) for name in chosen.metrics
    }
    task = study.task
    return {
        "study": study.name,
        "trial": trial.number,
        "space": {"name": study.record.space.name, "version": trial.space_version},
        "genotype": trial.genotype,
        "digest": trial.digest,
        "costs": dict(trial.costs),
        "search_metrics": dict(trial.metrics),
        "recipe": trial.recipe,
        "training": {"epochs": epochs, "seeds": len(models), "over_seeds": spread},
        "validation_metrics": dict(chosen.metrics),
        "evaluation_split": "test",
        "task": {
            "name": task.name,
            "fingerprint": task.fingerprint,
            "preprocessing": dict(task.preprocessing),
        },
        "classes": list(task.classes),
        "hardware": study.settings.device,
    }


def _mean_and_error(values: list[float]) -> dict[str, float | None]:
    """Mean, and its standard error where there are several values."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "standard_error": error}
