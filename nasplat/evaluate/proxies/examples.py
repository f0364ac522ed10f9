"""Proxies of how well an untrained network tells the examples of a batch apart: jacob and NASWOT.

[Mellor2021] J. Mellor et al. Neural architecture search without training. ICML 2021.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nasplat.evaluate.proxies.common import apart, entries, gradients, hooked, tensors
from nasplat.tasks.base import Batch, Task

SPARE = 1e-5
"""Added to eigenvalues, as in the paper."""


def jacob(module: nn.Module, task: Task, batch: Batch) -> float:
    """How unlike the input gradients of different examples are [Mellor2021, version 1].

    ``-sum of (log(v + k) + 1 / (v + k))`` over the eigenvalues ``v`` of the correlations between examples of
    the gradients of the summed outputs, ``k`` = 1e-5. Of inputs that are whole numbers the first real
    numbers that are made of them are taken.
    """
    inputs = [x.clone().requires_grad_(x.is_floating_point()) for x in batch.inputs]
    sources = [x for x in inputs if x.requires_grad]

    def found(made: Tensor) -> Tensor:
        sources.append(made if made.requires_grad else made.detach().requires_grad_())
        return sources[-1]

    with entries(module, len(batch), found):
        total = sum((part.sum() for part in tensors(module(*inputs))), torch.zeros(()))
    flat = torch.cat([gradient.flatten(1) for gradient in gradients(total, sources)], 1).double()
    flat = flat - flat.mean(1, keepdim=True)
    flat = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-12)
    # Rounding can leave eigenvalues of a correlation matrix just below zero.
    values = torch.linalg.eigvalsh(flat @ flat.T).clamp_min(0) + SPARE
    return -float((values.log() + 1 / values).sum())


def naswot(module: nn.Module, task: Task, batch: Batch) -> float:
    """Log-determinant of the kernel that counts equal signs between examples [Mellor2021].

    Signs are taken behind every module with weights of its own: the paper takes them at every ReLU, and
    activations are not always modules, nor always ReLU.
    """
    count = len(batch)
    kernel = torch.zeros(count, count, dtype=torch.double)

    def watch(_: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        if not given:  # tables of positions and the like are the same for every example
            return
        for part in tensors(output):
            split = apart(part.detach(), count)
            if split is not None:
                signs = (split.flatten(1) > 0).float()
                # In float a count is exact up to 2**24.
                equal = signs @ signs.T + (1 - signs) @ (1 - signs).T
                kernel.add_(equal.double().cpu())

    weighted = [
        part for part in module.modules() if any(True for _ in part.parameters(recurse=False))
    ]
    with hooked(weighted, watch), torch.no_grad():
        module(*batch.inputs)
    return float(torch.linalg.slogdet(kernel + 1e-6 * torch.eye(count).double()).logabsdet)
