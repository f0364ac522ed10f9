"""What tasks share whose examples have numbers: splits, order, batches, fingerprint, taps.

How an example is made, what the loss is and what counts as a score is left to each kind of task. Tasks
of this base have one output; a model may return more, see :meth:`IndexedTask.loss`.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nasplat.errors import TaskError
from nasplat.tasks.augment import Augment
from nasplat.tasks.base import Batch, Task, check_split
from nasplat.tasks.meters import Meter, Outputs
from nasplat.tasks.splits import Splits

INPUT = "input"
TAP_WEIGHT = 0.3
"""Weight of the mean loss of taps beside that of the output, as in [Szegedy2015].

[Szegedy2015] C. Szegedy et al.: Going Deeper with Convolutions, CVPR.
"""


class IndexedTask(Task):
    """Examples found by number, one output.

    Args:
        name: How the task is called in tables.
        spec: JSON from which ``load_task`` makes it again; title and fingerprint are added.
        splits: Which example is in which split.
        about: JSON of all that makes the task another one, beside the data.
        content: Hash of the raw data when it is known; None: ``tensors`` are hashed.
        tensors: The data as stored.

    A subclass sets ``inputs``, ``outputs``, ``metrics`` and ``preprocessing``, and implements
    :meth:`_batch`, :meth:`_loss`, :meth:`_meter` and ``describe``.
    """

    def __init__(
        self,
        *,
        name: str,
        spec: Mapping[str, Any],
        splits: Splits,
        about: Sequence[Any],
        content: str | None = None,
        tensors: Sequence[Tensor] = (),
    ) -> None:
        self.name = name
        self.sizes = splits.sizes
        self._splits = {
            "train": torch.from_numpy(splits.train),
            "validation": torch.from_numpy(splits.validation),
            "test": torch.from_numpy(splits.test),
        }
        mark = hashlib.blake2b(digest_size=16)
        if content is None:
            for tensor in tensors:
                mark.update(np.ascontiguousarray(tensor.numpy()).tobytes())
        mark.update(json.dumps([content, *about], sort_keys=True).encode())
        for indices in self._splits.values():
            mark.update(indices.numpy().tobytes() + b"|")
        self.fingerprint = "t1:" + mark.hexdigest()
        self.spec = {**spec, "title": name, "fingerprint": self.fingerprint}

    @abstractmethod
    def _batch(
        self, chosen: Tensor, augment: Augment | None, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Inputs and targets of the examples with these numbers."""

    @abstractmethod
    def _loss(self, output: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """The mean loss of one output tensor."""

    @abstractmethod
    def _meter(self) -> Meter:
        """A running score that is given the task's output alone."""

    def split_indices(self) -> dict[str, list[int]]:
        """Which example is in which split, for a record of the study."""
        return {name: indices.tolist() for name, indices in self._splits.items()}

    def batches(
        self,
        split: str,
        batch_size: int,
        *,
        shuffle_seed: int | None = None,
        augment: Augment | None = None,
    ) -> Iterator[Batch]:
        """Go once through a split; batches differ by at most one example in size."""
        check_split(split)
        return self._batches(split, batch_size, shuffle_seed, augment)

    def test(self, batch_size: int) -> Iterator[Batch]:
        """Go once through the test split, in stored order."""
        return self._batches("test", batch_size, None, None)

    def _batches(
        self, split: str, batch_size: int, shuffle_seed: int | None, augment: Augment | None
    ) -> Iterator[Batch]:
        if batch_size < 1:
            raise TaskError(f"batch_size must be at least 1, got {batch_size}")
        indices = self._splits[split]
        generator = torch.Generator().manual_seed(shuffle_seed or 0)
        if shuffle_seed is not None:
            indices = indices[torch.randperm(len(indices), generator=generator)]
        for chosen in indices.tensor_split(-(-len(indices) // batch_size)):
            yield Batch(*self._batch(chosen, augment, generator))

    def loss(self, outputs: Outputs, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The loss of the task's output, and of taps of the same kind.

        A model may return more named outputs than the task has: early exits, or heads at inner stages
        (deep supervision). Those that have the channels of the task's output are trained on the same
        targets, images of lower resolution enlarged bilinearly; their mean loss counts ``TAP_WEIGHT``.
        Others, such as features, are left alone.
        """
        total = self._loss(self._output(outputs), targets, label_smoothing)
        taps = self._taps(outputs)
        if taps:
            losses = [self._loss(tap, targets, label_smoothing) for tap in taps]
            total = total + TAP_WEIGHT * torch.stack(losses).mean()
        return total

    def score(self, outputs: Outputs, targets: Tensor) -> dict[str, float]:
        """Every metric of the task over a whole split."""
        meter = self.meter()
        meter.add(outputs, targets)
        return meter.result()

    def meter(self) -> Meter:
        """A running score of the task's own output among those of a model."""
        return _MainOutput(self._output, self._meter())

    def _output(self, outputs: Outputs) -> Tensor:
        """The task's output among those of a model."""
        if isinstance(outputs, Tensor):
            return outputs
        (name,) = self.outputs
        if name not in outputs:
            raise TaskError(f"a model must have the output {name!r}, it has {list(outputs)}")
        return outputs[name]

    def _taps(self, outputs: Outputs) -> list[Tensor]:
        if isinstance(outputs, Tensor):
            return []
        ((name, kind),) = self.outputs.items()
        shape = kind.shape
        found = []
        for other, tensor in outputs.items():
            if other == name or tensor.dim() != len(shape) + 1:
                continue
            if tuple(tensor.shape[1:]) == shape:
                found.append(tensor)
            elif len(shape) >= 3 and tensor.shape[1] == shape[0]:
                mode = "bilinear" if len(shape) == 3 else "trilinear"
                found.append(F.interpolate(tensor, shape[1:], mode=mode))
        return found

    def _shares(self) -> str:
        """How the examples are split, for ``describe``: ``80/10/10 split (seed 0)``."""
        total = sum(self.sizes.values())
        shares = "/".join(f"{100 * size / total:.0f}" for size in self.sizes.values())
        return f"{shares} split (seed {self.spec.get('seed', 0)})"


class _MainOutput:
    """Picks the task's output among those of a model and passes it on."""

    def __init__(self, pick: Callable[[Outputs], Tensor], inner: Meter) -> None:
        self._pick = pick
        self._inner = inner

    def add(self, outputs: Outputs, targets: Tensor) -> None:
        self._inner.add(self._pick(outputs), targets)

    def result(self) -> dict[str, float]:
        return self._inner.result()


def channel_statistics(
    examples: Tensor, chosen: Tensor, *, channels: bool
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of some examples; 1 where nothing varies.

    Args:
        examples: ``(n, channels, *positions)``, or ``(n, features)``.
        chosen: Numbers of the examples that count: the training split.
        channels: Whether the positions of a channel are taken together; else each element has its own.

    Returns:
        Two tensors that broadcast over one example.
    """
    train = examples[chosen]
    positions = tuple(range(2, examples.dim())) if channels else ()
    shape = (examples.shape[1], *(1 for _ in positions)) if channels else tuple(examples.shape[1:])
    total = torch.zeros(shape, dtype=torch.float64)
    squares = torch.zeros(shape, dtype=torch.float64)
    over = (0, *positions)
    for start in range(0, len(train), 512):
        values = train[start : start + 512].double()
        total += values.sum(over).view(shape)
        squares += values.square().sum(over).view(shape)
    count = train.numel() / total.numel()
    mean = total / count
    variance = (squares / count - mean.square()).clamp_min(0)
    deviation = torch.where(variance > 1e-12, variance.sqrt(), 1.0)
    return mean.float(), deviation.float()


def rounded(values: Tensor) -> list[float]:
    """Numbers as a manifest holds them."""
    return [round(value, 6) for value in values.flatten().tolist()]
