"""Random candidates of every shipped space as ONNX: nine in ten at least, equal to the module."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest
import torch

from nasplat import content
from nasplat.export.onnx import to_onnx
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.graph.op import FLOAT
from nasplat.space.load import examples, load_space
from nasplat.space.space import unchecked
from tests.export.nets import settle

SPACES = [name for name in content.names("search_spaces") if examples(name)]
CANDIDATES = 34
"""Of each space: 200 and a few over all."""
MOST = 1e-4
"""Largest difference, relative to the largest output where that is above 1."""


def in_floating_point(graph: Graph) -> Graph:
    """The graph without narrow nodes: integer arithmetic has bounds of its own."""
    nodes = tuple(replace(node, bits=FLOAT) for node in graph.nodes)
    return Graph(graph.inputs, nodes, graph.outputs)


def difference(graph: Graph) -> float:
    """Between the module and its export, at a batch of three."""
    module = settle(lower(graph, seed=0), graph)
    model = to_onnx(graph, module, batch=None)
    inputs = [kind.example(3) for kind in graph.inputs.values()]
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {item.name: x.numpy() for item, x in zip(session.get_inputs(), inputs, strict=True)}
    names = [item.name for item in session.get_outputs()]
    met = dict(zip(names, session.run(names, feed), strict=True))
    with torch.no_grad():
        result = module(*inputs)
    expected = result if isinstance(result, dict) else {next(iter(graph.outputs)): result}
    return max(
        float(np.abs(met[name] - value.numpy()).max()) / max(1.0, float(value.abs().max()))
        for name, value in expected.items()
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SPACES)
def test_nine_in_ten_candidates_run_the_same_in_onnx_runtime(name: str) -> None:
    rng = random.Random(0)
    kinds = list(examples(name).values())
    with unchecked():
        spaces = [load_space(name, types) for types in kinds]
    declared = 0
    for number in range(CANDIDATES):
        space = spaces[number % len(spaces)]
        graph = in_floating_point(space.build(space.sample(rng)).graph)
        if any(node.op.onnx_reason for node in graph.live):
            declared += 1
        else:
            assert difference(graph) <= MOST, f"candidate {number}"
    assert declared <= CANDIDATES // 10
