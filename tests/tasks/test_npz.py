"""Archives of one's own: names that are understood, encoded images, a test split from elsewhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from nasplat.errors import TaskError
from nasplat.graph.types import Image
from nasplat.tasks.arrays import arrays
from nasplat.tasks.base import Task
from nasplat.tasks.load import kind_of, load_task
from nasplat.tasks.npz import npz_axes, plain_name, read_npz, rows_of
from nasplat.testing.task import TaskConformance

LABELS = np.arange(40) % 4


def save(file: Path, **found: Any) -> Path:
    np.savez(file, **found)
    return file


def encoded(count: int = 40, *, sides: tuple[int, ...] = (9,), mode: str = "RGB") -> dict[str, Any]:
    """Pictures of one brightness each as PNG files, one after the other."""
    files = []
    for number in range(count):
        side = sides[number % len(sides)]
        opened = io.BytesIO()
        picture = Picture.new("L", (side, side), 5 * number).convert(mode)
        picture.save(opened, format="PNG")
        files.append(opened.getvalue())
    return {
        "png": np.frombuffer(b"".join(files), dtype=np.uint8),
        "offsets": np.cumsum([0, *map(len, files)]),
        "labels": (np.arange(count) % 4).astype(np.uint8),
        "fold": np.arange(count) % 10,
        "classes": np.array(["ant", "bee", "cat", "dog"]),
    }


class TestEncodedImages(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        file = save(tmp_path / "a.npz", **encoded())
        other = save(tmp_path / "b.npz", **encoded(12))
        return load_task(str(file), test_file=str(other), natural=True)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("train_images", "x_train"),
        ("Masks_Valid", "y_val"),
        ("X_test", "x_test"),
        ("labels", "y"),
        ("train", "train"),
        ("test_take", "take_test"),
    ],
)
def test_names_that_mean_the_same_are_one(name: str, known: str) -> None:
    assert plain_name(name) == known


def test_a_name_is_never_taken_twice(tmp_path: Path) -> None:
    file = save(tmp_path / "a.npz", x=np.zeros((3, 2)), images=np.ones(3))
    assert set(read_npz(file)) == {"x", "images"}
    assert npz_axes(file) == {"x": 2, "images": 1}
    (tmp_path / "b.npz").write_text("nothing")
    assert npz_axes(tmp_path / "b.npz") == {}


def test_encoded_images_are_decoded_and_their_classes_named(tmp_path: Path) -> None:
    task = arrays(save(tmp_path / "a.npz", **encoded()))
    assert list(task.inputs.values()) == [Image(3, 9, 9)]
    assert task.classes == ("ant", "bee", "cat", "dog")
    mean, deviation = task.preprocessing["mean"][0], task.preprocessing["std"][0]
    (batch,) = task.batches("train", 64)
    inks = (batch.inputs[0][:, 0, 0, 0] * deviation + mean) / 5
    assert (inks.round().long() % 4).tolist() == batch.targets.tolist()
    assert arrays(save(tmp_path / "a.npz", **encoded(mode="L"))).inputs["input"] == Image(1, 9, 9)


def test_a_size_makes_images_of_several_sizes_equal(tmp_path: Path) -> None:
    file = save(tmp_path / "a.npz", **encoded(sides=(9, 12)))
    with pytest.raises(TaskError, match="different sizes or channels") as met:
        arrays(file)
    assert "size=" in met.value.hint
    assert arrays(file, size=10).inputs["input"] == Image(3, 10, 10)
    with pytest.raises(TaskError, match="size is for encoded images"):
        arrays(save(tmp_path / "b.npz", x=np.zeros((40, 8, 8)), y=LABELS), size=10)


def test_the_test_split_is_named_or_in_another_file(tmp_path: Path) -> None:
    file = save(tmp_path / "a.npz", **encoded())
    named = arrays(file, test="fold>=8")
    assert named.split_indices()["test"] == [n for n in range(40) if n % 10 >= 8]
    other = save(tmp_path / "b.npz", **encoded(12))
    task = arrays(file, test_file=str(other))
    assert task.split_indices()["test"] == list(range(40, 52))
    assert task.spec["test_file"] == str(other.resolve())
    with pytest.raises(TaskError, match="has a test split of its own"):
        arrays(file, test="fold=1", test_file=str(other))
    with pytest.raises(TaskError, match="there is no file"):
        arrays(file, test_file=str(tmp_path / "c.npz"))
    large = save(tmp_path / "c.npz", **encoded(sides=(10,)))
    with pytest.raises(TaskError, match=r"have shape \(9, 9, 3\), those of .* \(10, 10, 3\)"):
        arrays(file, test_file=str(large))


def test_labels_may_have_another_name(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 6))
    file = save(tmp_path / "a.npz", x=x, y=LABELS, kind=LABELS % 2)
    assert len(arrays(file, label="kind").classes) == 2
    assert len(arrays(file).classes) == 4
    with pytest.raises(TaskError, match="no array 'sort'; one value for each example have kind, y"):
        arrays(file, label="sort")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"png": np.zeros(9, dtype=np.uint8), "offsets": np.arange(10)}, "9 of 9 images"),
        ({"offsets": np.array([0, 5, 5, 9])}, "must rise from 0"),
        ({"labels": np.arange(40)}, "names for 0 to 3"),
        ({"labels": np.arange(39)}, r"shape \(39,\); expected one for each of 40"),
    ],
)
def test_archives_that_cannot_be_used_say_why(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    found = encoded() | change
    if len(found["offsets"]) == 10:
        found["labels"] = np.arange(9)
    with pytest.raises(TaskError, match=message):
        arrays(save(tmp_path / "a.npz", **found))


def test_rows_are_what_lies_between_offsets() -> None:
    rows = rows_of(np.arange(6), np.array([0, 1, 4, 6], dtype=np.uint32), "data")
    assert [row.tolist() for row in rows] == [[0], [1, 2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({"x": np.zeros((9, 4, 4)), "y": np.zeros(9)}, "arrays"),
        ({"train_x": np.zeros((9, 4, 4)), "train_y": np.zeros((9, 4, 4))}, "segmentation"),
        ({"pcm": np.zeros(9), "offsets": np.arange(10)}, "series"),
        ({"jpeg": np.zeros(9), "offsets": np.arange(10)}, "arrays"),
    ],
)
def test_an_archive_says_what_it_is(tmp_path: Path, found: dict[str, Any], kind: str) -> None:
    assert kind_of(save(tmp_path / "a.npz", **found), {}) == kind


@pytest.mark.parametrize(
    ("name", "content", "options", "kind"),
    [
        ("a.csv", "date,load\n1,2\n", {}, "forecasting"),
        ("a.csv", "text,label\nx,2\n", {}, "text-classification"),
        ("a.csv", "a,b,label\n1,2,3\n", {}, "series"),
        ("a.csv", "a,b,c\n1,2,3\n", {"label": "c"}, "series"),
        ("a.tsv", "words\tc\nx\t3\n", {"label": "c", "text": "words"}, "text-classification"),
        ("notes.md", "# Notes", {}, "text"),
    ],
)
def test_a_table_or_text_says_what_it_is(
    tmp_path: Path, name: str, content: str, options: dict[str, str], kind: str
) -> None:
    (tmp_path / name).write_text(content)
    assert kind_of(tmp_path / name, options) == kind


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (("cat/1.jpg", "dog/2.jpg", "readme.txt"), "images"),
        (("cat/1.wav", "dog/2.wav"), "series"),
        (("images/1.jpg", "masks/1.png"), "segmentation"),
        (("train/images/1.jpg", "train/labels/1.png", "test/images/2.jpg"), "segmentation"),
        (("a.txt", "b/c.md"), "text"),
        (("a.dat",), "images"),
    ],
)
def test_a_folder_says_what_it_is(tmp_path: Path, files: tuple[str, ...], kind: str) -> None:
    for name in files:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).touch()
    assert kind_of(tmp_path / "set", {}) == kind


def test_a_kind_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(TaskError, match="unknown kind of task 'txt'; known: text"):
        load_task(str(tmp_path / "a.txt"), kind="txt")
