"""Byte language modelling: predict the next byte of a text, or bytes that are hidden from the model.

The text is cut into contiguous training, validation and test parts, each into windows that do not
overlap; every byte of a part but its end is predicted once. Where the text comes from is not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from nasplat.errors import TaskError, UsageError
from nasplat.graph.types import Ids, Tokens
from nasplat.tasks.augment import Augment
from nasplat.tasks.indexed import INPUT, IndexedTask
from nasplat.tasks.meters import IGNORE, Meter, TokenScore, directions
from nasplat.tasks.splits import Splits, split_sizes

OUTPUT = "logits"
VOCABULARY = 256
OBJECTIVES = ("next", "masked")
MASK = 0
"""The byte that stands for a hidden one; text does not hold it."""
AHEAD = 1e-3
"""Change of an output, of its largest value, from which it counts as a change and not as rounding."""
HIDDEN = 0.15
"""Part of the bytes that is hidden, as in [Devlin2019].

[Devlin2019] J. Devlin et al.: BERT, NAACL.
"""


class LanguageTask(IndexedTask):
    """``Ids(length, 256) -> Tokens(length, 256)``: logits of a byte at every place.

    With ``objective="next"`` the target of a place is the byte after it: models must not look ahead.
    With ``masked`` 15 % of the bytes are hidden as byte 0 and are the targets: models may look both ways.
    Hidden bytes are the same in every epoch unless training is augmented.

    Args:
        name: How the task is called in tables.
        spec: JSON from which ``load_task`` makes it again; title and fingerprint are added.
        text: ``(n,)`` bytes.
        length: Bytes in a window: the context of a model, 2 to 65,536.
        fractions: Parts for training, validation and test; they sum to 1.
        objective: ``next`` or ``masked``.
        seed: Which bytes are hidden follows from it.
        note: End of the ``describe`` line.

    Raises:
        TaskError: The text is too short for a window in every part, or an option is wrong.
    """

    def __init__(
        self,
        *,
        name: str,
        spec: Mapping[str, Any],
        text: NDArray[np.uint8],
        length: int,
        fractions: tuple[float, float, float] = (0.9, 0.05, 0.05),
        objective: str = "next",
        seed: int = 0,
        note: str = "",
    ) -> None:
        if objective not in OBJECTIVES:
            raise TaskError(f"objective must be {' or '.join(OBJECTIVES)}, got {objective!r}")
        if not 2 <= length <= 65536:
            raise TaskError(f"length must be in [2, 65536], got {length}")
        if objective == "masked" and (text == MASK).any():
            raise TaskError(
                f"{name} holds the byte 0, which stands for hidden bytes: it is no plain text",
                hint="use objective=next",
            )
        self._text = torch.from_numpy(text.copy())
        self._length = length
        self._next = objective == "next"
        self._starts, splits = _windows(len(text), length, fractions, name)
        super().__init__(
            name=name,
            spec=spec,
            splits=splits,
            about=["language", length, objective, list(fractions), seed],
            content=hashlib.blake2b(text.tobytes(), digest_size=16).hexdigest(),
        )
        self.inputs = {INPUT: Ids(length, VOCABULARY)}
        self.outputs = {OUTPUT: Tokens(length, VOCABULARY)}
        self.metrics = directions(TokenScore.METRICS)
        self.preprocessing = {"ids": "bytes", "objective": objective}
        self._note = note
        self._hidden = torch.empty(0)
        if not self._next:
            self.preprocessing |= {"hidden": HIDDEN, "mask": MASK}
            generator = torch.Generator().manual_seed(seed)
            self._hidden = _hidden(len(self._starts), length, generator)

    def _batch(
        self, chosen: Tensor, augment: Augment | None, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        starts = self._starts[chosen]
        if augment is not None and augment.shift:
            # The same bytes at other places of the window; the first window cannot begin earlier.
            most = int(augment.shift * self._length)
            back = torch.randint(0, most + 1, (len(starts),), generator=generator)
            starts = (starts - back).clamp_min(0)
        places = torch.arange(self._length + self._next)
        rows = self._text[starts[:, None] + places].long()
        if self._next:
            return (rows[:, :-1],), rows[:, 1:].contiguous()
        hidden = self._hidden[chosen]
        if augment is not None:
            hidden = _hidden(len(chosen), self._length, generator)
        return (torch.where(hidden, MASK, rows),), torch.where(hidden, rows, IGNORE)

    def _loss(self, output: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """Cross-entropy in nats over the bytes that count."""
        total = F.cross_entropy(
            output.flatten(0, 1),
            targets.flatten(),
            ignore_index=IGNORE,
            label_smoothing=label_smoothing,
            reduction="sum",
        )
        return total / (targets != IGNORE).sum().clamp_min(1)

    def _meter(self) -> Meter:
        return TokenScore()

    @torch.no_grad()
    def audit(self, module: nn.Module, device: torch.device) -> None:
        """Refuse a model that predicts the next byte and can see it.

        The second half of a window is changed: what is predicted in the first half must stay.

        Raises:
            UsageError: The model looks ahead.
        """
        if not self._next:
            return
        ((window,), _) = self._batch(self._splits["validation"][:1], None, torch.Generator())
        half = self._length // 2
        other = window.clone()
        other[:, half:] = (other[:, half:] + 1) % VOCABULARY
        training = module.training
        module.eval()
        first, second = (self._output(module(ids.to(device)))[:, :half] for ids in (window, other))
        module.train(training)
        gap = float((first - second).abs().max())
        if gap > AHEAD * max(1.0, float(first.abs().max())):
            raise UsageError(
                f"the model looks ahead: predictions of the first {half} bytes change by {gap:.2g} with "
                f"the bytes behind them, so task {self.name} would be solved by copying",
                hint="mix positions by causal operations alone, or search with objective=masked",
            )

    def describe(self) -> str:
        """One line: how much text, how cut and split, what is predicted."""
        total = sum(self.sizes.values())
        shares = "/".join(f"{100 * size / total:.0f}" for size in self.sizes.values())
        what = "next byte" if self._next else "hidden bytes"
        end = f", {self._note}" if self._note else ""
        return (
            f"{self.name}: {len(self._text):,} bytes, {total:,} windows of {self._length}, "
            f"{shares} split in order, {what}{end}"
        )


def _windows(
    count: int, length: int, fractions: tuple[float, float, float], name: str
) -> tuple[Tensor, Splits]:
    """Where the windows of each part begin, and which of them belongs to which split."""
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise TaskError(f"fractions of {name} must be positive and sum to 1, got {fractions}")
    first = round(fractions[0] * count)
    second = first + round(fractions[1] * count)
    starts: list[NDArray[np.int64]] = []
    short = []
    bounds = (("train", 0, first), ("validation", first, second), ("test", second, count))
    for part, low, high in bounds:
        # One more byte than the windows, the target of the last one.
        windows = (high - low - 1) // length
        if windows < 1:
            short.append(f"{part} ({high - low} bytes)")
        starts.append(low + length * np.arange(max(0, windows), dtype=np.int64))
    if short:
        raise TaskError(
            f"{name} has {count:,} bytes, too few for a window of {length} and the byte after it "
            f"in: {', '.join(short)}",
            hint="give more text, or a smaller length=",
        )
    train, validation, test = (len(part) for part in starts)
    return torch.from_numpy(np.concatenate(starts)), split_sizes((train, validation, test))


def _hidden(count: int, length: int, generator: torch.Generator) -> Tensor:
    """Which places are hidden, ``(count, length)``; at least one in each window."""
    noise = torch.rand(count, length, generator=generator)
    return (noise < HIDDEN) | (noise == noise.min(1, keepdim=True).values)
