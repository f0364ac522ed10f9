"""What proxies share: weights, gradients, normalisations, and the places where inputs become real numbers.

It knows torch and batches; it scores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nasplat.ops.modules import norm
from nasplat.tasks.base import Batch

LARGEST = torch.finfo(torch.double).max
SMALLEST = torch.finfo(torch.double).tiny

NORMALISATIONS: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    norm.RMSNorm,
    norm.UnitNorm,
    norm.BiasNorm,
    norm.UnifiedNorm,
    norm.BatchInstanceNorm,
    norm.RepBatchNorm,
)
"""Layers that divide by a statistic of what they are given and keep its shape."""


def trained(module: nn.Module) -> list[nn.Parameter]:
    """The weights that proxies sum over: matrices and kernels that training changes.

    Biases and the scales and shifts of normalisations do not count, as in the papers, where only weights
    that could be pruned do.
    """
    return [weight for weight in module.parameters() if weight.requires_grad and weight.dim() >= 2]


def tensors(output: Any) -> list[Tensor]:
    """The tensors of what a module returned: one, several, or several by name."""
    if isinstance(output, Tensor):
        return [output]
    parts = output.values() if isinstance(output, dict) else output
    return [part for part in parts if isinstance(part, Tensor)]


def gradients(total: Tensor, of: Sequence[Tensor], *, create_graph: bool = False) -> list[Tensor]:
    """Gradients of a scalar, zeros where it does not depend on a tensor."""
    if not of or not total.requires_grad:
        return [torch.zeros_like(tensor) for tensor in of]
    found = torch.autograd.grad(total, of, allow_unused=True, create_graph=create_graph)
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(of, found, strict=True)
    ]


def layers(module: nn.Module) -> list[nn.Module]:
    """The operations of a lowered graph; a module without parts is its own only one."""
    return list(module.children()) or [module]


@contextmanager
def hooked(
    modules: Sequence[nn.Module], hook: Callable[[nn.Module, tuple[Any, ...], Any], Any]
) -> Iterator[None]:
    """Have ``hook(module, inputs, output)`` called behind modules; what it returns replaces the output."""
    handles = [part.register_forward_hook(hook) for part in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def entries(
    module: nn.Module, examples: int, replace: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """Replace what is made of whole numbers, such as embeddings of a text.

    Nothing is differentiable in integers, nor can anything small be added to them: what the operations
    that read them make of them stands for them.

    Args:
        module: The network.
        examples: Size of the batch.
        replace: Gives another tensor of the same shape.
    """

    def changed(part: Any) -> Any:
        real = isinstance(part, Tensor) and part.is_floating_point() and len(part) == examples
        return replace(part) if real else part

    def watch(_: nn.Module, given: tuple[Any, ...], output: Any) -> Any:
        if not any(isinstance(x, Tensor) and not x.is_floating_point() for x in given):
            return None
        if isinstance(output, dict):
            return {name: changed(part) for name, part in output.items()}
        if isinstance(output, Tensor):
            return changed(output)
        return type(output)(map(changed, output))

    with hooked(layers(module), watch):
        yield


def outermost_norms(module: nn.Module) -> list[nn.Module]:
    """The normalisations that are not part of another one."""
    if isinstance(module, NORMALISATIONS):
        return [module]
    return [found for part in module.children() for found in outermost_norms(part)]


def apart(output: Tensor, examples: int) -> Tensor | None:
    """``(examples, parts, ...)`` of what a module made, ``None`` when it belongs to no single example.

    Modules inside an operation often see parts of an example, such as windows, as further examples; those
    of one example lie together.
    """
    if output.dim() == 0 or len(output) % examples or not output.is_floating_point():
        return None
    return output.reshape(examples, len(output) // examples, *output.shape[1:])


def doubled(batch: Batch) -> Batch:
    """The batch with real numbers in double precision."""
    inputs = tuple(x.double() if x.is_floating_point() else x for x in batch.inputs)
    targets = batch.targets
    return Batch(inputs, targets.double() if targets.is_floating_point() else targets)


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Put buffers (running statistics) back afterwards."""
    kept = [buffer.clone() for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(module.buffers(), kept, strict=True):
                buffer.copy_(value)
