"""What random candidates of a space must do as ONNX: give in ONNX Runtime what the module gives in torch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from nasplat.export.onnx import to_onnx
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.graph.op import FLOAT
from nasplat.space.load import examples, load_space
from nasplat.space.space import unchecked

Outputs = dict[str, NDArray[Any]]

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
        graph: Lowered with seed 0, its norms settled on one batch.
        batch: Examples that both compute, seeded.

    Returns:
        Relative to the largest element of the output where that is above 1; NaN where one is NaN.

    Raises:
        ExportError: A node cannot be exported.
        Exception: Whatever ONNX Runtime raises for the model.
    """
    module = _settled(graph)
    model = to_onnx(graph, module, batch=None)
    inputs = _inputs(graph, batch)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {item.name: x.numpy() for item, x in zip(session.get_inputs(), inputs, strict=True)}
    names = [item.name for item in session.get_outputs()]
    met = dict(zip(names, session.run(names, feed), strict=True))
    return _largest(met, _run(graph, module, inputs))


def unsteadiness(graph: Graph, batch: int = 3, tries: int = 4) -> float:
    """Largest difference between a module and itself, its weights moved by a millionth at random.

    About what the order of sums moves. A module gives another result then if a hard choice in it, as the
    largest k, is a tie up to rounding, or a norm blows up something all but constant; its export may too.

    Args:
        graph: As for :func:`difference`, and measured alike.
        batch: Examples that both compute, the same as there.
        tries: Random moves.
    """
    module = _settled(graph)
    inputs = _inputs(graph, batch)
    expected = _run(graph, module, inputs)
    weights = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    largest = []
    for _ in range(tries):
        with torch.no_grad():
            for name, weight in module.named_parameters():
                moved = 1 + 1e-6 * torch.randn(weight.shape, generator=generator)
                weight.copy_(weights[name] * moved)
        largest.append(_largest(_run(graph, module, inputs), expected))
    return max(largest)


def _settled(graph: Graph) -> nn.Module:
    """The module of a graph after one training batch, so that norms know their ranges."""
    module = lower(graph, seed=0).train()
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            child.momentum = None  # the first batch counts fully
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        module(*_inputs(graph, 4, seed=1))
    return module.eval()


def _inputs(graph: Graph, batch: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [kind.example(batch, generator) for kind in graph.inputs.values()]


def _run(graph: Graph, module: nn.Module, inputs: list[torch.Tensor]) -> Outputs:
    with torch.no_grad():
        result = module(*inputs)
    named = result if isinstance(result, dict) else {next(iter(graph.outputs)): result}
    return {name: value.numpy() for name, value in named.items()}


def _largest(met: Outputs, expected: Outputs) -> float:
    """Over all outputs, relative to the largest element of each where that is above 1."""
    largest = [
        np.abs(met[name] - value).max() / max(1.0, float(np.abs(value).max()))
        for name, value in expected.items()
    ]
    return float(np.max(largest))  # NaN stays NaN, which Python's max may lose
