"""Folders of images: what is accepted, what is refused and in which words, and the cache."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from nasplat import settings
from nasplat.errors import TaskError
from nasplat.graph.types import Image
from nasplat.tasks.base import Task
from nasplat.tasks.images import images
from nasplat.tasks.load import load_task
from nasplat.testing.task import TaskConformance


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASPLAT_CACHE", str(tmp_path / "cache"))


def draw(file: Path, seed: int, *, mode: str = "RGB", size: tuple[int, int] = (20, 16)) -> None:
    """Write a picture of noise around a brightness."""
    random = np.random.default_rng(seed)
    bands = len(Picture.new(mode, (1, 1)).getbands())
    pixels = random.integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(pixels[..., 0] if bands == 1 else pixels, mode=None).save(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of twelve colour pictures each."""
    root = tmp_path / "flowers"
    for label in ("daisy", "tulip"):
        for number in range(12):
            draw(root / label / f"{number}.png", number + 100 * (label == "tulip"))
    return root


class TestImages(TaskConformance):
    @pytest.fixture
    def task(self, folder: Path) -> Task:
        return images(folder)


def test_describe_names_the_folder_the_split_and_the_size(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    task = load_task("./flowers", size=96)
    assert task.describe() == (
        "./flowers: 24 images, 2 classes, 83/8/8 split (seed 0), resized to 96x96"
    )
    assert list(task.inputs.values()) == [Image(3, 96, 96)]


def test_the_spec_holds_an_absolute_path_and_the_name_as_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    spec = load_task("./flowers").spec
    monkeypatch.chdir("/")
    assert spec["path"] == str(folder)
    assert load_task(spec).name == "./flowers"


def test_small_images_of_one_size_keep_it(folder: Path) -> None:
    task = images(folder)
    assert list(task.inputs.values()) == [Image(3, 16, 20)]
    assert task.describe().endswith("(seed 0), 20x16")
    assert images(folder).describe() == task.describe()


def test_images_of_several_sizes_become_squares(folder: Path) -> None:
    draw(folder / "daisy" / "large.png", 1, size=(120, 90))
    assert list(images(folder).inputs.values()) == [Image(3, 16, 16)]


def test_the_pixels_are_those_of_the_files(folder: Path) -> None:
    task = images(folder)
    batch = next(task.batches("train", 1))
    mean = np.array(task.preprocessing["mean"])
    deviation = np.array(task.preprocessing["std"])
    pixels = batch.inputs[0][0].numpy().transpose(1, 2, 0) * deviation + mean
    stored = [np.asarray(Picture.open(file)) for file in (folder / "daisy").iterdir()]
    assert any(np.allclose(pixels, image, atol=1e-2) for image in stored)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_channels_follow_the_files(tmp_path: Path, mode: str, channels: int) -> None:
    for label in "ab":
        for number in range(4):
            draw(tmp_path / "set" / label / f"{number}.png", number, mode=mode)
    assert list(images(tmp_path / "set").inputs.values()) == [Image(channels, 16, 20)]


def test_mixed_channels_name_the_odd_files_and_the_way_out(folder: Path) -> None:
    draw(folder / "daisy" / "grey.png", 1, mode="L")
    with pytest.raises(TaskError) as met:
        images(folder)
    assert "1 of 25 files" in str(met.value)
    assert "daisy/grey.png (1 channel)" in str(met.value)
    assert "channels=3" in met.value.hint
    assert images(folder, channels=3).sizes["train"] > 0
    assert list(images(folder, channels=1).inputs.values()) == [Image(1, 16, 20)]


def test_all_corrupt_files_are_named_at_once(folder: Path) -> None:
    (folder / "daisy" / "text.jpg").write_text("not a picture")
    whole = (folder / "tulip" / "3.png").read_bytes()
    (folder / "tulip" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TaskError) as met:
        images(folder)
    assert "daisy/text.jpg (not an image)" in str(met.value)
    (folder / "daisy" / "text.jpg").unlink()
    with pytest.raises(TaskError, match=r"1 of 25 files .*tulip/cut\.png \(image file is trunc"):
        images(folder)


def test_files_that_cannot_be_opened_are_named(folder: Path) -> None:
    (folder / "daisy" / "gone.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(TaskError, match=r"cannot be opened: daisy/gone\.png \(No such file"):
        images(folder)


def test_one_class_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "tulip")
    with pytest.raises(TaskError, match=r"at least two sub-folders.*found only 'daisy'"):
        images(folder)


def test_a_folder_without_sub_folders_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "flat" / "a.png", 0)
    with pytest.raises(TaskError, match="FOLDER/CLASS/IMAGE") as met:
        images(tmp_path / "flat")
    assert "found none" in met.value.message


def test_all_empty_classes_are_named(folder: Path) -> None:
    for name in ("rose", "weed"):
        (folder / name).mkdir()
    (folder / "weed" / "notes.txt").write_text("nothing yet")
    with pytest.raises(TaskError, match="without images: rose, weed"):
        images(folder)


def test_a_class_too_small_to_split_is_named(folder: Path) -> None:
    draw(folder / "rose" / "only.png", 0)
    with pytest.raises(TaskError, match=r"at least 3 examples.*rose \(1\)"):
        images(folder)


def test_a_missing_folder_is_said_to_be_missing() -> None:
    with pytest.raises(TaskError, match="no file or folder /nowhere/flowers"):
        load_task("/nowhere/flowers")


@pytest.mark.parametrize("options", [{"size": 4}, {"size": 1000}, {"channels": 2}])
def test_options_out_of_range_are_refused(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(TaskError, match="must be"):
        images(folder, **options)


def test_a_ready_test_split_is_kept(tmp_path: Path) -> None:
    for part, count in (("train", 18), ("test", 5)):
        for label in ("cat", "dog"):
            for number in range(count):
                draw(tmp_path / "set" / part / label / f"{number}.png", number)
    task = images(tmp_path / "set")
    assert task.sizes == {"train": 32, "validation": 4, "test": 10}
    draw(tmp_path / "set" / "val" / "cat" / "0.png", 0)
    draw(tmp_path / "set" / "val" / "dog" / "0.png", 0)
    assert images(tmp_path / "set").sizes == {"train": 36, "validation": 2, "test": 10}


def test_a_worker_reads_the_cache_and_not_the_files(folder: Path) -> None:
    spec = images(folder).spec
    for file in folder.rglob("*.png"):
        file.write_bytes(b"")
    assert load_task(spec).fingerprint == spec["fingerprint"]


def test_a_damaged_cache_is_made_again(folder: Path) -> None:
    first = images(folder)
    (cached,) = (settings.cache() / "images").iterdir()
    cached.write_bytes(cached.read_bytes()[:100])
    assert images(folder).fingerprint == first.fingerprint
    assert cached.stat().st_size > 1000


def test_changed_files_are_noticed_by_a_worker_without_the_cache(folder: Path) -> None:
    spec = images(folder).spec
    shutil.rmtree(settings.cache())
    draw(folder / "daisy" / "0.png", 999)
    with pytest.raises(TaskError, match=r"files in .* have changed"):
        load_task(spec)


def test_the_fingerprint_follows_content_not_place(folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "moved")
    first = images(folder).fingerprint
    assert images(moved).fingerprint == first
    draw(moved / "daisy" / "0.png", 999)
    assert images(moved).fingerprint != first
    assert images(folder, seed=1).fingerprint != first
