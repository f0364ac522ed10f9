"""Tables in the neutral form: what is read, and that what is wrong is said with its place."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nasplat.bench.load import load_table
from nasplat.bench.rows import Rows
from nasplat.bench.table import SECONDS
from nasplat.errors import GenotypeError, SpaceError, UsageError

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The worked example of the page."""
    for block in re.findall(r"```\w+\n(# (\S+)\n.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        text, name = block
        kept = text if name.endswith(".py") else text.partition("\n")[2]
        (tmp_path / name).write_text(kept, encoding="utf-8")
    return tmp_path


def edited(folder: Path, **changes: str) -> Path:
    """The example with texts replaced in its CSV file, each ``old`` by ``new``."""
    file = folder / "mine.csv"
    text = file.read_text(encoding="utf-8")
    for old, new in zip(changes["old"].split("|"), changes["new"].split("|"), strict=True):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    return file


def head(folder: Path, text: str) -> Path:
    """The example with another ``.toml`` file."""
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    return folder / "mine.csv"


def test_the_example_of_the_page_is_read(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "read.py"], cwd=folder, capture_output=True, text=True, timeout=170
    )
    assert done.stdout.strip() == "6 networks, [2, 8] ('accuracy', 'latency_ms') best 0.9", (
        done.stderr
    )


def test_everything_said_beside_a_table_is_taken_over(folder: Path) -> None:
    table = load_table(folder / "mine.csv")
    assert table.name == "mine"
    assert table.title == "Six small networks"
    assert table.metrics == {"accuracy": "max", "latency_ms": "min"}
    assert table.complete and table.continues
    assert table.genotypes[2] == {"conv.channels": 4, "choose": "pool"}
    assert np.isnan(table.results[8]["accuracy"][5])
    assert table.results[8][SECONDS][0] == 43
    assert table.row(table.space.build({"conv.channels": 8, "choose": "pool"})) == 5


def test_without_a_toml_file_the_first_metric_is_searched_for(folder: Path) -> None:
    (folder / "mine.toml").unlink()
    table = load_table(folder / "mine.csv")
    assert table.objectives == ("accuracy",)
    assert table.metrics == {"accuracy": "max", "latency_ms": "min"}
    assert not table.continues


def test_a_part_of_a_space_is_searched_by_its_rows(folder: Path) -> None:
    head(folder, "")
    lines = (folder / "mine.csv").read_text(encoding="utf-8").splitlines()
    (folder / "mine.csv").write_text("\n".join(lines[:9]), encoding="utf-8")
    table = load_table(folder / "mine.csv")
    assert len(table) == 4
    assert isinstance(table.searched, Rows)


