"""Measured data of other people through the ordinary path: load by path, train two networks, score.

The data lie beside the checkout and are no part of it; without them these tests are skipped. Every set
must come out better than what needs no model: chance, the commonest class, the last value repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nasplat.evaluate.base import Context, Job
from nasplat.evaluate.train import TrainEvaluator
from nasplat.graph.digest import digest
from nasplat.graph.serialise import graph_to_json
from nasplat.graph.types import Ids, Image, Logits, Series, Tokens
from nasplat.tasks.base import Task
from nasplat.tasks.forecasting import ForecastingTask
from nasplat.tasks.load import load_task
from tests.tasks.nets import networks

DATA = Path(__file__).parents[3] / "shared" / "data" / "train"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not DATA.is_dir(), reason=f"there is no folder of training sets at {DATA}"),
]


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASPLAT_CACHE", str(tmp_path / "cache"))


def trained(
    task: Task, scratch: Path, *, epochs: int = 1, recipe: Mapping[str, Any], **net: Any
) -> list[dict[str, float]]:
    """What two networks score on the validation split, each trained by the evaluator of a worker."""
    found = []
    for number, graph in enumerate(networks(task, **net)):
        job = Job(
            trial=number,
            digest=digest(graph),
            graph=graph_to_json(graph),
            task=task.spec,
            fidelities=(epochs,),
            seed=number,
            recipe=recipe,
        )
        (scratch / str(number)).mkdir()
        reports = TrainEvaluator(device="cpu").evaluate(job, Context(scratch / str(number)))
        *_, last = reports
        assert last.final
        found.append(dict(last.metrics))
    print(task.describe(), found)
    return found


def types(task: Task) -> tuple[Any, Any]:
    return next(iter(task.inputs.values())), next(iter(task.outputs.values()))


def test_cifar10_as_encoded_images_in_two_files(tmp_path: Path) -> None:
    task = load_task(
        str(DATA / "cifar10_train_10000.npz"),
        test_file=str(DATA / "cifar10_test_2000.npz"),
        natural=True,
    )
    assert types(task) == (Image(3, 32, 32), Logits(10))
    assert task.sizes == {"train": 8888, "validation": 1112, "test": 2000}
    assert task.classes[:3] == ("airplane", "automobile", "bird")
    scores = trained(task, tmp_path, recipe={"batch_size": 64}, stride=2)
    assert min(score["accuracy"] for score in scores) > 0.25


def test_camvid_as_images_with_masks_and_void(tmp_path: Path) -> None:
    task = load_task(str(DATA / "camvid_72x96.npz"), void=11)
    assert types(task) == (Image(3, 72, 96), Image(11, 72, 96))
    assert task.sizes == {"train": 367, "validation": 101, "test": 233}
    # The commonest class alone: a third of all pixels at most, a mean of 0.03 over eleven classes.
    recipe = {"batch_size": 8, "lr": 0.01}
    scores = trained(task, tmp_path, epochs=3, recipe=recipe, width=8)
    assert min(score["pixel_accuracy"] for score in scores) > 0.5
    assert min(score["miou"] for score in scores) > 0.12


def test_tiny_shakespeare_as_a_packed_text(tmp_path: Path) -> None:
    task = load_task(str(DATA / "tinyshakespeare.txt.gz"))
    assert task.sizes == {"train": 15685, "validation": 871, "test": 871}
    assert types(task) == (Ids(64, 256), Tokens(64, 256))
    scores = trained(task, tmp_path, recipe={"batch_size": 64}, width=32)
    # The frequencies of the bytes alone give 4.8 bits.
    assert max(score["bits_per_byte"] for score in scores) < 3.6


def test_hidden_bytes_of_tiny_shakespeare(tmp_path: Path) -> None:
    task = load_task(str(DATA / "tinyshakespeare.txt.gz?objective=masked"), limit=300_000)
    (score, _) = trained(task, tmp_path, recipe={"batch_size": 64}, width=32)
    assert score["bits_per_byte"] < 4.8


def test_spoken_digits_as_mulaw_with_the_official_test_split(tmp_path: Path) -> None:
    task = load_task(
        str(DATA / "fsdd_mulaw8.npz"),
        label="digit",
        test="take<5",
        source_rate=8000,
        rate=4000,
        length=2048,
    )
    assert types(task) == (Series(1, 2048), Logits(10))
    assert task.sizes["test"] == 300
    recipe = {"batch_size": 32, "lr": 0.01}
    scores = trained(task, tmp_path, epochs=4, recipe=recipe, width=24, stride=4)
    assert min(score["accuracy"] for score in scores) > 0.25


def test_two_speakers_at_once(tmp_path: Path) -> None:
    task = load_task(
        str(DATA / "fsdd_mulaw8.npz?kind=separation&label=speaker"),
        source_rate=8000,
        rate=2000,
        length=1024,
        count=600,
    )
    assert types(task) == (Series(1, 1024), Series(2, 1024))
    (score, _) = trained(task, tmp_path, epochs=4, recipe={"batch_size": 16}, width=16)
    assert score["si_sdr_improvement"] > -1


def test_etth1_as_a_packed_table_with_the_official_splits(tmp_path: Path) -> None:
    task = load_task(str(DATA / "ETTh1.csv.gz"), time="date", rows="8640/2880/2880")
    assert isinstance(task, ForecastingTask)
    assert types(task) == (Series(7, 96), Series(7, 24))
    assert task.sizes == {"train": 8521, "validation": 2857, "test": 2857}
    assert task.channels == ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
    scores = trained(task, tmp_path, recipe={"batch_size": 64}, width=16)
    assert max(score["mse"] for score in scores) < task.naive["mse"]
