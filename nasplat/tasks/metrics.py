"""Metrics of classification, by their standard names, each with its direction.

They see logits and class numbers only. ``f1`` and ``balanced_accuracy`` are means over the classes
that occur in the targets or predictions, as in scikit-learn; ``calibration_error`` is the expected
calibration error over 15 bins of equal width [Guo2017].

[Guo2017] C. Guo, G. Pleiss, Y. Sun, K. Weinberger: On Calibration of Modern Neural Networks, ICML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from nasplat.errors import TaskError, unknown

Direction = Literal["max", "min"]


@dataclass(frozen=True)
class Metric:
    """One metric: ``function(logits (n, classes), targets (n,)) -> float``."""

    name: str
    direction: Direction
    function: Callable[[Tensor, Tensor], float]
    smallest_classes: int = 2


def _accuracy(logits: Tensor, targets: Tensor) -> float:
    return (logits.argmax(1) == targets).double().mean().item()


def _top5(logits: Tensor, targets: Tensor) -> float:
    found = logits.topk(5, dim=1).indices == targets[:, None]
    return found.any(1).double().mean().item()


def _counts(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """True positives, predictions and targets per class."""
    classes = logits.shape[1]
    predicted = logits.argmax(1)
    hits = torch.bincount(targets[predicted == targets], minlength=classes)
    return (
        hits.double(),
        torch.bincount(predicted, minlength=classes).double(),
        torch.bincount(targets, minlength=classes).double(),
    )


def _balanced_accuracy(logits: Tensor, targets: Tensor) -> float:
    hits, _, present = _counts(logits, targets)
    seen = present > 0
    return (hits[seen] / present[seen]).mean().item()


def _f1(logits: Tensor, targets: Tensor) -> float:
    hits, predicted, present = _counts(logits, targets)
    total = predicted + present
    seen = total > 0
    return (2 * hits[seen] / total[seen]).mean().item()


def _loss(logits: Tensor, targets: Tensor) -> float:
    return F.cross_entropy(logits.double(), targets).item()


def _calibration_error(logits: Tensor, targets: Tensor, bins: int = 15) -> float:
    confidence, predicted = logits.double().softmax(1).max(1)
    correct = (predicted == targets).double()
    index = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.double, device=logits.device)
    gap.index_add_(0, index, correct - confidence)
    return (gap.abs().sum() / len(targets)).item()


METRICS = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("accuracy", "max", _accuracy),
            Metric("balanced_accuracy", "max", _balanced_accuracy),
            Metric("f1", "max", _f1),
            Metric("top5_accuracy", "max", _top5, smallest_classes=6),
            Metric("loss", "min", _loss),
            Metric("calibration_error", "min", _calibration_error),
        )
    }
)


def metrics_for(classes: int, names: Iterable[str] = ()) -> dict[str, Metric]:
    """The metrics that make sense for so many classes, or those named.

    Raises:
        TaskError: A name is not known.
    """
    chosen = {}
    for name in names or METRICS:
        if name not in METRICS:
            raise unknown("metric", name, METRICS, TaskError)
        if METRICS[name].smallest_classes <= classes:
            chosen[name] = METRICS[name]
    return chosen