def test_genotypes_as_json_parquet_and_gzip_are_the_same_table(folder: Path) -> None:
    wanted = load_table(folder / "mine.csv")
    frame = pd.read_csv(folder / "mine.csv")
    frame.to_parquet(folder / "mine.parquet")
    packed = folder / "mine.csv.gz"
    packed.write_bytes(gzip.compress((folder / "mine.csv").read_bytes()))
    paths = ["conv.channels", "choose", "choose.conv.kernel"]
    told = [row.dropna() for _, row in frame[paths].iterrows()]
    frame["genotype"] = [row.to_json() for row in told]
    (folder / "json").mkdir()
    for name in ("space.py", "mine.toml"):
        (folder / "json" / name).write_text((folder / name).read_text())
    frame.drop(columns=paths).to_csv(folder / "json" / "mine.csv", index=False)
    for file in (folder / "mine.parquet", packed, folder / "json" / "mine.csv"):
        table = load_table(file)
        assert list(table.genotypes) == list(wanted.genotypes)
        np.testing.assert_array_equal(
            table.values(["accuracy", "latency_ms"]), wanted.values(["accuracy", "latency_ms"])
        )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("4,conv,3,8,", "4,conv,1,8,", "twice at the same epochs: rows 2 and 4"),
        ("4,pool,,8,0.52,0.17,39\n", "", "misses rows: 8 epochs of the genotype in row 5"),
        ("4,conv,1,8,0.74", ",,,8,0.74", "no genotype in row 2"),
        ("0.85", "nan", "the metric accuracy is nan in row 4"),
        ("0.85", "inf", "the metric accuracy is inf in row 4"),
        ("0.85", "good", "'accuracy' is no decision .* 'good' in row 4"),
        ("conv.channels,choose,", "conv.chanels,choose,", "conv.channels is missing"),
        ("4,conv,3,8,", "4,conv,3,0,", "epochs are whole numbers from 1, got '0' in row 4"),
        ("4,conv,3,8,", "4,conv,3,8,1,", "line 5 has 8 cells, the first line has 7"),
        (",seconds\n", ",accuracy\n", "two columns 'accuracy'"),
        (
            "8,conv,3,2,0.72,0.44,19\n|8,conv,3,8,0.90,0.44,75\n",
            "|",
            "misses 1 of the architectures",
        ),
    ],
)
def test_rows_that_are_wrong_are_named(folder: Path, old: str, new: str, words: str) -> None:
    file = edited(folder, old=old, new=new)
    with pytest.raises(UsageError, match=words):
        load_table(file)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("8,conv,3,2", "16,conv,3,2", r"row 9: conv.channels .*16"),
        ("8,conv,3,2", "8,cnv,3,2", r"row 9: choose .*'cnv'"),
        ("4,pool,,2", "4,pool,3,2", "row 5: choose.conv.kernel is not active"),
        ("4,conv,3,2", "4,conv,,2", "row 3: choose.conv.kernel is missing"),
    ],
)
def test_genotypes_that_the_space_does_not_hold_are_named(
    folder: Path, old: str, new: str, words: str
) -> None:
    file = edited(folder, old=old, new=new)
    with pytest.raises(GenotypeError, match=words):
        load_table(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('objectives = ["acuracy:max"]', "metrics that the table has not: acuracy"),
        ('objectives = ["accuracy:up"]', "accuracy = 'up'"),
        ("rows = 7", "has 6 genotypes, its .toml asks for 7"),
        ('object = ["accuracy"]', "says object; what it may say: objectives"),
        ("covers = 1", "covers is of type bool, got 1"),
        ("covers: true", "is not TOML"),
        ('space = "missing.py"', "missing.py does not exist"),
        ('space_version = "s1:0"', "was made for s1:0"),
    ],
)
def test_what_is_wrong_beside_a_table_is_named(folder: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_table(head(folder, text))


def test_trainings_that_go_on_take_longer(folder: Path) -> None:
    file = edited(folder, old="0.74,0.20,43", new="0.74,0.20,3")
    with pytest.raises(
        UsageError, match=r"1 took fewer seconds up to 8 epochs .*'choose.conv.kernel': 1"
    ):
        load_table(file)
    assert len(load_table(head(folder, ""))) == 6


def test_metrics_that_do_not_vary_are_refused_as_objectives(folder: Path) -> None:
    file = folder / "mine.csv"
    frame = pd.read_csv(file)
    for column, words in ((1.0, "is 1 wherever"), (np.nan, "no results")):
        frame.assign(accuracy=column).to_csv(file, index=False)
        with pytest.raises(UsageError, match=words):
            load_table(file)
    frame.assign(params=5).to_csv(file, index=False)
    with pytest.raises(UsageError, match="params of mine is 5 wherever"):
        load_table(file).values(["params"])


def test_texts_beside_genotypes_and_metrics_may_be_ignored(folder: Path) -> None:
    pd.read_csv(folder / "mine.csv").assign(who="me").to_csv(folder / "mine.csv", index=False)
    with pytest.raises(UsageError, match="'who' is no decision"):
        load_table(folder / "mine.csv")
    head(folder, 'ignore = ["who"]')
    assert len(load_table(folder / "mine.csv")) == 6


def test_files_that_are_not_there_or_not_tables_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"other\.csv does not exist"):
        load_table(folder / "other.csv")
    (folder / "empty.csv").write_text("conv.channels,accuracy\n")
    with pytest.raises(UsageError, match="holds no rows"):
        load_table(folder / "empty.csv")
    (folder / "other.parquet").write_bytes(b"PAR0")
    with pytest.raises(UsageError, match="cannot be read as parquet"):
        load_table(folder / "other.parquet")
    with pytest.raises(UsageError, match="unknown table 'nb201-c1'; known: nb201-c10"):
        load_table("nb201-c1")


def test_space_files_that_are_missing_or_wrong_are_named(folder: Path) -> None:
    space = folder / "space.py"
    text = space.read_text(encoding="utf-8")
    space.rename(folder / "elsewhere.py")
    with pytest.raises(UsageError, match="has no space file"):
        load_table(folder / "mine.csv")
    assert len(load_table(folder / "mine.csv", space=folder / "elsewhere.py")) == 6
    for broken, words in (
        (text.replace("return Space", "Space"), "returned None, expected a Space"),
        (text.replace("def space", "def spaces"), "no function space"),
        (text.replace("layer = ", "layer = 1 / 0 or "), "ZeroDivisionError"),
    ):
        space.write_text(broken, encoding="utf-8")
        with pytest.raises(SpaceError, match=words):
            load_table(folder / "mine.csv")


def test_a_space_that_asks_for_a_task_gets_types(folder: Path) -> None:
    text = (folder / "space.py").read_text(encoding="utf-8")
    text = text.replace("def space():", "def space(task):").replace(
        '{"image": Image(1, 8, 8)}, {"logits": Logits(10)}', "task.inputs, task.outputs"
    )
    (folder / "space.py").write_text(text, encoding="utf-8")
    head(folder, "")
    assert "Image(3, 32, 32)" in repr(load_table(folder / "mine.csv").space)
    head(folder, '[inputs]\nimage = ["Image", 1, 8, 8]\n[outputs]\nlogits = ["Logits", 10]\n')
    assert "Image(1, 8, 8)" in repr(load_table(folder / "mine.csv").space)
    head(folder, 'task = "digits"')
    assert "Image(1, 8, 8)" in repr(load_table(folder / "mine.csv").space)
