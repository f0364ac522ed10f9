"""Proxies that need no data: synaptic flow and the Zen score; both are logarithms, and always finite.

References:
    [Tanaka2020] H. Tanaka et al. Pruning neural networks without any data by iteratively conserving
        synaptic flow. NeurIPS 2020.
    [Lin2021] M. Lin et al. Zen-NAS: a zero-shot NAS for high-performance image recognition. ICCV 2021.
    [Krishnakumar2022] A. Krishnakumar et al. NAS-Bench-Suite-Zero. NeurIPS 2022 (data sets and benchmarks).
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from nasplat.evaluate.proxies.common import (
    LARGEST,
    SMALLEST,
    entries,
    gradients,
    hooked,
    layers,
    outermost_norms,
    tensors,
    trained,
)
from nasplat.ops.modules.norm import TokenBatchNorm
from nasplat.tasks.base import Batch, Task

ALPHA = 0.01
"""Size of the noise whose effect the Zen score looks at, as in the paper."""
REPEATS = 4
"""Draws of weights, inputs and noise that a Zen score is the mean of; the paper's code makes 32."""


def synflow(module: nn.Module, task: Task, batch: Batch) -> float:
    """Log of the sum of ``|weight * gradient|`` of a positive network on one input of ones [Tanaka2020].

    All parameters are replaced by their magnitudes, and what is differentiated is the sum of all outputs.
    Batch normalisation lets its input through, as in the paper: what divides by its input conserves no flow.
    Every other normalisation, of which the paper has none, divides by one number that counts as constant,
    the mean magnitude of its whole input: the flow stays positive and linear, and that of many gates and
    attentions in a row bounded. An input of whole numbers is all zeros. A flow that is beyond double
    precision counts as the largest number.
    """
    positive = copy.deepcopy(module).double().eval()
    with torch.no_grad():
        for parameter in positive.parameters():
            parameter.abs_()
    ones = [
        torch.ones_like(x[:1]).double() if x.is_floating_point() else torch.zeros_like(x[:1])
        for x in batch.inputs
    ]
    with hooked(outermost_norms(positive), _positive):
        total = sum((part.sum() for part in tensors(positive(*ones))), torch.zeros(()))
    weights = trained(positive)
    flow = sum(
        float((weight.detach() * gradient).abs().sum())
        for weight, gradient in zip(weights, gradients(total, weights), strict=True)
    )
    return math.log(min(max(flow, SMALLEST), LARGEST) if math.isfinite(flow) else LARGEST)


def _positive(norm: nn.Module, given: tuple[Any, ...], _: Any) -> Tensor:
    """What stands for a normalisation in a positive network: positive and linear in its input."""
    x: Tensor = given[0]
    if isinstance(norm, nn.modules.batchnorm._BatchNorm):
        return x
    return x / x.detach().abs().mean().clamp_min(SMALLEST)


def zen(module: nn.Module, task: Task, batch: Batch) -> float:
    """Zen score: log of how far noise moves the features, with what normalisations divided out put back.

    ``log E |f(x) - f(x + 0.01 e)| + sum of log s``: ``f`` is what reaches the last operation, weights of all
    linear maps, ``x`` and ``e`` are standard normal; ``s`` is for each batch normalisation the root of the
    mean variance of its channels [Lin2021]. For every other normalisation, of which the paper has none,
    ``s`` is by what the root mean square of its input was divided. Of inputs that are whole numbers the first
    real numbers that are made of them are moved. Skip connections stay, as in [Krishnakumar2022]; the
    paper's own code takes them out of its own blocks, which a free graph does not allow.
    """
    drawn = copy.deepcopy(module).train()
    generator = torch.Generator(batch.targets.device)
    for precision in (torch.float, torch.double):  # without normalisations single may not hold it
        drawn = drawn.to(precision)
        generator.manual_seed(torch.initial_seed() % 2**63)
        scores = [_zen_once(drawn, batch, generator) for _ in range(REPEATS)]
        if all(map(math.isfinite, scores)):
            return sum(scores) / REPEATS
    return math.log(LARGEST)


@torch.no_grad()
def _zen_once(module: nn.Module, batch: Batch, generator: torch.Generator) -> float:
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding | nn.modules.conv._ConvNd):
            part.weight.normal_(generator=generator)
            bias = getattr(part, "bias", None)
            if isinstance(bias, Tensor):
                bias.zero_()

    precision = next(module.parameters(), torch.zeros(())).dtype

    def noise(like: Tensor) -> Tensor:
        drawn = torch.empty_like(like, dtype=precision)
        return drawn.normal_(generator=generator)

    divided: list[float] = []

    def watch(part: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        divided.append(_divided(part, given[0], output))

    x = [noise(one) if one.is_floating_point() else one for one in batch.inputs]
    with hooked(outermost_norms(module), watch):
        features = _features(module, x)
    moved = [one + ALPHA * noise(one) if one.is_floating_point() else one for one in x]
    with entries(module, len(batch), lambda made: made + ALPHA * noise(made)):
        others = _features(module, moved)
    squares = [
        (one - other).flatten(1).double().square().sum(1)
        for one, other in zip(features, others, strict=True)
    ]
    distance = float(torch.stack(squares).sum(0).sqrt().mean())
    return math.log(max(distance, SMALLEST)) + sum(divided)


def _features(module: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """What the operations that give the outputs read; an output itself where none is known to give it."""
    calls: list[tuple[tuple[Any, ...], list[Tensor]]] = []

    def watch(_: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        calls.append((given, tensors(output)))

    with hooked(layers(module), watch):
        outputs = tensors(module(*inputs))
    found: list[Tensor] = []
    for output in outputs:
        read = [
            [x for x in given if isinstance(x, Tensor) and x.is_floating_point()]
            for given, made in calls
            if any(part is output for part in made)
        ]
        found += (read[-1] if read else []) or [output]
    return found


def _divided(norm: nn.Module, given: Tensor, output: Tensor) -> float:
    """Log of what a normalisation divided by; 0 where nothing is left to divide."""
    if isinstance(norm, nn.modules.batchnorm._BatchNorm):
        axis = -1 if isinstance(norm, TokenBatchNorm) else 1
        variance = given.movedim(axis, 0).flatten(1).var(1, correction=0).mean()
        return 0.5 * math.log(float(variance)) if variance > 0 else 0.0
    before, after = (float(x.square().mean().sqrt()) for x in (given, output))
    return math.log(before / after) if min(before, after) > SMALLEST else 0.0
