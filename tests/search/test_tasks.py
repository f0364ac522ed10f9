"""Studies on every kind of task, from the search to the verified export, with a space of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasplat.search.study import Study
from nasplat.search.winners import choose, export_winner
from nasplat.tasks.load import load_task

SPACE = '''"""Two convolutions and the head that the task needs."""

from nasplat.graph.types import Ids, Image, Logits, Series, Tokens
from nasplat.ops.conv import Conv
from nasplat.ops.dense import PixelHead
from nasplat.ops.head import ClassifierHead
from nasplat.ops.series import SeriesHead, ToTokens
from nasplat.ops.text import LMHead, TokenEmbedding
from nasplat.space.decisions import Choice
from nasplat.space.space import Space


def space(task):
    (given,), (wanted,) = task.inputs.values(), task.outputs.values()
    causal = isinstance(wanted, Tokens)
    body = Conv(channels=Choice(4, 8), kernel=3, norm="rms" if causal else "batch", causal=causal)
    if isinstance(given, Ids):
        body = TokenEmbedding(dim=8) >> body
    if causal:
        head = LMHead(vocabulary=wanted.dim)
    elif isinstance(wanted, Logits):
        head = ClassifierHead(classes=wanted.classes)
        if isinstance(given, Series):
            head = ToTokens() >> head
    elif isinstance(wanted, Series):
        form = "patch" if wanted.length == given.length else "linear"
        head = SeriesHead(channels=wanted.channels, length=wanted.length, form=form)
    else:
        head = PixelHead(classes=wanted.shape[0])
    return Space(body >> head, task.inputs, task.outputs, name="chains")
'''

TASKS = {
    "scenes?count=60&size=16": "miou",
    "stdlib-text?size=20000&length=16": "bits_per_byte",
    "stdlib-text?size=20000&length=16&objective=masked": "bits_per_byte",
    "digits-rows": "accuracy",
    "digits-stream?stride=20": "mse",
    "digits-mixed?count=60": "si_sdr",
    "digits-noisy": "psnr",
}


@pytest.fixture
def space_file(tmp_path: Path) -> str:
    (tmp_path / "chains.py").write_text(SPACE)
    return str(tmp_path / "chains.py")


def study_on(task: str, space_file: str, tmp_path: Path) -> Study:
    study = Study.create(
        "s",
        space=space_file,
        task=task,
        budget="2trials",
        storage=f"sqlite:///{tmp_path / 'results.db'}",
        strategy="random",
        executor="inline",
        objectives=[next(iter(load_task(task).metrics)), "params:min"],
        epochs=1,
        min_epochs=1,
    )
    study.run()
    return study


@pytest.mark.parametrize(("task", "metric"), TASKS.items())
def test_a_study_optimises_the_metric_of_its_task(
    task: str, metric: str, space_file: str, tmp_path: Path
) -> None:
    study = study_on(task, space_file, tmp_path)
    trials = study.trials()
    assert [trial.failure for trial in trials] == [None, None]
    assert all(set(trial.metrics) >= set(study.task.metrics) for trial in trials)
    first = study.status()["objectives"][0]
    assert first == {"metric": metric, "direction": study.task.metrics[metric]}
    (best,) = choose(study, best=metric)
    values = [trial.metrics[metric] for trial in trials]
    assert best.metrics[metric] == (max if first["direction"] == "max" else min)(values)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "metric"), TASKS.items())
def test_a_winner_scores_the_same_through_onnx(
    task: str, metric: str, space_file: str, tmp_path: Path
) -> None:
    study = study_on(task, space_file, tmp_path)
    (trial,) = choose(study, best=metric)
    winner = export_winner(study, trial, tmp_path / "winner", epochs=1)
    assert winner.verified and winner.difference < 1e-4
    manifest = json.loads((tmp_path / "winner" / "manifest.json").read_text())
    assert manifest["evaluation"]["examples"] == study.task.sizes["test"]
    assert list(manifest["evaluation"]["trained"]) == list(study.task.metrics)
    assert manifest["task"]["preprocessing"] == dict(study.task.preprocessing)
    assert (
        "float32" in (tmp_path / "winner" / "README.md").read_text()
        or "int64" in (tmp_path / "winner" / "README.md").read_text()
    )
