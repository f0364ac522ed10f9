"""Segmentation: scenes of digits, one's own images and masks, void, and what moves with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from nasplat.errors import TaskError
from nasplat.graph.types import Image, Volume
from nasplat.tasks.augment import Augment
from nasplat.tasks.base import Task
from nasplat.tasks.load import load_task
from nasplat.tasks.masks import number_classes, segmentation
from nasplat.tasks.meters import IGNORE
from nasplat.tasks.scenes import scenes
from nasplat.tasks.segmentation import VOID, SegmentationTask, dice_loss
from nasplat.tasks.splits import split_plain
from nasplat.testing.task import TaskConformance


def noise(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def save(tmp_path: Path, **found: Any) -> Path:
    np.savez(tmp_path / "data.npz", **found)
    return tmp_path / "data.npz"


MASKS = noise(30, 8, 10) % 3


class TestScenes(TaskConformance):
    @pytest.fixture
    def task(self) -> Task:
        return scenes(count=40, size=24, dice=0.5)


class TestArraysWithMasks(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        return load_task(str(save(tmp_path, images=noise(30, 8, 10, 3), masks=MASKS)), void=2)


class TestVolumes(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        masks = noise(20, 4, 6, 5) % 2
        return load_task(str(save(tmp_path, x=noise(20, 4, 6, 5).astype(float), y=masks)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures of 12x8 with masks of three classes and some void."""
    for number in range(12):
        for kind, shape in (("images", (8, 12, 3)), ("masks", (8, 12))):
            file = tmp_path / "streets" / kind / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, shape).astype(np.uint8)
            if kind == "masks":
                pixels = pixels % 3
                pixels[0, 0] = 255
            Picture.fromarray(pixels).save(file)
    return tmp_path / "streets"


class TestFolder(TaskConformance):
    @pytest.fixture
    def task(self, folder: Path) -> Task:
        return load_task(str(folder))


def test_the_fingerprint_of_scenes_never_moves() -> None:
    assert scenes().fingerprint == "t1:2469c416f683b7fa7f42f183159ab609"


def test_scenes_have_a_background_and_one_class_for_each_digit() -> None:
    task = scenes(count=40, classes=4, size=48)
    assert list(task.inputs.values()) == [Image(1, 48, 48)]
    assert list(task.outputs.values()) == [Image(5, 48, 48)]
    assert task.classes == ("background", "0", "1", "2", "3")
    assert task.sizes == {"train": 32, "validation": 4, "test": 4}
    (batch,) = task.batches("train", 64)
    assert set(batch.targets.unique().tolist()) == {0, 1, 2, 3, 4}
    drawn = (batch.targets > 0).float().mean()
    assert 0.05 < drawn < 0.6
    # Where a digit is, there is ink.
    inks = batch.inputs[0][:, 0]
    assert inks[batch.targets > 0].mean() > inks[batch.targets == 0].mean() + 1


@pytest.mark.parametrize(
    "options", [{"size": 8}, {"digits": 0}, {"classes": 11}, {"count": 3}, {"size": 8, "count": 1}]
)
def test_options_of_scenes_out_of_range_are_all_named(options: dict[str, int]) -> None:
    with pytest.raises(TaskError) as met:
        scenes(**options)
    assert all(f"{name} must be in" in met.value.message for name in options)


def test_masks_move_with_their_images() -> None:
    examples = torch.zeros(60, 2, 16, 20)
    examples[:, :, 5:9, 3:11] = 1.0
    task = SegmentationTask(
        name="boxes",
        spec={},
        examples=examples,
        masks=(examples[:, 0] > 0).byte(),
        classes=("no", "yes"),
        splits=split_plain(60, 0),
        input_type=Image(2, 16, 20),
    )
    augment = Augment(shift=0.2, flip=True)
    (batch,) = task.batches("train", 64, shuffle_seed=1, augment=augment)
    x, y = batch.inputs[0], batch.targets
    assert torch.equal(x[:, 0] == x.max(), y == 1)
    assert (y == IGNORE).any(), "what comes in from outside has no class"
    assert len({tuple(row.flatten().tolist()) for row in y}) > 10
    assert task.loss(torch.zeros(len(y), 2, 16, 20), y).item() == pytest.approx(np.log(2))


