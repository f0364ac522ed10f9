"""What random candidates of a space must do as ONNX: give in ONNX Runtime what the module gives in torch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import torch

from nasplat.export.onnx import to_onnx
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.graph.op import FLOAT
from nasplat.space.load import examples, load_space
from nasplat.space.space import unchecked

LARGEST_DIFFERENCE = 1e-4
"""Relative to the largest output where that is above 1, else absolute."""


def floating_candidates(name: str, count: int, seed: int) -> Iterator[Graph]:
    """Graphs of random candidates of a shipped space in floating point, its examples in turn.

    Args:
        name: The space.
        count: Candidates over all examples.
        seed: Of the random choices.
    """
    rng = random.Random(seed)
    with unchecked():
        spaces = [load_space(name, types) for types in examples(name).values()]
    for number in range(count):
        space = spaces[number % len(spaces)]
        yield in_floating_point(space.build(space.sample(rng)).graph)


def in_floating_point(graph: Graph) -> Graph:
    """The graph without narrow nodes: integer arithmetic has bounds of its own."""
    nodes = tuple(replace(node, bits=FLOAT) for node in graph.nodes)
    return Graph(graph.inputs, nodes, graph.outputs)


def difference(graph: Graph, batch: int = 3) -> float:
    """Largest difference between a module and its export with an open batch axis.

    Args:
        graph: Lowered with seed 0.
        batch: Examples that both compute, seeded.

    Returns:
        Relative to the largest element of the output where that is above 1; NaN where one is NaN.

    Raises:
        ExportError: A node cannot be exported.
        Exception: Whatever ONNX Runtime raises for the model.
    """
    module = lower(graph, seed=0).eval()
    model = to_onnx(graph, module, batch=None)
    generator = torch.Generator().manual_seed(0)
    inputs = [kind.example(batch, generator) for kind in graph.inputs.values()]
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {item.name: x.numpy() for item, x in zip(session.get_inputs(), inputs, strict=True)}
    names = [item.name for item in session.get_outputs()]
    met = dict(zip(names, session.run(names, feed), strict=True))
    with torch.no_grad():
        result = module(*inputs)
    expected = result if isinstance(result, dict) else {next(iter(graph.outputs)): result}
    largest = [
        np.abs(met[name] - value.numpy()).max() / max(1.0, float(value.abs().max()))
        for name, value in expected.items()
    ]
    return float(np.max(largest))  # NaN stays NaN, which Python's max may lose
