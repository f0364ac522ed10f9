"""Running scores: what a split amounts to, batch by batch, without keeping the outputs.

Outputs of one example can be large (a class for each pixel, 256 logits for each byte), so sums are
kept in double precision and outputs are dropped. Knows no data and no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import permutations
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

IGNORE = -100
"""Target of what counts neither in a loss nor in a score; torch's own value."""

Outputs = Tensor | Mapping[str, Tensor]


DIRECTIONS: Mapping[str, Literal["max", "min"]] = {
    "miou": "max",
    "pixel_accuracy": "max",
    "bits_per_byte": "min",
    "accuracy": "max",
    "mse": "min",
    "mae": "min",
    "si_sdr": "max",
    "si_sdr_improvement": "max",
    "psnr": "max",
}


class Meter(Protocol):
    """Takes a split batch by batch and says what it scores."""

    def add(self, outputs: Outputs, targets: Tensor) -> None:
        """Take the outputs of a batch and its targets."""

    def result(self) -> dict[str, float]:
        """Every metric over all that was added."""


def directions(names: Iterable[str]) -> dict[str, Literal["max", "min"]]:
    """Metrics of this module with the direction in which each is better, in the order given."""
    return {name: DIRECTIONS[name] for name in names}


class Gathered:
    """Keeps everything and scores it at the end, for metrics that are no sums.

    Args:
        score: ``(outputs, targets) -> metrics`` over a whole split.
    """

    def __init__(self, score: Callable[[Outputs, Tensor], dict[str, float]]) -> None:
        self._score = score
        self._outputs: list[Outputs] = []
        self._targets: list[Tensor] = []

    def add(self, outputs: Outputs, targets: Tensor) -> None:
        """Take the outputs of a batch and its targets."""
        self._outputs.append(outputs)
        self._targets.append(targets)

    def result(self) -> dict[str, float]:
        """The metrics of all batches put together."""
        targets = torch.cat(self._targets)
        first = self._outputs[0]
        if isinstance(first, Tensor):
            plain = [part for part in self._outputs if isinstance(part, Tensor)]
            return self._score(torch.cat(plain), targets)
        named = [part for part in self._outputs if isinstance(part, Mapping)]
        return self._score({name: torch.cat([p[name] for p in named]) for name in first}, targets)


class Confusion:
    """``miou`` and ``pixel_accuracy`` from how often each class was taken for each.

    ``miou`` is the mean over the classes that occur in targets or predictions of the whole split, not of
    an example [Everingham2015]. Positions whose target is ``IGNORE`` count nowhere.

    [Everingham2015] M. Everingham et al.: The Pascal Visual Object Classes Challenge: A Retrospective.

    Args:
        classes: Number of classes.
    """

    METRICS = ("miou", "pixel_accuracy")

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._table = torch.zeros(classes, classes, dtype=torch.long)

    def add(self, outputs: Outputs, targets: Tensor) -> None:
        """Take logits ``(batch, classes, ...)`` and class numbers ``(batch, ...)``."""
        assert isinstance(outputs, Tensor)
        valid = targets != IGNORE
        pairs = targets[valid] * self._classes + outputs.argmax(1)[valid]
        self._table += torch.bincount(pairs, minlength=self._classes**2).view(self._table.shape)

    def result(self) -> dict[str, float]:
        """Both metrics; 0 when nothing was counted."""
        table = self._table.double()
        hits = table.diagonal()
        union = table.sum(0) + table.sum(1) - hits
        seen = union > 0
        iou = (hits[seen] / union[seen]).mean() if seen.any() else torch.zeros(())
        return {
            "miou": float(iou),
            "pixel_accuracy": float(hits.sum() / table.sum().clamp_min(1)),
        }


class TokenScore:
    """``bits_per_byte`` and ``accuracy`` of predicted bytes.

    The first is the mean cross-entropy in bits over all targets that count; without a model of the data
    it is 8.
    """

    METRICS = ("bits_per_byte", "accuracy")

    def __init__(self) -> None:
        self._nats = 0.0
        self._hits = 0
        self._count = 0

    def add(self, outputs: Outputs, targets: Tensor) -> None:
        """Take logits ``(batch, length, vocabulary)`` and ids ``(batch, length)``."""
        assert isinstance(outputs, Tensor)
        logits = outputs.flatten(0, 1).float()
        flat = targets.flatten()
        losses = F.cross_entropy(logits, flat, ignore_index=IGNORE, reduction="none")
        self._nats += float(losses.double().sum())
        self._hits += int((logits.argmax(1) == flat).sum())
        self._count += int((flat != IGNORE).sum())

    def result(self) -> dict[str, float]:
        """Both metrics."""
        count = max(1, self._count)
        bits = self._nats / count / torch.log(torch.tensor(2.0, dtype=torch.double))
        return {"bits_per_byte": float(bits), "accuracy": self._hits / count}