def test_erasing_leaves_the_labels() -> None:
    labels = torch.randint(0, 3, (20, 8, 8))
    x, y = Augment(erase=1.0).with_labels(
        torch.ones(20, 1, 8, 8), labels, VOID, torch.Generator().manual_seed(0)
    )
    assert torch.equal(y, labels)
    assert (x == 0).any()


def test_volumes_move_with_their_masks_slice_by_slice_alike() -> None:
    x = torch.zeros(30, 1, 3, 8, 8)
    x[:, :, :, 4, 4] = 1.0
    moved, labels = Augment(shift=0.25).with_labels(
        x, x[:, 0].long(), VOID, torch.Generator().manual_seed(0)
    )
    assert torch.equal(moved[:, 0] == 1, labels == 1)
    assert torch.equal(moved[:, :, 0], moved[:, :, 2])


def test_void_counts_neither_in_the_loss_nor_in_a_score(tmp_path: Path) -> None:
    task = segmentation(save(tmp_path, x=noise(30, 8, 10, 3), y=MASKS), void=2)
    assert task.classes == ("0", "1")
    (batch,) = task.batches("train", 64)
    assert (batch.targets == IGNORE).any()
    outputs = torch.zeros(len(batch), 2, 8, 10)
    outputs.scatter_(1, batch.targets.clamp_min(0)[:, None], 50.0)
    assert task.score(outputs, batch.targets) == {"miou": 1.0, "pixel_accuracy": 1.0}
    assert float(task.loss(outputs, batch.targets)) < 1e-6
    nothing = torch.full_like(batch.targets, IGNORE)
    assert float(task.loss(outputs, nothing)) == 0.0


def test_dice_is_nought_for_what_is_right_and_near_one_for_what_is_wrong() -> None:
    targets = torch.tensor([[[0, 1], [1, IGNORE]]])
    right = torch.zeros(1, 2, 2, 2).scatter_(1, targets.clamp_min(0)[:, None], 50.0)
    assert float(dice_loss(right, targets)) < 1e-4
    assert float(dice_loss(-right, targets)) > 0.95


def test_two_hundred_and_fifty_five_is_void_only_beside_other_classes() -> None:
    raw = np.array([[0, 1, 255]])
    masks, classes = number_classes(raw, None, (), "data")
    assert masks.tolist() == [[0, 1, VOID]]
    assert classes == ("0", "1")
    masks, classes = number_classes(np.array([[0, 255]]), None, (), "data")
    assert masks.tolist() == [[0, 1]]
    assert classes == ("0", "255")
    assert number_classes(raw, "none", (), "data")[1] == ("0", "1", "255")


def test_names_make_classes_of_values_that_do_not_occur() -> None:
    masks, classes = number_classes(np.array([[0, 2]]), None, ("a", "b", "c"), "data")
    assert classes == ("a", "b", "c")
    assert masks.tolist() == [[0, 2]]


def test_a_folder_has_its_masks_by_stem_and_its_names_in_a_file(folder: Path) -> None:
    (folder / "classes.txt").write_text("road\nsky\ntree\n")
    task = segmentation(folder)
    assert list(task.inputs.values()) == [Image(3, 8, 12)]
    assert task.classes == ("road", "sky", "tree")
    (batch,) = task.batches("train", 64)
    assert (batch.targets[:, 0, 0] == IGNORE).all()
    assert segmentation(folder, size=16).inputs["input"] == Image(3, 16, 16)


