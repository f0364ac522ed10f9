"""Forecasting: chronological windows, normalisation by the past alone, the last value as a baseline."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nasplat.errors import TaskError
from nasplat.graph.types import Series
from nasplat.tasks.augment import Augment
from nasplat.tasks.base import Task
from nasplat.tasks.forecasting import ForecastingTask, digits_stream, forecasting
from nasplat.tasks.load import load_task
from nasplat.testing.task import TaskConformance


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A hundred hours of two waves and a counter."""
    rows = "".join(
        f"2020-01-{1 + n // 24:02d} {n % 24:02d}:00,{np.sin(n / 3):.4f},{np.cos(n / 5):.4f},{n}\n"
        for n in range(100)
    )
    (tmp_path / "power.csv").write_text("date,load,wind,count\n" + rows)
    return tmp_path / "power.csv"


class TestDigitsStream(TaskConformance):
    @pytest.fixture
    def task(self) -> Task:
        return digits_stream(stride=50)


class TestTable(TaskConformance):
    @pytest.fixture
    def task(self, table: Path) -> Task:
        return load_task(f"{table}?length=5&horizon=2&rows=60/20/20&time=date")


def test_the_fingerprint_never_moves() -> None:
    assert digits_stream().fingerprint == "t1:ce623f07e09b583569a679f99ad20e78"
    assert list(digits_stream().inputs.values()) == [Series(8, 16)]
    assert list(digits_stream().outputs.values()) == [Series(8, 8)]


def steps(task: ForecastingTask, split: str, channel: int) -> tuple[list[Any], list[Any]]:
    """The counter of the inputs and of the targets of each window, as they were in the table."""
    mean, deviation = (task.preprocessing[name][channel] for name in ("mean", "std"))
    batches = task.test(500) if split == "test" else task.batches(split, 500)
    (batch,) = batches
    plain = [
        (values[:, channel] * deviation + mean).round().long().tolist()
        for values in (batch.inputs[0], batch.targets)
    ]
    return plain[0], plain[1]


def test_windows_are_in_order_and_no_target_lies_in_another_part(table: Path) -> None:
    task = forecasting(table, length=5, horizon=2, rows="60/20/20")
    counted = task.channels.index("count")
    for split, low, high in (("train", 0, 60), ("validation", 60, 80), ("test", 80, 100)):
        inputs, targets = steps(task, split, counted)
        first = max(0, low - 5)
        assert inputs[0] == list(range(first, first + 5))
        assert all(x[-1] + 1 == y[0] for x, y in zip(inputs, targets, strict=True))
        assert min(map(min, targets)) == max(5, low)
        assert max(map(max, targets)) == high - 1
    assert task.sizes == {"train": 54, "validation": 19, "test": 19}


def test_channels_are_normalised_by_the_training_part_alone(table: Path) -> None:
    task = forecasting(table, length=5, horizon=2, rows=(60, 20, 20), columns="count")
    assert task.preprocessing["mean"] == [29.5]
    assert task.preprocessing["std"] == [pytest.approx(np.arange(60).std(), abs=1e-4)]


def test_rows_are_taken_in_the_order_of_time(table: Path) -> None:
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    task = forecasting(table, length=5, horizon=2, time="date", columns=["count"])
    assert steps(task, "train", 0)[0][0] == [0, 1, 2, 3, 4]
    assert steps(forecasting(table, length=5, horizon=2, columns=["count"]), "train", 0)[0][0] == [
        99,
        98,
        97,
        96,
        95,
    ]


def test_text_columns_are_no_channels_unless_asked_for(table: Path) -> None:
    task = forecasting(table, length=5, horizon=2)
    assert task.channels == ("load", "wind", "count")
    with pytest.raises(TaskError, match=r"columns of .* hold text: date"):
        forecasting(table, length=5, horizon=2, columns="date,load")


def test_a_packed_table_is_the_table(table: Path, tmp_path: Path) -> None:
    packed = tmp_path / "power.csv.gz"
    packed.write_bytes(gzip.compress(table.read_bytes()))
    plain, other = (load_task(str(file), length=5, horizon=2) for file in (table, packed))
    assert isinstance(plain, ForecastingTask) and isinstance(other, ForecastingTask)
    assert plain.naive == other.naive
    assert plain.sizes == other.sizes


def test_the_last_value_repeated_is_told_beside_the_description(table: Path) -> None:
    task = forecasting(table, length=5, horizon=2)
    (batch,) = task.batches("validation", 500)
    repeated = batch.inputs[0][:, :, -1:].expand_as(batch.targets)
    assert task.score(repeated, batch.targets) == pytest.approx(task.naive)
    assert f"last value repeated: mse {task.naive['mse']:.3f}" in task.describe()


def test_missing_values_are_counted_or_filled(table: Path) -> None:
    text = table.read_text().replace(",7\n", ",\n").replace(",0\n", ",\n")
    table.write_text(text)
    with pytest.raises(TaskError, match=r"missing or infinite values in the columns count \(2\)"):
        forecasting(table, length=5, horizon=2)
    task = forecasting(table, length=5, horizon=2, missing="previous", columns="count")
    inputs, _ = steps(task, "train", 0)
    assert inputs[0][0] == 1
    assert inputs[5][2] == 6


def test_nothing_is_augmented(table: Path) -> None:
    task = forecasting(table, length=5, horizon=2)
    plain = next(task.batches("train", 500))
    other = next(task.batches("train", 500, augment=Augment(shift=0.3, mixup=0.5, erase=1.0)))
    assert torch.equal(plain.inputs[0], other.inputs[0])
    assert torch.equal(plain.targets, other.targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 200}, r"too short for windows of 200 \+ 24 steps in: train \(70 steps\)"),
        ({"length": 0}, "length must be in"),
        ({"stride": 0}, "stride must be in"),
        ({"rows": "60/20"}, "three whole numbers"),
        ({"rows": "90/20/20"}, "do not fit: .* has 100 rows"),
        ({"columns": "watts"}, "no column 'watts'"),
        ({"time": "when"}, "no column 'when'"),
        ({"missing": "drop"}, "missing must be"),
    ],
)
def test_options_that_cannot_be_are_refused(
    table: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        forecasting(table, **options)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n")
    with pytest.raises(TaskError, match="has no rows"):
        load_task(str(tmp_path / "t.csv"))
    (tmp_path / "u.csv.gz").write_bytes(b"no archive")
    with pytest.raises(TaskError, match="cannot be read as a table"):
        load_task(str(tmp_path / "u.csv.gz"))
    (tmp_path / "v.csv").write_text("a,b\nx,y\n")
    with pytest.raises(TaskError, match="no column of numbers; its columns are a, b"):
        load_task(str(tmp_path / "v.csv"))