class ErrorScore:
    """``mse`` and ``mae``: mean squared and mean absolute error over all elements."""

    METRICS = ("mse", "mae")

    def __init__(self) -> None:
        self._squares = self._absolutes = 0.0
        self._count = 0

    def add(self, outputs: Outputs, targets: Tensor) -> None:
        """Take two tensors of one shape."""
        assert isinstance(outputs, Tensor)
        gap = outputs.double() - targets.double()
        self._squares += float(gap.square().sum())
        self._absolutes += float(gap.abs().sum())
        self._count += gap.numel()

    def result(self) -> dict[str, float]:
        """Both metrics."""
        count = max(1, self._count)
        return {"mse": self._squares / count, "mae": self._absolutes / count}


class SeparationScore:
    """``si_sdr`` and ``si_sdr_improvement`` in dB, means over examples, sources in their best order.

    The improvement is over taking the mixture, the sum of the sources, for each source.
    """

    METRICS = ("si_sdr", "si_sdr_improvement")

    def __init__(self) -> None:
        self._found = self._before = 0.0
        self._count = 0

    def add(self, outputs: Outputs, targets: Tensor) -> None:
        """Take estimates and sources, ``(batch, sources, length)`` each."""
        assert isinstance(outputs, Tensor)
        wanted = targets.double()
        mixture = wanted.sum(1, keepdim=True).expand_as(wanted)
        self._found += float(best_si_sdr(outputs.double(), wanted).sum())
        self._before += float(best_si_sdr(mixture, wanted).sum())
        self._count += len(targets)

    def result(self) -> dict[str, float]:
        """Both metrics."""
        count = max(1, self._count)
        return {
            "si_sdr": self._found / count,
            "si_sdr_improvement": (self._found - self._before) / count,
        }


class ImageScore:
    """``psnr`` in dB, the mean over images, and ``mse``, both of values in [0, 1].

    Args:
        scale: ``(channels, 1, 1)`` standard deviations that normalised values are multiplied with.
    """

    METRICS = ("psnr", "mse")

    def __init__(self, scale: Tensor) -> None:
        self._scale = scale.double()
        self._psnr = self._squares = 0.0
        self._count = 0

    def add(self, outputs: Outputs, targets: Tensor) -> None:
        """Take two normalised batches of images."""
        assert isinstance(outputs, Tensor)
        gap = (outputs.double() - targets.double()) * self._scale
        squares = gap.square().flatten(1).mean(1)
        # A flawless image would be infinite; 100 dB is what eight bits cannot show any more.
        self._psnr += float((-10 * squares.clamp_min(1e-10).log10()).sum())
        self._squares += float(squares.sum())
        self._count += len(targets)

    def result(self) -> dict[str, float]:
        """Both metrics."""
        count = max(1, self._count)
        return {"psnr": self._psnr / count, "mse": self._squares / count}


def best_si_sdr(estimates: Tensor, sources: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB [LeRoux2019], best order of the estimates.

    ``(batch, sources, length)`` each to ``(batch,)``, the mean over sources. Both lose their mean first.

    [LeRoux2019] J. Le Roux, S. Wisdom, H. Erdogan, J. Hershey: SDR - half-baked or well done? ICASSP.
    """
    estimates = estimates - estimates.mean(2, keepdim=True)
    sources = sources - sources.mean(2, keepdim=True)
    tiny = 1e-8
    # pairs[b, i, j]: estimate i taken for source j.
    dots = estimates @ sources.transpose(1, 2)
    energy = sources.square().sum(2)[:, None, :]
    target = dots.square() / (energy + tiny)
    noise = (estimates.square().sum(2)[:, :, None] - target).clamp_min(0)
    pairs = 10 * torch.log10((target + tiny) / (noise + tiny))
    count = sources.shape[1]
    orders = torch.tensor(list(permutations(range(count))), device=pairs.device)
    columns = torch.arange(count, device=pairs.device)
    means = pairs[:, orders, columns].mean(2)  # (batch, orders)
    return means.max(1).values
