"""Series: digits row by row, sound in folders and archives, tables; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from nasplat.errors import TaskError
from nasplat.graph.types import Logits, Series
from nasplat.tasks.audio import decode_mulaw, one_length, read_wav, resample, to_floats
from nasplat.tasks.augment import Augment
from nasplat.tasks.base import Task
from nasplat.tasks.digits import digits
from nasplat.tasks.load import load_task
from nasplat.tasks.series import digits_rows, series
from nasplat.testing.task import TaskConformance

RATE = 1000


def tone(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray[Any, Any]:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate).astype(np.float32)


def save(tmp_path: Path, **found: Any) -> Path:
    np.savez(tmp_path / "data.npz", **found)
    return tmp_path / "data.npz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two notes, twelve recordings each, of unequal lengths and two rates."""
    for label, hertz in (("low", 50), ("high", 200)):
        (tmp_path / "notes" / label).mkdir(parents=True)
        for number in range(12):
            rate = RATE * (2 if number == 3 else 1)
            samples = (20000 * tone(hertz, 0.1 + 0.01 * number, rate)).astype(np.int16)
            wavfile.write(tmp_path / "notes" / label / f"{number}.wav", rate, samples)
    return tmp_path / "notes"


def ragged(**more: Any) -> dict[str, Any]:
    """Thirty recordings one after the other, with who speaks and which take it is."""
    rows = [(10000 * tone(50 + 100 * (n % 2), 0.05 + 0.002 * (n % 7))) for n in range(30)]
    return {
        "pcm": np.concatenate(rows).astype(np.int16),
        "offsets": np.cumsum([0, *(len(row) for row in rows)]),
        "digit": np.arange(30) % 2,
        "speaker": np.array(["ann", "bob", "cid"])[np.arange(30) % 3],
        "take": np.arange(30) // 3,
        **more,
    }


class TestRowsOfDigits(TaskConformance):
    @pytest.fixture
    def task(self) -> Task:
        return digits_rows()


class TestFolder(TaskConformance):
    @pytest.fixture
    def task(self, folder: Path) -> Task:
        return load_task(str(folder))


class TestRecordings(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        return load_task(str(save(tmp_path, **ragged())), label="digit", test="take<2")


class TestArrays(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        values = np.random.default_rng(0).normal(size=(40, 3, 20))
        file = save(tmp_path, x=values, y=np.arange(40) % 4)
        return load_task(f"{file}?kind=series&length=16")


class TestTable(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        rows = "".join(f"{n % 2},{n},{n % 5},{-n}\n" for n in range(40))
        (tmp_path / "t.csv").write_text("label,a,b,c\n" + rows)
        return load_task(str(tmp_path / "t.csv"))


def test_rows_of_digits_are_steps_of_eight_pixels_in_the_splits_of_digits() -> None:
    task = digits_rows()
    assert list(task.inputs.values()) == [Series(8, 8)]
    assert list(task.outputs.values()) == [Logits(10)]
    assert task.split_indices() == digits().split_indices()
    assert task.fingerprint == "t1:a5c87f4496f7735fc22011c77db72035"


def test_a_folder_of_sound_comes_at_its_lowest_rate_and_one_length(folder: Path) -> None:
    task = series(folder)
    assert task.classes == ("high", "low")
    assert task.preprocessing["rate"] == RATE
    assert list(task.inputs.values()) == [Series(1, 256)]
    assert task.describe().endswith(
        "24 series, 2 classes, 83/8/8 split (seed 0), 256 samples at 1,000 Hz"
    )
    assert list(series(folder, length=90, rate=500).inputs.values()) == [Series(1, 90)]


def test_sound_of_a_folder_is_told_from_a_linear_look_at_it(folder: Path) -> None:
    task = series(folder, length=100)
    (batch,) = task.batches("train", 64)
    spectrum = torch.fft.rfft(batch.inputs[0][:, 0]).abs().argmax(1)
    assert torch.equal(spectrum > 10, batch.targets == 0)


def test_a_worker_reads_the_cache_and_not_the_files(folder: Path) -> None:
    spec = series(folder).spec
    for file in folder.rglob("*.wav"):
        file.write_bytes(b"")
    assert load_task(spec).fingerprint == spec["fingerprint"]


def test_recordings_one_after_the_other_have_their_labels_and_test_split(tmp_path: Path) -> None:
    file = save(tmp_path, **ragged())
    task = series(file, label="speaker", test="take<2", length=40)
    assert task.classes == ("ann", "bob", "cid")
    assert task.split_indices()["test"] == list(range(6))
    assert series(file, label="digit", test="speaker=ann").sizes["test"] == 10
    assert series(file, label="digit").fingerprint != series(file, label="speaker").fingerprint
    faster = series(file, label="digit", source_rate=1000, rate=500)
    assert faster.inputs["input"].numel == 31
    assert faster.preprocessing["rate"] == 500


def test_mulaw_is_undone() -> None:
    values = np.linspace(-1, 1, 201, dtype=np.float32)
    law = np.sign(values) * np.log1p(255 * np.abs(values)) / np.log(256)
    codes = ((law + 1) / 2 * 255 + 0.5).astype(np.uint8)
    assert np.abs(decode_mulaw(codes) - values).max() < 0.025
    assert abs(float(decode_mulaw(np.array([128], dtype=np.uint8))[0])) < 1e-3


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([-(2**15) + 1, 0, 2**15 - 1], dtype=np.int16), [-1, 0, 1]),
        (np.array([0, 128, 255], dtype=np.uint8), [-1, 0, 127 / 128]),
        (np.array([-0.5, 0.25], dtype=np.float64), [-0.5, 0.25]),
    ],
)
def test_samples_of_any_width_are_in_the_unit_range(samples: Any, expected: list[float]) -> None:
    found = to_floats(samples)
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx(expected)


