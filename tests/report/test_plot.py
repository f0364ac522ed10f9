"""The Pareto plot in both forms."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

from nasplat.errors import NotFoundError, UsageError
from nasplat.report.plot import Axis, Point, save, staircase

X, Y = ("latency_ms", "min"), ("accuracy", "max")
POINTS = [
    Point(1.0, 0.9, True, "g1:aa", ("accuracy 0.900",)),
    Point(2.0, 0.95, True, "g1:bb</script>"),
    Point(2.5, 0.8, False, "g1:cc"),
    Point(float("nan"), 0.8, False, "g1:dd"),
]


def test_html_draws_every_finite_point_with_its_details_and_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "front.html"
    save(POINTS, file, title="study <demo>", x=X, y=Y)
    page = file.read_text(encoding="utf-8")
    assert page.count("<circle") == 3
    assert page.count('class="front"') == 2
    assert "g1:aa\naccuracy 0.900" in page
    assert "study &lt;demo&gt;" in page
    assert not re.search(r"(src|href)=|https?://|@import|url\(", page)


def test_the_drawing_is_well_formed_and_lies_inside_its_frame(tmp_path: Path) -> None:
    file = tmp_path / "front.html"
    save(POINTS, file, title="demo", x=X, y=Y)
    drawing = re.search(r"<svg.*</svg>", file.read_text(encoding="utf-8"), re.DOTALL)
    assert drawing is not None
    for circle in ElementTree.fromstring(drawing[0]).iter("circle"):
        assert 0 < float(circle.attrib["cx"]) < 760
        assert 0 < float(circle.attrib["cy"]) < 460


def test_what_a_label_holds_cannot_end_the_data_of_the_page(tmp_path: Path) -> None:
    file = tmp_path / "front.html"
    save(POINTS, file, title="demo", x=X, y=Y)
    page = file.read_text(encoding="utf-8")
    data = re.search(r'id="points">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert [point["label"] for point in json.loads(data[1])] == ["g1:aa", "g1:bb</script>", "g1:cc"]


def test_png_is_a_picture_with_something_on_it(tmp_path: Path) -> None:
    file = tmp_path / "front.png"
    save(POINTS, file, title="demo", x=X, y=Y)
    with Image.open(file) as picture:
        assert picture.width > 800
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 10


def test_one_point_alone_can_be_drawn(tmp_path: Path) -> None:
    for name in ("one.html", "one.png"):
        save(POINTS[:1], tmp_path / name, title="demo", x=X, y=Y)
        assert (tmp_path / name).stat().st_size > 0


def test_another_ending_or_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png or \.html"):
        save(POINTS, tmp_path / "front.pdf", title="demo", x=X, y=Y)
    with pytest.raises(UsageError, match="does not exist"):
        save(POINTS, tmp_path / "no" / "front.png", title="demo", x=X, y=Y)


def test_nothing_to_plot_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no trial has finished"):
        save(POINTS[3:], tmp_path / "front.html", title="demo", x=X, y=Y)


def test_the_staircase_runs_through_what_no_front_point_reaches() -> None:
    x, y = Axis(*X, (1.0, 2.0)), Axis(*Y, (0.9, 0.95))
    assert staircase(POINTS[:3], x, y) == [(1.0, 0.9), (2.0, 0.9), (2.0, 0.95)]


def test_an_axis_is_logarithmic_when_values_span_more_than_thirty_fold() -> None:
    wide, narrow = Axis("params", "min", (1e3, 1e6)), Axis("params", "min", (1e3, 2e3))
    assert wide.log and not narrow.log
    assert wide.place(1e3) < wide.place(1e4) < wide.place(1e6)
    assert wide.place(1e5) - wide.place(1e4) == pytest.approx(wide.place(1e6) - wide.place(1e5))


def test_ticks_are_round_and_inside_the_axis() -> None:
    axis = Axis("accuracy", "max", (0.81, 0.99))
    low, high = axis.range()
    ticks = axis.ticks()
    assert 3 <= len(ticks) <= 8
    assert all(low <= tick <= high and round(tick, 3) == pytest.approx(tick) for tick in ticks)
