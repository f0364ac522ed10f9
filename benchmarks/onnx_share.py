"""The share of random candidates of every space that run the same in ONNX Runtime as in torch.

    python benchmarks/onnx_share.py [--spaces cell unet ...] [--count 34]

Candidates are exported in floating point with an open batch axis and compared at a batch of three. Prints the
share whose largest difference is at most 1e-4, relative to the largest output where that is above 1, and what
went wrong with the others. Half a second to some seconds for a candidate.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import torch

from nasplat import content
from nasplat.export.onnx import to_onnx
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.graph.op import FLOAT
from nasplat.space.load import examples, load_space
from nasplat.space.space import unchecked

MOST = 1e-4


def in_floating_point(graph: Graph) -> Graph:
    """The graph without narrow nodes: integer arithmetic has bounds of its own."""
    nodes = tuple(replace(node, bits=FLOAT) for node in graph.nodes)
    return Graph(graph.inputs, nodes, graph.outputs)


def difference(graph: Graph) -> float:
    """Between the module and its export, at a batch of three."""
    module = lower(graph, seed=0).eval()
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


def main() -> None:
    """Export, compare and print."""
    every = [name for name in content.names("search_spaces") if examples(name)]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=every)
    parser.add_argument("--count", type=int, default=34, help="candidates of each space")
    options = parser.parse_args()
    for name in options.spaces:
        rng = random.Random(0)
        with unchecked():
            spaces = [load_space(name, types) for types in examples(name).values()]
        equal = 0
        for number in range(options.count):
            space = spaces[number % len(spaces)]
            graph = in_floating_point(space.build(space.sample(rng)).graph)
            try:
                met = difference(graph)
            except Exception as error:  # whatever the exporter or the runtime raises is counted
                print(f"  {number}: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
                continue
            equal += met <= MOST
            if met > MOST:
                print(f"  {number}: differs by {met:.1e}")
        print(
            f"{name:<12} {equal} of {options.count} candidates equal ({equal / options.count:.0%})"
        )


if __name__ == "__main__":
    main()
