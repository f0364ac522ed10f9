"""Forecasting: from the last ``length`` steps of all channels to their next ``horizon`` steps.

Splits are chronological, channels are normalised by the training part, errors are those of normalised
values, as in the literature [Zhou2021]. Windows of the later parts may look back into the part before
them: what they predict never lies there. Own data is a CSV with one row for each step.

[Zhou2021] H. Zhou et al.: Informer, AAAI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nasplat.errors import TaskError
from nasplat.graph.types import Series
from nasplat.tasks.augment import Augment
from nasplat.tasks.indexed import INPUT, IndexedTask, rounded
from nasplat.tasks.meters import ErrorScore, Meter, directions
from nasplat.tasks.splits import split_sizes
from nasplat.tasks.tables import column_of, numbers_of, read_table

OUTPUT = "forecast"
FRACTIONS = (0.7, 0.1, 0.2)


class ForecastingTask(IndexedTask):
    """``Series(channels, length) -> Series(channels, horizon)``.

    Args:
        name: How the task is called in tables.
        spec: JSON from which ``load_task`` makes it again; title and fingerprint are added.
        values: ``(steps, channels)`` in the order of time.
        channels: Name of each channel.
        length: Steps that a model sees, 1 to 100,000.
        horizon: Steps that it predicts, 1 to 100,000.
        stride: Steps between the beginnings of two windows, at least 1.
        rows: Number of steps of the training, validation and test part; what is left is not used. None:
            70 %, 10 % and 20 %.
        note: End of the ``describe`` line.
        content: Hash of the raw data when it is known; None: the values are hashed.

    Raises:
        TaskError: A part is too short for a window, or an option is wrong.
    """

    def __init__(
        self,
        *,
        name: str,
        spec: Mapping[str, Any],
        values: NDArray[np.float32],
        channels: Sequence[str],
        length: int,
        horizon: int,
        stride: int = 1,
        rows: tuple[int, int, int] | None = None,
        note: str = "",
        content: str | None = None,
    ) -> None:
        for option, met in (("length", length), ("horizon", horizon), ("stride", stride)):
            if not 1 <= met <= 100_000:
                raise TaskError(f"{option} must be in [1, 100000], got {met}")
        parts = _parts(len(values), rows, name)
        starts = [
            np.arange(max(0, low - length), high - length - horizon + 1, stride, dtype=np.int64)
            for low, high in parts
        ]
        self._check_lengths(name, parts, [len(part) for part in starts], length, horizon)
        train, validation, test = (len(part) for part in starts)
        raw = torch.from_numpy(values.T.copy())
        super().__init__(
            name=name,
            spec=spec,
            splits=split_sizes((train, validation, test)),
            about=["forecasting", list(channels), length, horizon, stride, parts],
            content=content,
            tensors=(raw,),
        )
        self._starts = torch.from_numpy(np.concatenate(starts))
        self._length, self._horizon, self._note = length, horizon, note
        learned = raw[:, parts[0][0] : parts[0][1]].double()
        deviation, mean = torch.std_mean(learned, 1, keepdim=True, correction=0)
        deviation = torch.where(deviation > 1e-6, deviation, 1.0)
        self._values = ((raw - mean) / deviation).float()
        self.channels = tuple(channels)
        self.inputs = {INPUT: Series(len(channels), length)}
        self.outputs = {OUTPUT: Series(len(channels), horizon)}
        self.metrics = directions(ErrorScore.METRICS)
        self.preprocessing = {
            "channels": list(channels),
            "mean": rounded(mean),
            "std": rounded(deviation),
        }
        self.naive = self._naive()

    @staticmethod
    def _check_lengths(
        name: str, parts: list[tuple[int, int]], windows: list[int], length: int, horizon: int
    ) -> None:
        short = [
            f"{part} ({high - low} steps)"
            for part, (low, high), count in zip(
                ("train", "validation", "test"), parts, windows, strict=True
            )
            if not count
        ]
        if short:
            raise TaskError(
                f"{name} is too short for windows of {length} + {horizon} steps in: "
                f"{', '.join(short)}",
                hint="give more steps, or a smaller length= or horizon=",
            )

    def _windows(self, chosen: Tensor) -> Tensor:
        """``(windows, channels, length + horizon)`` normalised values."""
        places = torch.arange(self._length + self._horizon)
        return self._values[:, self._starts[chosen][:, None] + places].transpose(0, 1)

    def _naive(self) -> dict[str, float]:
        """The scores of repeating the last value, on the validation split."""
        score = ErrorScore()
        for chosen in torch.split(self._splits["validation"], 256):
            windows = self._windows(chosen)
            last = windows[:, :, self._length - 1 : self._length]
            targets = windows[:, :, self._length :]
            score.add(last.expand_as(targets), targets)
        return score.result()

    def _batch(
        self, chosen: Tensor, augment: Augment | None, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        windows = self._windows(chosen)  # order in time is all there is: nothing is augmented
        return (windows[:, :, : self._length].contiguous(),), windows[
            :, :, self._length :
        ].contiguous()

    def _loss(self, output: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """Mean squared error."""
        return F.mse_loss(output, targets)

    def _meter(self) -> Meter:
        return ErrorScore()

    def describe(self) -> str:
        """One line: how many steps and channels, how cut and split, what repeating the last value scores."""
        total = sum(self.sizes.values())
        shares = "/".join(f"{100 * size / total:.0f}" for size in self.sizes.values())
        end = f", {self._note}" if self._note else ""
        return (
            f"{self.name}: {self._values.shape[1]:,} steps of {len(self.channels)} channels, "
            f"{total:,} windows of {self._length} + {self._horizon}, {shares} split in order{end}; "
            f"last value repeated: mse {self.naive['mse']:.3f}, mae {self.naive['mae']:.3f}"
        )


def forecasting(
    path: str | Path,
    *,
    length: int = 96,
    horizon: int = 24,
    stride: int = 1,
    columns: str | Sequence[str] | None = None,
    time: str | None = None,
    rows: str | Sequence[int] | None = None,
    missing: str = "error",
) -> ForecastingTask:
    """Next steps of a table with one row for each step, in the order of time.

    Args:
        path: A ``.csv`` or ``.csv.gz``; the first row names the columns.
        length: Steps that a model sees.
        horizon: Steps that it predicts.
        stride: Steps between the beginnings of two windows.
        columns: Which columns are the channels, such as ``A,B``; None: all numeric ones but the time.
        time: Column of the time, by which rows are sorted; None: rows are taken in the order of the
            file.
        rows: Number of rows for training, validation and testing, such as ``8640/2880/2880``; the rest
            is not used. None: 70 %, 10 % and 20 %.
        missing: What is done with missing values: ``error``, or ``previous``: the value before.

    Raises:
        TaskError: Columns are missing or hold what is no number, or there are too few rows.
    """
    file = Path(path).expanduser().resolve()
    table, mark = read_table(file)
    if time is not None:
        column_of(table, time, "time", str(path))
        table = table.sort_values(time, kind="stable")
    asked = columns.split(",") if isinstance(columns, str) else columns
    if asked is not None:
        names = [name.strip() for name in asked]
        for name in names:
            column_of(table, name, "columns", str(path))
    else:
        names = [name for name in table.columns if table[name].dtype.kind in "iuf" and name != time]
    if not names:
        raise TaskError(
            f"{path} has no column of numbers; its columns are {', '.join(table.columns)}"
        )
    return ForecastingTask(
        name=str(path),
        spec={
            "kind": "forecasting",
            "path": str(file),
            "length": length,
            "horizon": horizon,
            "stride": stride,
            "columns": names if asked is not None else None,
            "time": time,
            "rows": None if rows is None else list(_rows(rows)),
            "missing": missing,
        },
        values=numbers_of(table, names, str(path), missing=missing),
        channels=names,
        length=length,
        horizon=horizon,
        stride=stride,
        rows=None if rows is None else _rows(rows),
        content=f"{mark} {time} {missing}",
    )


def digits_stream(*, length: int = 16, horizon: int = 8, stride: int = 4) -> ForecastingTask:
    """Hand-written digits as one series, row of pixels after row; no download.

    scikit-learn's 1,797 digits below each other are 14,376 steps of 8 channels. It is real, and not
    guesswork: the upper rows of a digit say much about the lower ones, and empty rows return every 8 steps.

    Args:
        length: Steps that a model sees.
        horizon: Steps that it predicts.
        stride: Steps between the beginnings of two windows.

    Raises:
        TaskError: An option is out of range.
    """
    from sklearn.datasets import load_digits

    pixels, _ = load_digits(return_X_y=True)
    return ForecastingTask(
        name="digits-stream",
        spec={"kind": "digits-stream", "length": length, "horizon": horizon, "stride": stride},
        values=(pixels.astype(np.float32) / 16).reshape(-1, 8),
        channels=[f"column{number}" for number in range(8)],
        length=length,
        horizon=horizon,
        stride=stride,
    )


def _rows(rows: str | Sequence[int]) -> tuple[int, int, int]:
    """``8640/2880/2880`` or three whole numbers."""
    parts = rows.split("/") if isinstance(rows, str) else rows
    try:
        train, validation, test = (int(part) for part in parts)
    except ValueError as error:
        raise TaskError(
            f"rows must be three whole numbers such as 8640/2880/2880, got {rows!r}"
        ) from error
    return train, validation, test


def _parts(count: int, rows: tuple[int, int, int] | None, name: str) -> list[tuple[int, int]]:
    """First step of each part and the step behind its last one."""
    if rows is None:
        train, validation = round(FRACTIONS[0] * count), round(FRACTIONS[1] * count)
        rows = train, validation, count - train - validation
    if min(rows) < 1 or sum(rows) > count:
        raise TaskError(
            f"rows={'/'.join(map(str, rows))} do not fit: {name} has {count:,} rows, and every part "
            "needs one at least"
        )
    ends = np.cumsum(rows).tolist()
    return list(zip([0, *ends[:2]], ends, strict=True))
