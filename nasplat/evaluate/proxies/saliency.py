"""Proxies from the gradient of the loss on one batch: gradient norm, SNIP, GraSP, Fisher.

Weights are matrices and kernels (see ``common.trained``). Each score is a sum over all of them, or over all
channels, as [Abdelfattah2021] turn measures of pruning into measures of networks.

References:
    [Abdelfattah2021] M. Abdelfattah et al. Zero-cost proxies for lightweight NAS. ICLR 2021.
    [Lee2019] N. Lee, T. Ajanthan, P. Torr. SNIP: single-shot network pruning based on connection
        sensitivity. ICLR 2019.
    [Wang2020] C. Wang, G. Zhang, R. Grosse. Picking winning tickets before training by preserving gradient
        flow. ICLR 2020.
    [Theis2018] L. Theis et al. Faster gaze prediction with dense networks and Fisher pruning. 2018.
    [Turner2020] J. Turner et al. BlockSwap: Fisher-guided block substitution for network compression on a
        budget. ICLR 2020.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nasplat.evaluate.proxies.common import apart, doubled, gradients, hooked, trained
from nasplat.tasks.base import Batch, Task

STEP = 1e-6
"""Of a finite difference, as a part of the length of all weights."""


def grad_norm(module: nn.Module, task: Task, batch: Batch) -> float:
    """Sum over weights of the Euclidean norm of the gradient of the loss [Abdelfattah2021]."""
    return sum(
        float(g.double().norm()) for g in gradients(_loss(module, task, batch), trained(module))
    )


def snip(module: nn.Module, task: Task, batch: Batch) -> float:
    """Sum of ``|weight * gradient|``: how much the loss feels each connection [Lee2019].

    It is the magnitude of the gradient with respect to a factor 1 before each weight. The paper divides by
    the sum to compare weights of one network; networks are compared by the sum itself [Abdelfattah2021].
    """
    weights = trained(module)
    found = gradients(_loss(module, task, batch), weights)
    return sum(
        float((weight.detach() * gradient).abs().double().sum())
        for weight, gradient in zip(weights, found, strict=True)
    )


def grasp(module: nn.Module, task: Task, batch: Batch) -> float:
    """Sum of ``-weight * (H g)``, Hessian times gradient of the loss [Wang2020].

    The paper's score of a weight, by which the gradient's norm falls when the weight is taken away;
    weights on which the flow of the gradient rests have low ones. ``H g`` is exact where torch can
    differentiate the network twice and finds numbers. Where it cannot, it is the difference of the gradients
    a small step before and behind the weights along ``g``, in double precision; the two differ by what the
    kinks of piece-wise linear networks add, which exact second derivatives do not see.
    """
    try:
        with sdpa_kernel(
            SDPBackend.MATH
        ):  # the other kernels of attention have one derivative only
            exact = _grasp_exact(module, task, batch)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        exact = math.nan
    return exact if math.isfinite(exact) else _grasp_by_difference(module, task, batch)


def _grasp_exact(module: nn.Module, task: Task, batch: Batch) -> float:
    weights = trained(module)
    first = gradients(_loss(module, task, batch), weights, create_graph=True)
    flow = sum(((g.detach() * g).sum() for g in first), torch.zeros(()))
    if not flow.requires_grad:
        return 0.0
    leaves = list(module.parameters())
    kept = [leaf.grad for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    try:
        # torch.autograd.grad passes by, without a word, what says that it has one derivative only.
        flow.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        found = [(weight, weight.grad) for weight in weights if weight.grad is not None]
    finally:
        for leaf, gradient in zip(leaves, kept, strict=True):
            leaf.grad = gradient
    return -_dot([weight for weight, _ in found], [gradient for _, gradient in found])


def _grasp_by_difference(module: nn.Module, task: Task, batch: Batch) -> float:
    exact = copy.deepcopy(module).double()
    weights = trained(exact)
    batch = doubled(batch)
    device = batch.targets.device

    def gradient_at(step: float, along: Sequence[Tensor]) -> list[Tensor]:
        with torch.no_grad():
            for weight, direction in zip(weights, along, strict=True):
                weight.add_(direction, alpha=step)
        # Whatever is random in the network must be the same at both ends.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            return gradients(_loss(exact, task, batch), weights)

    g = gradient_at(0.0, weights)
    length, size = (math.sqrt(_dot(parts, parts)) for parts in (g, weights))
    if length == 0 or size == 0:
        return 0.0
    step = STEP * size / length
    ahead = gradient_at(step, g)
    behind = gradient_at(-2 * step, g)
    with torch.no_grad():
        for weight, direction in zip(weights, g, strict=True):
            weight.add_(direction, alpha=step)
    product = [(high - low) / (2 * step) for high, low in zip(ahead, behind, strict=True)]
    return -_dot(weights, product)


def fisher(module: nn.Module, task: Task, batch: Batch) -> float:
    """Sum over channels of ``1 / 2N * sum over examples of (sum over positions of a * dL/da) ** 2``.

    ``a`` are the activations behind every convolution and linear layer and ``L`` is the loss of a single
    example: the rise of the loss when the channel is taken away, by the empirical Fisher information
    [Theis2018], summed into the potential of a network [Turner2020].
    """
    seen: list[tuple[Tensor, int]] = []

    def watch(part: nn.Module, _: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            seen.append((output, -1 if isinstance(part, nn.Linear) else 1))

    kinds = (nn.Linear, nn.modules.conv._ConvNd)
    with hooked([part for part in module.modules() if isinstance(part, kinds)], watch):
        loss = _loss(module, task, batch)
    examples = len(batch)
    total = 0.0
    found = gradients(loss, [output for output, _ in seen])
    for (output, axis), gradient in zip(seen, found, strict=True):
        # The loss of a batch is a mean over its examples: each one's own gradient is so many times larger.
        product = (output.detach() * gradient).double() * examples
        product = product.movedim(axis, -1) if output.dim() > 1 else product
        split = apart(product, examples)
        if split is not None:
            channel = split.flatten(1, -2).sum(1)
            total += float(channel.square().sum()) / (2 * examples)
    return total


def _loss(module: nn.Module, task: Task, batch: Batch) -> Tensor:
    return task.loss(module(*batch.inputs), batch.targets)


def _dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> float:
    return sum(
        float((a.detach().double() * b.detach().double()).sum())
        for a, b in zip(left, right, strict=True)
    )
