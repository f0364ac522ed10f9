"""Channel scales that move between neighbouring layers and leave the function of a model as it is.

What they make alike are the ranges of channels, so that fewer levels are enough when numbers are rounded.
The rewrite finds its places in a trace of the model down to layers; parts that cannot be traced stay as
they are.

References:
    [Nagel2019] M. Nagel et al. Data-free quantization through weight equalization and bias correction.
        ICCV 2019.
    [Li2023] Z. Li et al. RepQ-ViT: scale reparameterization for post-training quantization of vision
        transformers. ICCV 2023.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from nasplat.graph.fake_quant import LAYERS, QuantEmbedding, QuantLayer
from nasplat.ops.modules.norm import RMSNorm

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_THROUGH = (nn.ReLU, nn.Identity)
"""What a positive factor passes."""
_NORMS = (nn.LayerNorm, RMSNorm)
LIMIT = 100.0
"""Largest factor, and one over the smallest."""
PASSES = 4
"""How often chains are made even: neighbours pull at each other."""


class _Layers(fx.Tracer):
    """Traces down to layers; parts named in ``opaque`` are not entered."""

    def __init__(self, opaque: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.opaque = opaque

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, (*LAYERS, *_BATCH_NORMS, *_NORMS, *_THROUGH))
        return (
            known
            or module_qualified_name in self.opaque
            or super().is_leaf_module(m, module_qualified_name)
        )


def trace_layers(module: nn.Module) -> fx.Graph | None:
    """The layers of a model and what flows between them, or ``None`` if nothing can be traced."""
    opaque = set()
    for name, child in module.named_children():
        try:
            _Layers().trace(child)
        except Exception:
            opaque.add(name)
    try:
        return _Layers(frozenset(opaque)).trace(module)
    except Exception:
        return None


@dataclass(frozen=True)
class Chain:
    """Two layers one after the other, with at most a batch norm and ReLU between them.

    Attributes:
        first: Gives channels.
        norm: Batch norm after it, or ``None``.
        second: Reads them.
    """

    first: nn.Module
    norm: nn.Module | None
    second: nn.Module


def _layer(module: nn.Module | None) -> bool:
    return isinstance(module, (nn.Linear, *_CONVOLUTIONS)) and not isinstance(
        module, QuantEmbedding
    )


def _called(node: fx.Node, modules: Mapping[str, nn.Module]) -> nn.Module | None:
    return modules.get(str(node.target)) if node.op == "call_module" else None


def chains(module: nn.Module) -> list[Chain]:
    """All chains whose layers are used once each, in the order in which they are computed."""
    graph, modules = trace_layers(module), dict(module.named_modules())
    if graph is None:
        return []
    uses = Counter(id(_called(node, modules)) for node in graph.nodes)
    found = []
    for node in graph.nodes:
        first, norm, at = _called(node, modules), None, node
        if first is None or not _layer(first) or uses[id(first)] > 1:
            continue
        while len(at.users) == 1:
            at = next(iter(at.users))
            met = _called(at, modules)
            if met is None or (uses[id(met)] > 1 and not isinstance(met, _THROUGH)):
                break
            if _layer(met):
                # Channels of a convolution are axis 1, of a linear layer the last.
                if isinstance(first, nn.Linear) == isinstance(met, nn.Linear):
                    found.append(Chain(first, norm, met))
                break
            if isinstance(met, _BATCH_NORMS) and norm is None and met.affine:
                norm = met
            elif not isinstance(met, _THROUGH):
                break
    return found


def _by_input(layer: nn.Module) -> Tensor:
    """The weight as ``(groups, outputs, inputs, taps)`` of one group each; a view."""
    weight = layer.get_parameter("weight")
    groups = int(getattr(layer, "groups", 1))
    return weight.view(groups, weight.shape[0] // groups, weight.shape[1], -1)


def _scale_inputs(layer: nn.Module, factor: Tensor) -> None:
    weight = _by_input(layer)
    weight.mul_(factor.view(weight.shape[0], 1, weight.shape[2], 1))


def _even(numbers: Tensor) -> Tensor:
    return numbers.nan_to_num(1.0, posinf=1.0).clamp(1 / LIMIT, LIMIT)


@torch.no_grad()
def equalise(module: nn.Module) -> int:
    """Give the channels between two layers equal ranges on both sides [Nagel2019]; data is not needed.

    Args:
        module: In evaluation mode; changed in place.

    Returns:
        Number of chains.
    """
    found = chains(module)
    for _ in range(PASSES):
        for chain in found:
            weight = chain.first.get_parameter("weight")
            gives = weight.abs().flatten(1).amax(1)
            if chain.norm is not None:
                deviation = (chain.norm.get_buffer("running_var") + 1e-5).sqrt()
                gives = gives * chain.norm.get_parameter("weight").abs() / deviation
            takes = _by_input(chain.second).abs().amax((1, 3)).flatten()
            factor = torch.where((gives > 0) & (takes > 0), (gives / takes).sqrt(), 1.0)
            factor = _even(factor)
            for name, value in (chain.norm or chain.first).named_parameters(recurse=False):
                shape = [-1, *[1] * (value.dim() - 1)]
                if name in ("weight", "bias"):
                    value.div_(factor.view(shape))
            _scale_inputs(chain.second, factor)
    return len(found)


@torch.no_grad()
def fold_scales(module: nn.Module, batches: Iterable[tuple[Tensor, ...]]) -> int:
    """Let the layers behind a norm undo what makes its channels differ in range [Li2023].

    A factor for each channel goes into scale and shift of the norm, its inverse into the layers that read
    it: rounding the norm's result with one step is then as good as with a step for each channel.

    Args:
        module: In evaluation mode; changed in place.
        batches: Inputs on which the ranges are measured.

    Returns:
        Number of norms.
    """
    graph, modules = trace_layers(module), dict(module.named_modules())
    if graph is None:
        return 0
    uses = Counter(id(_called(node, modules)) for node in graph.nodes)
    places: list[tuple[nn.Module, list[nn.Module]]] = []
    for node in graph.nodes:
        norm, readers = _called(node, modules), [_called(user, modules) for user in node.users]
        layers = [item for item in readers if item is not None and _layer(item)]
        if not isinstance(norm, _NORMS) or norm.weight is None or uses[id(norm)] > 1:
            continue
        if layers and len(layers) == len(readers) and all(uses[id(item)] == 1 for item in layers):
            places.append((norm, layers))
    ranges = _ranges([norm for norm, _ in places], module, batches)
    for (norm, layers), reach in zip(places, ranges, strict=True):
        factor = _even(reach / reach.mean())
        for value in norm.parameters(recurse=False):
            value.div_(factor)
        for layer in layers:
            _scale_inputs(layer, factor)
    return len(places)


def _ranges(
    norms: list[nn.Module], module: nn.Module, batches: Iterable[tuple[Tensor, ...]]
) -> list[Tensor]:
    """The largest magnitude of each channel that comes out of each norm."""
    met: dict[int, Tensor] = {}

    def note(norm: nn.Module, _: Any, output: Tensor) -> None:
        width = norm.get_parameter("weight").shape[0]
        first = isinstance(norm, RMSNorm) and norm.axis == 1
        first = first or (isinstance(norm, nn.LayerNorm) and type(norm) is not nn.LayerNorm)
        flat = output.movedim(1 if first else -1, -1).reshape(-1, width).abs().amax(0)
        met[id(norm)] = torch.maximum(met[id(norm)], flat) if id(norm) in met else flat

    hooks = [norm.register_forward_hook(note) for norm in norms]
    try:
        for inputs in batches:
            module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return [met[id(norm)] for norm in norms]


def quantised_layers(module: nn.Module) -> list[QuantLayer]:
    """The layers of a model that round."""
    return [item for item in module.modules() if isinstance(item, QuantLayer)]
