"""A results database as a search leaves it, and a way to run the command line on it.

The store is the real one; the trials' numbers are written by hand, so that what is printed is known.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nasplat.cli.main import run
from nasplat.errors import Failure
from nasplat.graph.serialise import graph_to_json
from nasplat.hardware.device import find_device
from nasplat.ops.conv import Conv, DepthwiseConv
from nasplat.ops.head import ClassifierHead
from nasplat.search.settings import Settings
from nasplat.space.decisions import Choice, Int
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.space.wiring import Steps
from nasplat.store.records import (
    ArtifactRecord,
    DeviceRecord,
    FinishedTrial,
    MeasurementRecord,
    NewReport,
    NewStudy,
    NewTrial,
    SpaceRecord,
    TrialState,
)
from nasplat.store.store import Store
from nasplat.tasks.load import load_task

OBJECTIVES = (
    {"metric": "accuracy", "direction": "max"},
    {"metric": "latency_ms", "direction": "min"},
)
VALUES = ((0.91, 0.30), (0.95, 0.55), (0.90, 0.70), (0.97, 1.40))
FRONT = (0, 1, 3)
DEVICE = find_device("cpu")


@dataclass(frozen=True)
class Result:
    """What one command line did."""

    code: int
    out: str
    err: str


Runner = Callable[..., Result]


@pytest.fixture
def nasplat(capsys: pytest.CaptureFixture[str]) -> Runner:
    """Run a command line in this process."""

    def call(*words: str) -> Result:
        capsys.readouterr()
        code = run(words)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def candidates(count: int) -> list[NewTrial]:
    """Distinct candidates of a small space on the digits."""
    task = load_task("digits")
    body = Steps(
        stem=Conv(channels=Choice(8, 12, 16), norm="batch"),
        blocks=Repeat(DepthwiseConv(kernel=Choice(3, 5)), times=Int(1, 3)),
        head=ClassifierHead(classes=10),
    )
    space = Space(body, task.inputs, task.outputs, name="small")
    rng, found = random.Random(0), {}
    while len(found) < count:
        candidate = space.build(space.sample(rng))
        found[candidate.digest] = NewTrial(
            digest=candidate.digest,
            genotype=dict(candidate.genotype),
            graph=graph_to_json(candidate.graph),
            costs=candidate.cost.as_dict(),
            proposed_by="random",
            origin={"parents": [0]} if found else {},
        )
    return list(found.values())


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database with the study ``flowers``: five trials, one of them failed."""
    url = f"sqlite:///{tmp_path / 'results.db'}"
    monkeypatch.setenv("NASPLAT_STORAGE", url)
    with Store.open(url) as store:
        add_study(store, "flowers")
    return url


def add_study(store: Store, name: str) -> None:
    """Add a study with four complete trials, three on the front, and one that diverged."""
    store.create_study(
        NewStudy(
            name=name,
            space=SpaceRecord("small", "s1:00", 18),
            task="digits",
            task_fingerprint="t1:00",
            task_spec=load_task("digits").spec,
            objectives=OBJECTIVES,
            budget=[{"unit": "trials", "limit": 5}],
            settings=Settings(space="small", device=DEVICE.to_json()).to_json(),
        )
    )
    new = candidates(len(VALUES) + 1)
    done = [
        FinishedTrial(
            trial,
            [
                NewReport(3, {"accuracy": accuracy - 0.1, "latency_ms": latency}, 1.0),
                NewReport(9, {"accuracy": accuracy, "latency_ms": latency}, 2.0),
            ],
        )
        for trial, (accuracy, latency) in zip(new, VALUES, strict=False)
    ]
    done.append(
        FinishedTrial(
            new[-1],
            [NewReport(3, {"accuracy": float("nan"), "latency_ms": 0.2}, 0.5)],
            state=TrialState.FAILED,
            failure=Failure.DIVERGED,
            message="the loss is not finite",
        )
    )
    store.record(name, done)
    store.set_front(name, FRONT)
    store.put_device(DeviceRecord(DEVICE.fingerprint, str(DEVICE), DEVICE.to_json()))
    store.put_measurements(
        [MeasurementRecord(new[1].digest, DEVICE.fingerprint, "latency_ms", 0.55, spread=0.01)]
    )
    store.add_artifact(ArtifactRecord(new[1].digest, "export", "exports/flowers", study=name))
