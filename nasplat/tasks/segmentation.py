"""Segmentation: a class for every position of an image or a volume.

Examples and masks lie in memory as stored; where they come from is not known here. Masks hold class
numbers, and ``VOID`` where nobody knows the class: such positions count neither in the loss nor in a
metric, and are what comes in from outside when an example is shifted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nasplat.errors import TaskError
from nasplat.graph.types import Image, Volume
from nasplat.tasks.augment import Augment
from nasplat.tasks.indexed import INPUT, IndexedTask, channel_statistics, rounded
from nasplat.tasks.meters import IGNORE, Confusion, Meter, directions
from nasplat.tasks.splits import Splits

OUTPUT = "logits"
VOID = 255
LARGEST = 255
"""Most classes that fit into the bytes of masks."""


class SegmentationTask(IndexedTask):
    """``Image -> Image(classes, H, W)`` or ``Volume -> Volume(classes, D, H, W)``.

    Args:
        name: How the task is called in tables.
        spec: JSON from which ``load_task`` makes it again; title and fingerprint are added.
        examples: ``(n, *input_type.shape)`` as stored, bytes or floats.
        masks: ``(n, *positions)`` bytes: class numbers, or ``VOID``.
        classes: Name of each class.
        splits: Which example is in which split.
        input_type: Type of one example.
        natural: Whether examples mean the same when mirrored left to right.
        dice: Weight of the soft Dice loss [Milletari2016] beside the cross-entropy, 0 for none.
        source: JSON that says how an example was made from the raw one, before normalisation.
        note: End of the ``describe`` line.
        content: Hash of the raw data when it is known; None: the examples themselves are hashed.

    [Milletari2016] F. Milletari, N. Navab, S. Ahmadi: V-Net, 3DV.

    Raises:
        TaskError: Shapes, class numbers or the weight cannot be.
    """

    def __init__(
        self,
        *,
        name: str,
        spec: Mapping[str, Any],
        examples: Tensor,
        masks: Tensor,
        classes: Sequence[str],
        splits: Splits,
        input_type: Image | Volume,
        natural: bool = False,
        dice: float = 0.0,
        source: Mapping[str, Any] | None = None,
        note: str = "",
        content: str | None = None,
    ) -> None:
        _check(examples, masks, classes, input_type, dice)
        self._examples = examples
        self._masks = masks
        super().__init__(
            name=name,
            spec=spec,
            splits=splits,
            about=["segmentation", str(input_type), list(classes), dict(source or {}), dice],
            content=content,
            tensors=(examples, masks),
        )
        self.classes = tuple(classes)
        self.natural = natural
        self.inputs = {INPUT: input_type}
        self.outputs = {OUTPUT: type(input_type)(len(self.classes), *input_type.shape[1:])}
        self.metrics = directions(Confusion.METRICS)
        self._type = input_type
        self._dice = dice
        self._note = note
        mean, deviation = channel_statistics(examples, self._splits["train"], channels=True)
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
        x = (self._examples[chosen].float() - self._mean) * self._inverse
        y = self._masks[chosen].long()
        if augment is not None:  # masks are no mixtures of masks, so examples are not mixed
            x, y = augment.with_labels(x, y, VOID, generator)
        return (x,), torch.where(y == VOID, IGNORE, y)

    def _loss(self, output: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """Cross-entropy over all positions that count, and Dice where it was asked for."""
        total = F.cross_entropy(
            output,
            targets,
            ignore_index=IGNORE,
            label_smoothing=label_smoothing,
            reduction="sum",
        )
        loss = total / (targets != IGNORE).sum().clamp_min(1)
        return loss + self._dice * dice_loss(output, targets) if self._dice else loss

    def _meter(self) -> Meter:
        return Confusion(len(self.classes))

    def describe(self) -> str:
        """One line: what, how many, how split, how prepared."""
        kind = "volumes" if isinstance(self._type, Volume) else "images"
        end = f", {self._note}" if self._note else ""
        return (
            f"{self.name}: {sum(self.sizes.values()):,} {kind} with masks, "
            f"{len(self.classes)} classes, {self._shares()}{end}"
        )


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1 minus the soft Dice coefficient, the mean over classes that occur in the batch.

    ``logits (batch, classes, *positions)``, ``targets (batch, *positions)``; ``IGNORE`` counts nowhere.
    """
    valid = targets != IGNORE
    classes = logits.shape[1]
    hot = F.one_hot(torch.where(valid, targets, 0), classes).movedim(-1, 1).to(logits.dtype)
    keep = valid[:, None].to(logits.dtype)
    found, wanted = logits.softmax(1) * keep, hot * keep
    over = (0, *range(2, logits.dim()))
    both = (found * wanted).sum(over)
    all_of = found.sum(over) + wanted.sum(over)
    present = (wanted.sum(over) > 0).to(logits.dtype)
    dice = (2 * both + 1e-6) / (all_of + 1e-6)
    return 1 - (dice * present).sum() / present.sum().clamp_min(1)


def _check(
    examples: Tensor, masks: Tensor, classes: Sequence[str], kind: Image | Volume, dice: float
) -> None:
    if tuple(examples.shape[1:]) != kind.shape:
        raise TaskError(f"examples of shape {tuple(examples.shape[1:])} are not of type {kind}")
    if tuple(masks.shape) != (len(examples), *kind.shape[1:]):
        raise TaskError(
            f"masks of shape {tuple(masks.shape)} do not fit {len(examples)} examples of {kind}; "
            f"expected ({', '.join(map(str, (len(examples), *kind.shape[1:])))})"
        )
    if not 2 <= len(classes) <= LARGEST:
        raise TaskError(
            f"segmentation needs 2 to {LARGEST} classes, found {len(classes)}"
            + (f" ({classes[0]})" if classes else "")
        )
    if not 0 <= dice <= 100:
        raise TaskError(f"dice must be in [0, 100], got {dice}")
    known = masks[masks != VOID]
    if len(known) and int(known.max()) >= len(classes):
        raise TaskError(
            f"masks hold the class {int(known.max())}, there are {len(classes)} classes from 0"
        )
