"""Classification of examples that fit in memory: what digits, images, arrays and OpenML share.

Examples lie in one tensor, as they were stored (bytes stay bytes), and are normalised with the mean
and standard deviation of the training split when a batch is made. Where they come from is not known
here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nasplat.errors import TaskError
from nasplat.graph.types import Image, Logits, TensorType
from nasplat.tasks.augment import Augment
from nasplat.tasks.base import Batch, Task, check_split
from nasplat.tasks.metrics import metrics_for
from nasplat.tasks.splits import Splits

INPUT = "input"
OUTPUT = "logits"


class ClassificationTask(Task):
    """Examples of one input type, one class each.

    Args:
        name: How the task is called in tables.
        spec: JSON from which ``load_task`` makes it again; title and fingerprint are added.
        examples: ``(n, *input_type.shape)`` as stored, bytes or floats.
        labels: ``(n,)`` class numbers.
        classes: Name of each class.
        splits: Which example is in which split.
        input_type: Type of one example.
        natural: Whether images keep their class when mirrored.
        source: JSON that says how an example was made from the raw one, before normalisation.
        note: End of the ``describe`` line: what was done to the examples.
        content: Hash of the raw data when it is known; None: the examples themselves are hashed.
    """

    def __init__(
        self,
        *,
        name: str,
        spec: Mapping[str, Any],
        examples: Tensor,
        labels: Tensor,
        classes: Sequence[str],
        splits: Splits,
        input_type: TensorType,
        natural: bool = False,
        source: Mapping[str, Any] | None = None,
        note: str = "",
        content: str | None = None,
    ) -> None:
        if tuple(examples.shape[1:]) != input_type.shape:
            raise TaskError(
                f"examples of shape {tuple(examples.shape[1:])} are not of type {input_type}"
            )
        self.name = name
        self.classes = tuple(classes)
        self.natural = natural
        self.inputs = {INPUT: input_type}
        self.outputs = {OUTPUT: Logits(len(self.classes))}
        self._metrics = metrics_for(len(self.classes))
        self.metrics: Mapping[str, Literal["max", "min"]] = {
            metric.name: metric.direction for metric in self._metrics.values()
        }
        self.sizes = splits.sizes
        self._type = input_type
        self._note = note
        self._examples = examples
        self._labels = labels.long()
        self._splits = {
            "train": torch.from_numpy(splits.train),
            "validation": torch.from_numpy(splits.validation),
            "test": torch.from_numpy(splits.test),
        }
        mean, deviation = self._statistics()
        self._mean, self._inverse = mean, 1 / deviation
        self.preprocessing = {
            **(source or {}),
            "mean": [round(value, 6) for value in mean.flatten().tolist()],
            "std": [round(value, 6) for value in deviation.flatten().tolist()],
            "classes": list(self.classes),
        }
        self.fingerprint = self._fingerprint(content, source or {})
        self.spec = {**spec, "title": name, "fingerprint": self.fingerprint}

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the training split, for each channel or each feature."""
        axes = 2 if isinstance(self._type, Image) else 0
        train = self._examples[self._splits["train"]]
        keep = 1 if isinstance(self._type, Image) else len(self._type.shape)
        shape = self._type.shape[:keep] + (1,) * axes
        total = torch.zeros(shape, dtype=torch.float64)
        squares = torch.zeros(shape, dtype=torch.float64)
        over = (0, 2, 3) if axes else (0,)
        for start in range(0, len(train), 512):
            values = train[start : start + 512].double()
            total += values.sum(over).view(shape)
            squares += values.square().sum(over).view(shape)
        count = train.numel() / total.numel()
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        deviation = torch.where(variance > 1e-12, variance.sqrt(), 1.0)
        return mean.float(), deviation.float()

    def _fingerprint(self, content: str | None, source: Mapping[str, Any]) -> str:
        mark = hashlib.blake2b(digest_size=16)
        if content is None:
            mark.update(np.ascontiguousarray(self._examples.numpy()).tobytes())
            mark.update(self._labels.numpy().tobytes())
        about = [content, str(self._type), list(self.classes), dict(source)]
        mark.update(json.dumps(about, sort_keys=True).encode())
        for indices in self._splits.values():
            mark.update(indices.numpy().tobytes() + b"|")
        return "t1:" + mark.hexdigest()

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
            x = (self._examples[chosen].float() - self._mean) * self._inverse
            y = self._labels[chosen]
            if augment is not None:
                if isinstance(self._type, Image):
                    x = augment.images(x, generator)
                x, y = augment.mix(x, y, len(self.classes), generator)
            yield Batch((x,), y)

    def loss(
        self,
        outputs: Tensor | Mapping[str, Tensor],
        targets: Tensor,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Cross-entropy with class numbers or probabilities as targets."""
        return F.cross_entropy(self._logits(outputs), targets, label_smoothing=label_smoothing)

    def score(self, outputs: Tensor | Mapping[str, Tensor], targets: Tensor) -> dict[str, float]:
        """Every metric of the task over a whole split."""
        logits = self._logits(outputs)
        return {name: metric.function(logits, targets) for name, metric in self._metrics.items()}

    def _logits(self, outputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        if isinstance(outputs, Tensor):
            return outputs
        if OUTPUT not in outputs:
            raise TaskError(f"a model must have the output {OUTPUT!r}, it has {list(outputs)}")
        return outputs[OUTPUT]

    def describe(self) -> str:
        """One line: what, how many, how split, how prepared."""
        total = sum(self.sizes.values())
        kind = "images" if isinstance(self._type, Image) else "examples"
        shares = "/".join(f"{100 * size / total:.0f}" for size in self.sizes.values())
        end = f", {self._note}" if self._note else ""
        return (
            f"{self.name}: {total:,} {kind}, {len(self.classes)} classes, {shares} split "
            f"(seed {self.spec.get('seed', 0)}){end}"
        )


def encode_labels(labels: NDArray[Any]) -> tuple[Tensor, tuple[str, ...]]:
    """Number the classes in sorted order.

    Raises:
        TaskError: There are fewer than two classes.
    """
    values, numbers = np.unique(labels, return_inverse=True)
    classes = tuple(str(value) for value in values)
    if len(classes) < 2:
        raise TaskError(
            f"a classification task needs at least two classes, found {len(classes)}"
            + (f" ({classes[0]})" if classes else "")
        )
    return torch.from_numpy(numbers.reshape(-1).astype(np.int64)), classes
