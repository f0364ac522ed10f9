"""Language modelling: windows, hidden bytes, the standard library's text, and texts of one's own."""

from __future__ import annotations

import gzip
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nasplat.errors import TaskError, UsageError
from nasplat.evaluate.training import Trainer
from nasplat.graph.types import Ids, Logits, Tokens
from nasplat.tasks import text as module
from nasplat.tasks.augment import Augment
from nasplat.tasks.base import Task
from nasplat.tasks.language import LanguageTask
from nasplat.tasks.load import load_task
from nasplat.tasks.meters import IGNORE
from nasplat.tasks.recipe import Recipe
from nasplat.tasks.text import stdlib_text, text
from nasplat.testing.task import TaskConformance

SENTENCES = b"".join(b"Line %d says what line %d said.\n" % (n, n // 2) for n in range(100))


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "book.txt").write_bytes(SENTENCES)
    return tmp_path / "book.txt"


class TestText(TaskConformance):
    @pytest.fixture
    def task(self, book: Path) -> Task:
        return load_task(str(book), length=16)


class TestHiddenBytes(TaskConformance):
    @pytest.fixture
    def task(self, book: Path) -> Task:
        return load_task(f"{book}?length=16&objective=masked")


class TestStandardLibrary(TaskConformance):
    @pytest.fixture
    def task(self) -> Task:
        return stdlib_text(size=20_000)


class TestLabelledTexts(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        rows = "".join(f'"{"good" if n % 2 else "bad, no"} {n}",{n % 2}\n' for n in range(60))
        (tmp_path / "reviews.csv").write_text("text,label\n" + rows)
        return load_task(str(tmp_path / "reviews.csv"), length=12)


def joined(task: LanguageTask, split: str) -> bytes:
    batches = task.test(100) if split == "test" else task.batches(split, 100)
    return b"".join(
        bytes(row.tolist()) for batch in batches for row in batch.inputs[0].to(torch.uint8)
    )


def test_windows_follow_each_other_and_no_part_overlaps_another(book: Path) -> None:
    task = text(book, length=10)
    parts = [joined(task, split) for split in ("train", "validation", "test")]
    position = 0
    for part in parts:
        assert len(part) >= 10
        position = SENTENCES.index(part, position) + len(part)


def test_the_target_of_a_place_is_the_byte_after_it(book: Path) -> None:
    task = text(book, length=10)
    assert list(task.inputs.values()) == [Ids(10, 256)]
    assert list(task.outputs.values()) == [Tokens(10, 256)]
    batch = next(task.batches("train", 4))
    assert torch.equal(batch.inputs[0][:, 1:], batch.targets[:, :-1])
    assert bytes(batch.targets[0].tolist()) == SENTENCES[1:11]


def test_hidden_bytes_are_the_targets_and_the_same_every_time(book: Path) -> None:
    task = text(book, length=20, objective="masked")
    first, second = (list(task.batches("train", 64)) for _ in range(2))
    x, y = first[0].inputs[0], first[0].targets
    hidden = y != IGNORE
    assert 0.08 < hidden.float().mean() < 0.25
    assert hidden.any(1).all()
    assert (x[hidden] == 0).all()
    assert (x[~hidden] > 0).all()
    assert bytes(torch.where(hidden, y, x)[0].tolist()) == SENTENCES[:20]
    assert torch.equal(y, second[0].targets)


def test_training_that_is_augmented_hides_other_bytes_and_moves_windows(book: Path) -> None:
    masked = text(book, length=20, objective="masked")
    plain = next(masked.batches("train", 200, shuffle_seed=3))
    other = next(masked.batches("train", 200, shuffle_seed=3, augment=Augment()))
    assert not torch.equal(plain.targets, other.targets)
    task = text(book, length=20)
    moved = next(task.batches("train", 200, augment=Augment(shift=0.5)))
    assert not torch.equal(next(task.batches("train", 200)).inputs[0], moved.inputs[0])
    assert all(bytes(row.tolist()) in SENTENCES for row in moved.inputs[0])
    assert torch.equal(moved.inputs[0][:, 1:], moved.targets[:, :-1])


def test_a_packed_text_is_the_text(book: Path, tmp_path: Path) -> None:
    packed = tmp_path / "book.txt.gz"
    packed.write_bytes(gzip.compress(SENTENCES))
    assert load_task(str(packed)).fingerprint == load_task(str(book)).fingerprint
    cut = load_task(str(packed), limit=2000)
    assert cut.fingerprint == load_task(str(book), limit=2000).fingerprint
    assert ": 2,000 bytes," in cut.describe()
    packed.write_bytes(packed.read_bytes()[:100])
    with pytest.raises(TaskError, match="cannot be read"):
        load_task(str(packed))


def test_a_folder_is_its_texts_in_order(tmp_path: Path) -> None:
    for name, part in (("b.md", SENTENCES[500:]), ("a/x.txt", SENTENCES[:500]), (".c.txt", b"no")):
        (tmp_path / "books" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "books" / name).write_bytes(part)
    task = load_task(str(tmp_path / "books"), length=16)
    assert isinstance(task, LanguageTask)
    assert joined(task, "train") == SENTENCES[: len(joined(task, "train"))]
    assert "2 files" in task.describe()
    with pytest.raises(TaskError, match=r"no texts in .*\.py"):
        load_task(str(tmp_path / "books"), kind="text", suffix=".py")


def test_any_file_is_a_text_when_it_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "genome.dna").write_bytes(b"ACGT" * 500)
    assert "next byte" in load_task(str(tmp_path / "genome.dna"), kind="text").describe()
    (tmp_path / "code.py").write_bytes(SENTENCES)
    assert load_task(str(tmp_path / "code.py"), kind="text").sizes["train"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 2000}, r"too few for a window of 2000 .* validation \(\d+ bytes\), test"),
        ({"length": 1}, "length must be in"),
        ({"objective": "both"}, "objective must be next or masked"),
        ({"limit": 0}, "limit must be at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused(
    book: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        text(book, **options)


def test_bytes_cannot_be_hidden_behind_a_byte_that_occurs(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_bytes(b"ab\0" * 1000)
    assert text(tmp_path / "data.txt").sizes["train"] > 0
    with pytest.raises(TaskError, match="byte 0"):
        text(tmp_path / "data.txt", objective="masked")


def test_the_standard_library_is_read_in_a_fixed_order() -> None:
    task = stdlib_text(size=20_000)
    first = module.MODULES.split()[0]
    source = (Path(sysconfig.get_paths()["stdlib"]) / f"{first}.py").read_bytes()
    assert joined(task, "train")[:5000] == source[:5000]
    assert task.describe().endswith(f"Python {module.platform.python_version()}")
    assert stdlib_text(size=30_000).fingerprint != task.fingerprint
    assert list(stdlib_text().inputs.values()) == [Ids(64, 256)]


def test_a_python_without_its_source_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    with pytest.raises(TaskError, match="holds 0 bytes of the source"):
        stdlib_text()
    with pytest.raises(TaskError, match="size of stdlib-text"):
        stdlib_text(size=10)


def test_labelled_texts_are_their_bytes(tmp_path: Path) -> None:
    rows = "".join(f"row {n} \u00fc,{'ab'[n % 2]},{n // 50}\n" for n in range(60))
    file = tmp_path / "table.tsv"
    file.write_text("words,kind,fold\n" + rows, encoding="utf-8")
    file = file.rename(tmp_path / "table.csv")
    task = load_task(str(file), text="words", label="kind", length=9, test="fold=1")
    assert list(task.inputs.values()) == [Ids(9, 256)]
    assert list(task.outputs.values()) == [Logits(2)]
    assert task.sizes["test"] == 10
    batch = next(task.batches("train", 1, augment=Augment(mixup=0.5)))
    assert batch.inputs[0].dtype == torch.int64
    shown = bytes(batch.inputs[0][0].tolist()).rstrip(b"\0").decode()
    assert shown.startswith("row ") and shown.endswith("\u00fc")
    assert batch.targets.dtype == torch.int64, "texts are not mixed"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,label\n1,2\n", "no column text or texts"),
        ("text,a\nx,2\n", "no column label or labels"),
        ("text,label\n,2\nx,1\n", "1 of 2 rows .* no text or no label: row 0"),
    ],
)
def test_tables_without_texts_or_labels_are_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(TaskError, match=message):
        load_task(str(tmp_path / "t.csv"), kind="text-classification")