def test_channels_of_a_file_are_averaged(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "two.wav", 100, np.array([[0.5, 0.0], [1.0, -1.0]], dtype=np.float32))
    rate, samples = read_wav(tmp_path / "two.wav")
    assert (rate, samples.tolist()) == (100, [0.25, 0.0])


def test_long_rows_lose_their_ends_and_short_ones_are_padded() -> None:
    rows = [np.arange(1, 7, dtype=np.float32), np.array([5.0], dtype=np.float32)]
    assert one_length(rows, 4).tolist() == [[2, 3, 4, 5], [0, 5, 0, 0]]
    assert one_length([np.ones(100, dtype=np.float32)] * 5, None).shape == (5, 128)
    with pytest.raises(TaskError, match="length must be in"):
        one_length(rows, 0)


def test_resampling_keeps_a_tone() -> None:
    found = resample(tone(20, 1.0), 1000, 400)
    assert len(found) == 400
    assert np.abs(found - tone(20, 1.0, 400))[20:-20].max() < 0.02


def test_series_are_shifted_erased_and_mixed_along_time() -> None:
    x = torch.zeros(200, 2, 32)
    x[:, :, 16] = 1.0
    moved = Augment(shift=0.125).examples(x, Series(2, 32), torch.Generator().manual_seed(0))
    assert set(moved[:, 0].argmax(1).tolist()) == set(range(12, 21))
    erased = Augment(erase=1.0).examples(
        torch.ones(50, 2, 32), Series(2, 32), torch.Generator().manual_seed(0)
    )
    assert ((erased == 0).sum(2) >= 7).all()
    assert torch.equal(erased[:, 0], erased[:, 1])


@pytest.mark.parametrize(
    ("found", "options", "message"),
    [
        (ragged(), {}, "no array 'labels'; one value for each example have digit, speaker, take"),
        (ragged(), {"label": "takes"}, "no array 'takes'"),
        (ragged(), {"label": "digit", "test": "take"}, "cannot read the condition"),
        (ragged(), {"label": "digit", "test": "room=1"}, "no array 'room'"),
        (ragged(), {"label": "digit", "test": "take<x"}, "holds numbers"),
        (ragged(), {"label": "digit", "test": "take<0"}, "no example belongs"),
        (ragged(), {"label": "digit", "rate": 500}, "how many samples a second"),
        (ragged(), {"label": "digit", "rate": 5}, "rate must be in"),
        (ragged(offsets=np.arange(31)), {"label": "digit"}, "must rise from 0"),
        (ragged(offsets=np.zeros(31)), {"label": "digit"}, "whole numbers"),
        ({"x": np.zeros((9, 2, 2, 2)), "y": np.arange(9) % 2}, {}, "expected numbers"),
        ({"x": np.full((9, 4), np.nan), "y": np.arange(9) % 2}, {}, "9 of 9 series .* NaN"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, found: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        series(save(tmp_path, **found), **options)


def test_all_files_that_are_no_sound_are_named(folder: Path) -> None:
    (folder / "low" / "3.wav").write_text("not sound")
    (folder / "high" / "4.wav").write_bytes(b"RIFF")
    with pytest.raises(TaskError, match=r"2 of 24 files .* as wav: high/4\.wav .*low/3\.wav"):
        series(folder)


def test_sound_that_cannot_be_decoded_is_said_to_be_so(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "s" / label).mkdir(parents=True)
        (tmp_path / "s" / label / "1.flac").write_bytes(b"fLaC")
    with pytest.raises(TaskError, match=r"holds sound as \.flac") as met:
        load_task(str(tmp_path / "s"))
    assert "ffmpeg" in met.value.hint


def test_a_table_has_a_test_split_by_a_column_that_is_no_sample(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n % 3},{n % 2},{n // 30}\n" for n in range(40))
    (tmp_path / "t.csv").write_text("a,b,kind,fold\n" + rows)
    task = series(tmp_path / "t.csv", label="kind", test="fold=1")
    assert list(task.inputs.values()) == [Series(1, 2)]
    assert task.sizes["test"] == 10
    with pytest.raises(TaskError, match="no column label"):
        series(tmp_path / "t.csv")
    with pytest.raises(TaskError, match="no column 'kinds'; its columns are kind, "):
        series(tmp_path / "t.csv", label="kinds")
