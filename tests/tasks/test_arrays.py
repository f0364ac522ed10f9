"""Arrays of one's own: layouts that are understood, and each kind of wrong input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasplat.errors import TaskError
from nasplat.graph.types import Image, TensorType, Vector
from nasplat.tasks.arrays import arrays
from nasplat.tasks.base import Task
from nasplat.tasks.load import load_task
from nasplat.testing.task import TaskConformance


def noise(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=shape)


LABELS = np.arange(40) % 4


def save(tmp_path: Path, **found: Any) -> Path:
    np.savez(tmp_path / "data.npz", **found)
    return tmp_path / "data.npz"


class TestArrays(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        return arrays(save(tmp_path, x=noise(40, 6, 5), y=LABELS))


class TestVectors(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        return arrays(save(tmp_path, x=noise(40, 7), y=LABELS))


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((40, 6, 5), Image(1, 6, 5)),
        ((40, 6, 5, 3), Image(3, 6, 5)),
        ((40, 3, 6, 5), Image(3, 6, 5)),
        ((40, 9), Vector(9)),
    ],
)
def test_the_layout_is_told_from_the_shape(
    tmp_path: Path, shape: tuple[int, ...], kind: TensorType
) -> None:
    task = load_task(str(save(tmp_path, x=noise(*shape), y=LABELS)))
    assert list(task.inputs.values()) == [kind]
    assert task.describe().endswith(f"4 classes, 80/10/10 split (seed 0), {kind}")


def test_channels_last_arrive_at_their_place(tmp_path: Path) -> None:
    x = np.zeros((40, 6, 5, 2), dtype=np.uint8)
    x[:, 4, 3, 1] = LABELS
    batch = next(arrays(save(tmp_path, x=x, y=LABELS)).batches("train", 40))
    values = batch.inputs[0]
    assert values.shape[1:] == (2, 6, 5)
    assert len(set(values[:, 1, 4, 3].tolist())) == 4
    assert len(set(values[:, 0].flatten().tolist())) == 1


def test_a_layout_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    file = save(tmp_path, x=noise(40, 3, 6, 3), y=LABELS)
    with pytest.raises(TaskError, match="cannot be told apart") as met:
        arrays(file)
    assert "layout=NHWC" in met.value.hint
    assert list(arrays(file, layout="NHWC").inputs.values()) == [Image(3, 3, 6)]
    assert list(load_task(f"{file}?layout=NCHW").inputs.values()) == [Image(3, 6, 3)]


def test_text_labels_name_the_classes(tmp_path: Path) -> None:
    labels = np.array(["dog", "cat"] * 20)
    assert arrays(save(tmp_path, x=noise(40, 9), y=labels)).classes == ("cat", "dog")


def test_ready_splits_are_kept(tmp_path: Path) -> None:
    parts = {"x_train": noise(36, 9), "y_train": LABELS[:36]}
    parts |= {"x_test": noise(8, 9) + 1, "y_test": LABELS[:8]}
    assert arrays(save(tmp_path, **parts)).sizes == {"train": 32, "validation": 4, "test": 8}
    parts |= {"X_val": noise(5, 9), "Y_val": LABELS[:5]}
    task = arrays(save(tmp_path, **parts))
    assert task.sizes == {"train": 36, "validation": 5, "test": 8}
    assert task.split_indices()["test"] == list(range(41, 49))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"pictures": noise(40, 9), "y": LABELS}, "holds the arrays pictures, y; expected x"),
        ({"x": noise(40, 9)}, "holds the arrays x; expected x, y or x_train"),
        ({"x": noise(40, 9), "y": LABELS[:39]}, "x has 40 and y 39"),
        ({"x": noise(40), "y": LABELS}, r"have shape \(40,\); expected \(N, H, W\)"),
        ({"x": noise(40, 0, 3), "y": LABELS}, "no axis empty"),
        ({"x": noise(40, 2, 2, 2, 2), "y": LABELS}, "expected .N, H, W"),
        ({"x": noise(40, 9), "y": noise(40, 4)}, r"labels .* have shape \(40, 4\)"),
        ({"x": noise(40, 9), "y": LABELS + 0.5}, "not whole numbers .such as 0.5"),
        ({"x": noise(40, 9), "y": np.full(40, np.nan)}, "labels of .* hold NaN"),
        ({"x": noise(40, 9), "y": np.zeros(40, int)}, "at least two classes, found 1"),
        ({"x": noise(40, 9), "y": np.arange(40)}, "at least 3 examples"),
        ({"x": np.full((40, 9), "a"), "y": LABELS}, "must be numbers"),
        ({"x": noise(40, 9), "y": np.array([{}] * 40)}, "'y' .* cannot be read"),
        (
            {
                "x_train": noise(40, 9),
                "y_train": LABELS,
                "x_test": noise(4, 8),
                "y_test": LABELS[:4],
            },
            "different shapes",
        ),
        (
            {
                "x_train": noise(40, 9),
                "y_train": LABELS,
                "x_val": noise(4, 9),
                "x_test": noise(4, 9),
                "y_test": LABELS[:4],
            },
            "x_val alone",
        ),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, found: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        arrays(save(tmp_path, **found))


def test_examples_with_nan_are_counted_and_numbered(tmp_path: Path) -> None:
    x = noise(40, 6, 5)
    x[3, 2, 2] = np.nan
    x[17] = np.inf
    with pytest.raises(TaskError, match=r"2 of 40 examples .* NaN or infinity: number 3, 17"):
        arrays(save(tmp_path, x=x, y=LABELS))


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(TaskError, match=r"not a readable \.npz"):
        arrays(tmp_path / "text.npz")
    whole = save(tmp_path, x=noise(40, 9), y=LABELS)
    whole.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(TaskError, match=r"not a readable \.npz"):
        arrays(whole)
    np.save(tmp_path / "one.npy", noise(4))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(TaskError, match="holds a single array"):
        arrays(tmp_path / "one.npz")


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="NHWC or NCHW, got 'CHWN'"):
        arrays(save(tmp_path, x=noise(40, 9), y=LABELS), layout="CHWN")


def test_the_fingerprint_follows_the_data(tmp_path: Path) -> None:
    first = arrays(save(tmp_path, x=noise(40, 9), y=LABELS)).fingerprint
    assert arrays(save(tmp_path, x=noise(40, 9), y=LABELS)).fingerprint == first
    assert arrays(save(tmp_path, x=noise(40, 9) + 1, y=LABELS)).fingerprint != first
    assert arrays(save(tmp_path, x=noise(40, 9), y=LABELS[::-1])).fingerprint != first