def test_logits_that_are_right_cost_nothing(book: Path) -> None:
    task = text(book, length=16)
    batch = next(task.batches("train", 8))
    outputs = 50 * torch.nn.functional.one_hot(batch.targets, 256).float()
    assert float(task.loss(outputs, batch.targets)) < 1e-6
    assert task.score(outputs, batch.targets)["accuracy"] == 1.0
    uniform = task.loss(torch.zeros(8, 16, 256), batch.targets)
    assert float(uniform) == pytest.approx(np.log(256))


class Looking(nn.Module):
    """Tells each place the byte so many places after it."""

    def __init__(self, ahead: int) -> None:
        super().__init__()
        self.ahead = ahead
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hot = nn.functional.one_hot(ids.roll(-self.ahead, 1), 256).float()
        return self.scale * hot


def test_a_model_that_looks_ahead_is_refused(book: Path) -> None:
    cpu = torch.device("cpu")
    task = text(book, length=16)
    module = Looking(0).train()
    task.audit(module, cpu)
    assert module.training
    with pytest.raises(UsageError, match="looks ahead: predictions of the first 8 bytes") as met:
        task.audit(Looking(1), cpu)
    assert "objective=masked" in met.value.hint
    text(book, length=16, objective="masked").audit(Looking(1), cpu)
    trainer = Trainer(Looking(1), task, Recipe(), epochs=1, seed=0, device=cpu)
    with pytest.raises(UsageError, match="looks ahead"):
        trainer.validate()
