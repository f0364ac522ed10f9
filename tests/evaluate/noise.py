"""A task of any types: noise to be mapped to noise. For tests of what takes every problem of every space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from nasplat.space.load import Types
from nasplat.tasks.base import Batch, Task


class Noise(Task):
    """Random inputs; every output is to be the example's one random number everywhere."""

    name = "noise"
    fingerprint = "noise"

    def __init__(self, types: Types) -> None:
        self.metrics = {"mse": "min"}
        self.preprocessing = {}
        self.inputs = types.inputs
        self.outputs = types.outputs
        self.spec = {"name": self.name}
        self.sizes = {"train": 64, "validation": 64, "test": 64}

    def batches(
        self, split: str, batch_size: int, *, shuffle_seed: int | None = None, augment: Any = None
    ) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(shuffle_seed or 0)
        inputs = tuple(kind.example(batch_size, generator) for kind in self.inputs.values())
        yield Batch(inputs, torch.randn(batch_size, generator=generator))

    def test(self, batch_size: int) -> Iterator[Batch]:
        return self.batches("train", batch_size)

    def loss(
        self,
        outputs: Tensor | Mapping[str, Tensor],
        targets: Tensor,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        parts = [outputs] if isinstance(outputs, Tensor) else list(outputs.values())
        losses = [
            (part - targets.view(-1, *[1] * (part.dim() - 1))).square().mean() for part in parts
        ]
        return torch.stack(losses).sum()

    def score(self, outputs: Any, targets: Tensor) -> dict[str, float]:
        return {"mse": float(self.loss(outputs, targets))}

    def describe(self) -> str:
        return "noise"
