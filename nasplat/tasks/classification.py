"""Classification of examples that fit in memory: what digits, images, arrays and OpenML share.

Examples lie in one tensor, as they were stored (bytes stay bytes), and are normalised with the mean
and standard deviation of the training split when a batch is made; ids of tokens are taken as they are.
Where examples come from is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nasplat.errors import TaskError
from nasplat.graph.types import Ids, Image, Logits, Series, TensorType, Volume
from nasplat.tasks.augment import Augment
from nasplat.tasks.indexed import INPUT, IndexedTask, channel_statistics, rounded
from nasplat.tasks.meters import Gathered, Meter, Outputs
from nasplat.tasks.metrics import metrics_for
from nasplat.tasks.splits import Splits

OUTPUT = "logits"
NOUNS = {Image: "images", Volume: "volumes", Series: "series", Ids: "texts"}


class ClassificationTask(IndexedTask):
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
        self._examples = examples
        self._labels = labels.long()
        super().__init__(
            name=name,
            spec=spec,
            splits=splits,
            about=[str(input_type), list(classes), dict(source or {})],
            content=content,
            tensors=(examples, self._labels),
        )
        self.classes = tuple(classes)
        self.natural = natural
        self.inputs = {INPUT: input_type}
        self.outputs = {OUTPUT: Logits(len(self.classes))}
        self._metrics = metrics_for(len(self.classes))
        self.metrics: Mapping[str, Literal["max", "min"]] = {
            metric.name: metric.direction for metric in self._metrics.values()
        }
        self._type = input_type
        self._note = note
        self.preprocessing = {**(source or {}), "classes": list(self.classes)}
        if not isinstance(input_type, Ids):
            mean, deviation = channel_statistics(
                examples,
                self._splits["train"],
                channels=isinstance(input_type, Image | Volume | Series),
            )
            self._mean, self._inverse = mean, 1 / deviation
            self.preprocessing = {
                **(source or {}),
                "mean": rounded(mean),
                "std": rounded(deviation),
                "classes": list(self.classes),
            }

    def _batch(
        self, chosen: Tensor, augment: Augment | None, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        y = self._labels[chosen]
        if isinstance(
            self._type, Ids
        ):  # nothing lies between two ids: they are neither moved nor mixed
            return (self._examples[chosen].long(),), y
        x = (self._examples[chosen].float() - self._mean) * self._inverse
        if augment is not None:
            x = augment.examples(x, self._type, generator)
            x, y = augment.mix(x, y, len(self.classes), generator)
        return (x,), y

    def _loss(self, output: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """Cross-entropy with class numbers or probabilities as targets."""
        return F.cross_entropy(output, targets, label_smoothing=label_smoothing)

    def _meter(self) -> Meter:
        return Gathered(self._scored)

    def _scored(self, outputs: Outputs, targets: Tensor) -> dict[str, float]:
        logits = self._output(outputs)
        return {name: metric.function(logits, targets) for name, metric in self._metrics.items()}

    def describe(self) -> str:
        """One line: what, how many, how split, how prepared."""
        kind = NOUNS.get(type(self._type), "examples")
        end = f", {self._note}" if self._note else ""
        return (
            f"{self.name}: {sum(self.sizes.values()):,} {kind}, {len(self.classes)} classes, "
            f"{self._shares()}{end}"
        )


def encode_labels(
    labels: NDArray[Any], names: Sequence[str] = ()
) -> tuple[Tensor, tuple[str, ...]]:
    """Number the classes in sorted order.

    Args:
        labels: ``(n,)`` numbers or text.
        names: Name of class 0, 1, ... when labels are such numbers; none: numbers name themselves.

    Raises:
        TaskError: There are fewer than two classes, or numbers without a name.
    """
    values, numbers = np.unique(labels, return_inverse=True)
    classes = tuple(str(value) for value in values)
    if len(classes) < 2:
        raise TaskError(
            f"a classification task needs at least two classes, found {len(classes)}"
            + (f" ({classes[0]})" if classes else "")
        )
    if names and values.dtype.kind in "iub":
        if int(values.min()) < 0 or int(values.max()) >= len(names):
            raise TaskError(
                f"labels go from {values.min()} to {values.max()}, there are names for 0 to "
                f"{len(names) - 1}: {', '.join(names)}"
            )
        classes = tuple(names[int(value)] for value in values)
    return torch.from_numpy(numbers.reshape(-1).astype(np.int64)), classes
