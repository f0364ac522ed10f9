"""From a typed graph to a torch module that prints, exports, compiles and quantises with torch's own tools.

Every live node becomes a sub-module, every sharing group one; the forward pass is a ``torch.fx`` graph.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping

import torch
from torch import fx, nn

from nasplat.graph.fake_quant import fake_quantise
from nasplat.graph.graph import Graph


def attribute(path: str) -> str:
    """The Python name for the path of a node: ``stages.0.mixer`` becomes ``stages_0_mixer``."""
    name = "".join(letter if letter.isalnum() else "_" for letter in path)
    return name if name.isidentifier() else f"_{name}"


def module_names(graph: Graph) -> Mapping[str, str]:
    """The attribute that holds the module of each live node; one for a whole sharing group."""
    names: dict[str, str] = {}
    groups: dict[str, str] = {}
    taken = {attribute(name) for name in graph.inputs}
    for node in graph.live:
        if node.share in groups:
            names[node.name] = groups[node.share]
            continue
        name = base = attribute(node.name)
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        names[node.name] = name
        if node.share is not None:
            groups[node.share] = name
    return names


def lower(graph: Graph, seed: int | None = None) -> fx.GraphModule:
    """Build the torch module of a graph.

    Args:
        graph: Its live nodes become sub-modules named by :func:`module_names`.
        seed: Seeds the initial weights without touching torch's global state; ``None`` draws from it.

    Returns:
        A module that takes one tensor for each input, in order, and returns the output, or a dict by
        name when there are several.
    """
    if seed is None:
        return _lower(graph)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _lower(graph)


def _lower(graph: Graph) -> fx.GraphModule:
    root = nn.Module()
    names = module_names(graph)
    program = fx.Graph()
    at: dict[str, fx.Node] = {name: program.placeholder(attribute(name)) for name in graph.inputs}
    for node in graph.live:
        name = names[node.name]
        if not hasattr(root, name):
            module = node.op.module(*graph.input_types(node))
            if node.bits.quantised:
                module = fake_quantise(module, node.bits)
            if node.frozen:
                module.requires_grad_(False)
            root.add_module(name, module)
        result = program.call_module(name, tuple(at[ref] for ref in node.inputs))
        at[node.name] = result
        if f"{node.name}:1" in graph.types:
            at[node.name] = program.call_function(operator.getitem, (result, 0))
            port = 1
            while f"{node.name}:{port}" in graph.types:
                at[f"{node.name}:{port}"] = program.call_function(operator.getitem, (result, port))
                port += 1
    outputs = {name: at[ref] for name, ref in graph.outputs.items()}
    program.output(next(iter(outputs.values())) if len(outputs) == 1 else outputs)
    program.lint()
    return fx.GraphModule(root, program, class_name="Model")
