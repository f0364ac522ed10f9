"""Separation of mixtures and denoising of images: what is made, what is right, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from scipy.io import wavfile

from nasplat.errors import TaskError
from nasplat.graph.types import Image, Series
from nasplat.tasks.augment import Augment
from nasplat.tasks.base import Task
from nasplat.tasks.denoising import denoising, digits_noisy
from nasplat.tasks.load import load_task
from nasplat.tasks.separation import digits_mixed, separation
from nasplat.testing.task import TaskConformance


def ragged(**more: Any) -> dict[str, Any]:
    """Forty recordings of noise by four speakers, each louder than the one before."""
    rows = [np.random.default_rng(n).normal(size=30 + n % 5) * 100 * (1 + n % 4) for n in range(40)]
    return {
        "pcm": np.concatenate(rows).astype(np.int16),
        "offsets": np.cumsum([0, *(len(row) for row in rows)]),
        "speaker": np.arange(40) % 4,
        **more,
    }


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", **ragged())
    return tmp_path / "data.npz"


class TestMixedDigits(TaskConformance):
    @pytest.fixture
    def task(self) -> Task:
        return digits_mixed(count=50, sources=3)


class TestSeparation(TaskConformance):
    @pytest.fixture
    def task(self, archive: Path) -> Task:
        return load_task(f"{archive}?kind=separation&label=speaker&count=40&sources=2")


class TestNoisyDigits(TaskConformance):
    @pytest.fixture
    def task(self) -> Task:
        return digits_noisy()


class TestDenoising(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        for number in range(12):
            pixels = np.random.default_rng(number).integers(0, 256, (9, 8, 3)).astype(np.uint8)
            Picture.fromarray(pixels).save(tmp_path / f"{number}.png")
        return load_task(str(tmp_path), kind="denoising")


def test_a_mixture_is_the_sum_of_sources_of_like_loudness(archive: Path) -> None:
    task = separation(archive, count=100, length=32, label="speaker")
    assert list(task.inputs.values()) == [Series(1, 32)]
    assert list(task.outputs.values()) == [Series(2, 32)]
    (batch,) = task.batches("train", 500)
    assert torch.allclose(batch.inputs[0], batch.targets.sum(1, keepdim=True), atol=1e-6)
    loud = batch.targets.square().mean(2).sqrt()
    assert 0.74 < loud.min() < 0.8 < 1.25 < loud.max() < 1.34


def test_sources_of_a_mixture_have_different_speakers_and_splits_different_recordings() -> None:
    task = digits_mixed(count=200)
    seen = {}
    for split in ("train", "validation"):
        (batch,) = task.batches(split, 500)
        shapes = batch.targets / batch.targets.square().mean(2, keepdim=True).sqrt()
        seen[split] = {tuple((row * 100).round().tolist()) for row in shapes.flatten(0, 1)}
        assert not torch.allclose(shapes[:, 0], shapes[:, 1])
    assert not seen["train"] & seen["validation"]


def test_what_separates_in_any_order_costs_little() -> None:
    task = digits_mixed(count=50)
    batch = next(task.batches("train", 20))
    assert float(task.loss(2 * batch.targets.flip(1), batch.targets)) < -60
    found = task.score(batch.targets.flip(1), batch.targets)
    assert found["si_sdr"] > 60
    assert found["si_sdr_improvement"] > 50


def test_folders_name_who_speaks(tmp_path: Path) -> None:
    for speaker in ("ann", "bob", "cid"):
        (tmp_path / "talk" / speaker).mkdir(parents=True)
        for number in range(10):
            samples = np.random.default_rng(number).normal(size=50).astype(np.float32)
            wavfile.write(tmp_path / "talk" / speaker / f"{number}.wav", 1000, samples)
    task = separation(tmp_path / "talk", count=20, length=40, rate=1000)
    assert "20 mixtures of 2 of 30 recordings" in task.describe()
    assert load_task(task.spec).fingerprint == task.fingerprint
    with pytest.raises(TaskError, match="mixtures of 4 need as many speakers, the train split has"):
        separation(tmp_path / "talk", sources=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": 5}, "sources must be in"),
        ({"count": 1}, "count must be in"),
        ({"label": "room"}, "no array 'room'"),
        ({"rate": 4000}, "how many samples a second"),
    ],
)
def test_options_of_separation_that_cannot_be_are_refused(
    archive: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        separation(archive, **options)


def test_silent_recordings_are_left_out(tmp_path: Path) -> None:
    found = ragged()
    found["pcm"][: found["offsets"][10]] = 0
    np.savez(tmp_path / "data.npz", **found)
    assert "of 30 recordings" in separation(tmp_path / "data.npz", count=20).describe()
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(TaskError, match="holds no recordings but the arrays x"):
        separation(tmp_path / "other.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TaskError, match="no recordings in"):
        separation(tmp_path / "empty")


def test_noise_has_its_strength_and_stays_the_same_without_augmentation() -> None:
    task = digits_noisy(sigma=0.2)
    (batch,) = task.batches("validation", 500)
    deviation = task.preprocessing["std"][0]
    noise = (batch.inputs[0] - batch.targets) * deviation
    assert float(noise.std()) == pytest.approx(0.2, abs=0.01)
    small = torch.cat([part.inputs[0] for part in task.batches("validation", 7)])
    assert torch.equal(small, batch.inputs[0])
    score = task.score(batch.inputs[0], batch.targets)
    assert score["psnr"] == pytest.approx(-20 * np.log10(0.2), abs=0.5)
    one, two = (
        next(task.batches("train", 8, shuffle_seed=seed, augment=Augment())) for seed in (1, 1)
    )
    assert torch.equal(one.inputs[0], two.inputs[0])
    assert float(task.loss(batch.targets, batch.targets)) == 0


def test_images_to_denoise_come_from_arrays_too(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.zeros(20))
    task = denoising(tmp_path / "a.npz", sigma=0.05)
    assert list(task.outputs.values()) == [Image(3, 6, 5)]
    np.savez(tmp_path / "b.npz", x=x.astype(np.float32))
    with pytest.raises(
        TaskError, match=r"go from 0 to 255; expected bytes, or numbers in \[0, 1\]"
    ):
        denoising(tmp_path / "b.npz")
    with pytest.raises(TaskError, match="sigma must be in"):
        denoising(tmp_path / "a.npz", sigma=0)
    np.savez(tmp_path / "c.npz", x=np.zeros((20, 7)))
    with pytest.raises(TaskError, match="expected images"):
        denoising(tmp_path / "c.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TaskError, match="no images in"):
        denoising(tmp_path / "empty")