def test_the_mask_is_that_of_its_image(folder: Path) -> None:
    for number in range(12):
        pixels = np.full((8, 12), 20 * number, dtype=np.uint8)
        Picture.fromarray(pixels).convert("RGB").save(folder / "images" / f"{number}.png")
        Picture.fromarray(np.full((8, 12), number, dtype=np.uint8)).save(
            folder / "masks" / f"{number}.png"
        )
    task = segmentation(folder)
    (batch,) = task.batches("train", 64)
    mean, deviation = task.preprocessing["mean"][0], task.preprocessing["std"][0]
    inks = batch.inputs[0][:, 0, 0, 0] * deviation + mean
    assert (inks / 20).round().long().tolist() == batch.targets[:, 0, 0].tolist()


def test_a_worker_reads_the_cache_and_not_the_files(folder: Path) -> None:
    spec = segmentation(folder).spec
    for file in folder.rglob("*.png"):
        file.write_bytes(b"")
    assert load_task(spec).fingerprint == spec["fingerprint"]


def test_ready_splits_are_kept(tmp_path: Path) -> None:
    parts = {"train_x": noise(20, 8, 8, 3), "train_y": noise(20, 8, 8) % 3}
    parts |= {"test_x": noise(6, 8, 8, 3), "test_y": noise(6, 8, 8) % 3}
    task = load_task(str(save(tmp_path, **parts)))
    assert isinstance(task, SegmentationTask)
    assert task.sizes["test"] == 6
    assert task.sizes["train"] + task.sizes["validation"] == 20
    assert task.split_indices()["test"] == list(range(20, 26))
    parts |= {"val_x": noise(5, 8, 8, 3), "val_y": noise(5, 8, 8) % 3}
    assert segmentation(save(tmp_path, **parts)).sizes == {
        "train": 20,
        "validation": 5,
        "test": 6,
    }


def test_all_files_without_a_partner_are_named(folder: Path) -> None:
    (folder / "masks" / "3.png").unlink()
    (folder / "images" / "5.png").unlink()
    with pytest.raises(TaskError, match=r"2 files in .* have no partner: 3, 5"):
        segmentation(folder)


def test_a_mask_of_another_size_is_named(folder: Path) -> None:
    Picture.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(folder / "masks" / "3.png")
    with pytest.raises(TaskError, match=r"masks/3\.png \(\(4, 4\) beside \(12, 8\)\)"):
        segmentation(folder)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"x": noise(9, 8, 8, 3), "y": noise(9, 8, 7) % 2}, "they do not fit"),
        ({"x": noise(9, 8, 8, 3), "y": (noise(9, 8, 8) % 2).astype(float)}, "whole numbers"),
        ({"x": noise(9, 8, 8, 3), "y": noise(9, 8, 8) * 0}, "hold 1 classes"),
        ({"x": noise(9, 3, 3, 3), "y": noise(9, 3, 3) % 2}, "cannot be told"),
        ({"x": noise(9, 8, 8), "y": noise(8, 8, 8) % 2}, "differ in number"),
        ({"x": np.full((9, 8, 8), np.nan), "y": noise(9, 8, 8) % 2}, "NaN"),
        (
            {"x": noise(9, 8, 8), "y": noise(9, 8, 8) % 3, "classes": np.array(["a", "b"])},
            "names 0 to 1",
        ),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, found: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        segmentation(save(tmp_path, **found))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dice": -1.0}, "dice must be"),
        ({"void": "all"}, "void must be"),
        ({"size": 32}, "for folders"),
        ({"layout": "middle"}, "layout must be"),
        ({"layout": "first"}, "do not have channels first"),
    ],
)
def test_options_that_cannot_be_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        segmentation(save(tmp_path, x=noise(9, 8, 10, 3), y=noise(9, 8, 10) % 2), **options)


def test_types_of_volumes(tmp_path: Path) -> None:
    masks = noise(20, 4, 6, 5) % 2
    task = segmentation(save(tmp_path, x=noise(20, 4, 6, 5, 2), y=masks))
    assert list(task.inputs.values()) == [Volume(2, 4, 6, 5)]
    assert list(task.outputs.values()) == [Volume(2, 4, 6, 5)]
    assert task.describe().endswith(
        "20 volumes with masks, 2 classes, 80/10/10 split (seed 0), Volume(2, 4, 6, 5)"
    )
