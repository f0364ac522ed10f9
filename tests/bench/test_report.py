"""The report of a folder: everything in it, in pages that stand by themselves."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from nasplat.bench import measured, race
from nasplat.bench.drawing import Curves, draw
from nasplat.bench.measures import Problem
from nasplat.bench.predictors import Measured
from nasplat.bench.race import Course, Lap
from nasplat.bench.report import cell, sections, write
from nasplat.bench.runs import Plan, run_all
from nasplat.errors import NotFoundError
from tests.bench.small import small_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two problems in one folder, a race in another."""
    table = small_table()
    plan = Plan(["random", "local"], seeds=2, evaluations=10)
    for objectives in (["score"], ["score", "macs"]):
        run_all(table, Problem.of(table, objectives), plan, out=tmp_path / "small")
    course = Course(space="s", task="t", budget="10trials", objectives=("a:max", "macs:min"))
    for seed in (0, 1):
        lap = Lap("guided", seed, ((1.0, (-0.5, 2.0)), (4.0, (-0.9 + 0.1 * seed, 1.0))))
        race._append(tmp_path / "race", course, lap)
    measured.keep(tmp_path / "small", [figures("ridge", 16), figures("ridge", 32)], {"fidelity": 9})
    measured.keep(tmp_path / "small", [figures("trees", 16), figures("ridge", 16)], {"fidelity": 9})
    return tmp_path


def figures(recipe: str, rows: int) -> Measured:
    """What a recipe was worth."""
    tau = rows / 100 + 0.1 * (recipe == "trees")
    return Measured("small", "score", recipe, rows, 40, 5, tau, 0.1, 0.2, 0.5, 0.9, 0.1, 0.1, 0.1)


class Tags(HTMLParser):
    """Counts elements and collects what would be loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag in ("script", "link", "img", "iframe"):
            self.loaded.append(tag)


def test_a_report_holds_every_problem_and_race_below_a_folder(folder: Path) -> None:
    titles = [part.title for part in sections(folder)]
    assert titles == [
        "s on t, 10trials: a:max, macs:min",
        "small: score",
        "small: score, macs",
        "small: predictors of score, fidelity 9",
    ]
    assert [part.title for part in sections(folder / "small")] == titles[1:]


def test_the_page_of_html_needs_no_other_file(folder: Path) -> None:
    page = write(folder)[0].read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert tags.loaded == []
    assert (tags.count["table"], tags.count["h2"], tags.count["svg"]) == (4, 4, 3)
    assert "48 architectures; score max; made up" in page


def test_the_markdown_refers_to_drawings_that_are_there(folder: Path) -> None:
    html, markdown, *drawings = write(folder, folder / "report")
    assert html.parent == markdown.parent == folder / "report"
    text = markdown.read_text(encoding="utf-8")
    assert re.findall(r"\]\((.+?)\)", text) == [drawing.name for drawing in drawings]
    for drawing in drawings:
        root = ElementTree.fromstring(drawing.read_text(encoding="utf-8"))
        assert root.tag.endswith("svg")
    tables = re.findall(r"^\| (?:strategy|recipe) .*\n\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert [table.count("\n") for table in tables] == [1, 2, 2, 2]
    assert "| ridge | 0.160 | 0.320 | 50 % | 90 % | 0.1 |" in text
    assert "| trees | 0.260 | - | 50 % | 90 % | 0.1 |" in text


def test_a_report_says_the_same_twice(folder: Path) -> None:
    first = [file.read_bytes() for file in write(folder)]
    assert [file.read_bytes() for file in write(folder)] == first


def test_a_drawing_names_its_curves_and_bears_zeros() -> None:
    met = {"one <b>": np.array([[4.0, 0.0], [2.0, 0.0]]), "two": np.zeros((1, 2))}
    text = draw(Curves(np.array([1.0, 2.0]), met, "evaluations", "regret", log=True))
    assert "one &lt;b&gt;" in text and "regret" in text
    zeros = {"two": np.zeros((3, 2))}
    assert "<svg" in draw(Curves(np.array([1.0, 2.0]), zeros, "evaluations", "regret", log=True))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("to_optimum", 30.0, "30"),
        ("to_optimum", 30.5, "30.5"),
        ("to_optimum", None, "not met"),
        ("found", 0.955, "96 %"),
        ("hypervolume_100", 0.97512, "0.9751"),
        ("regret_100", 0.01234, "0.0123"),
        ("runs", 20, "20"),
        ("strategy", "guided", "guided"),
    ],
)
def test_cells_show_what_a_reader_compares(name: str, value: object, shown: str) -> None:
    assert cell(name, value) == shown


def test_an_empty_folder_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="neither runs nor races nor figures"):
        write(tmp_path)
