"""Tests of exports of candidates of the shipped spaces: every op of the library must travel."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from nasplat.export.export import export_model
from nasplat.export.model import model_source
from nasplat.export.onnx import build_onnx
from nasplat.space.load import load_space
from nasplat.space.space import Space
from nasplat.tasks.load import load_task
from tests.export.nets import settle


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space("hybrid-vit", load_task("digits"))


def agrees(space: Space, rng: random.Random) -> None:
    """One random candidate computes the same in ONNX Runtime and as printed source."""
    candidate = space.build(space.sample(rng))
    graph = candidate.graph
    module = settle(candidate.module(), graph)
    x = next(iter(graph.inputs.values())).example(16, torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected: Any = module(x).numpy()
    artefact = build_onnx(graph, module, batch=None, calibration=[x.numpy()])
    session = ort.InferenceSession(artefact.model, providers=["CPUExecutionProvider"])
    met = session.run(None, {next(iter(graph.inputs)): x.numpy()})[0]
    gap = np.abs(met - expected)
    if artefact.layers:
        # Of few levels one step is large, and a sum on the border of two falls on either side.
        few = min(node.bits.activation for node in graph.live) < 8
        assert few or np.sqrt((gap**2).mean()) < 0.1 * expected.std(), candidate.genotype
        assert np.isfinite(met).all(), candidate.genotype
    else:
        assert gap.max() < 1e-4, candidate.genotype
    source, packages = model_source(graph, title="A candidate.")
    assert packages == ()
    found: dict[str, Any] = {"__name__": "model"}
    exec(compile(source, "model.py", "exec"), found)
    copy = found["build"]()
    copy.load_state_dict(module.state_dict())
    with torch.no_grad():
        assert np.abs(copy(x).numpy() - expected).max() < 1e-5


def test_random_candidates_compute_the_same_in_every_artefact(space: Space) -> None:
    rng = random.Random(11)
    for _ in range(4):
        agrees(space, rng)


@pytest.mark.slow
def test_many_random_candidates_compute_the_same_in_every_artefact(space: Space) -> None:
    rng = random.Random(12)
    for _ in range(25):
        agrees(space, rng)


@pytest.mark.slow
def test_exports_of_random_candidates_are_green(space: Space, tmp_path: Path) -> None:
    rng = random.Random(13)
    torch.manual_seed(13)  # whether rounding flips a step depends on the weights
    for number in range(3):
        candidate = space.build(space.sample(rng))
        module = settle(candidate.module(), candidate.graph)
        x = next(iter(candidate.graph.inputs.values())).example(64)
        report = export_model(
            candidate.graph, module, tmp_path / str(number), manifest={}, calibration=[x.numpy()]
        )
        assert report.ok, report.failures()
