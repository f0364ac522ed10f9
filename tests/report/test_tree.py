"""Architectures as text."""

from __future__ import annotations

import pytest

from nasplat.graph.graph import GraphBuilder
from nasplat.graph.op import Bits
from nasplat.graph.types import Image
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.merge import Add
from nasplat.report.tree import graph_tree, sparkline


def test_every_edge_has_its_type_and_paths_become_branches() -> None:
    builder = GraphBuilder({"input": Image(1, 8, 8)})
    (stem,) = builder.add(Conv(channels=4), "input", name="stem")
    (left,) = builder.add(Conv(kernel=1), stem, name="block.left", bits=Bits(8, 8))
    (total,) = builder.add(Add(), stem, left, name="block.add", share=None)
    builder.add(Conv(), total, name="block.deep.idle")
    (logits,) = builder.add(ClassifierHead(classes=3, norm="none"), total, name="head")
    lines = graph_tree(builder.build({"logits": logits})).splitlines()
    assert [line.split("  ")[0].rstrip() for line in lines] == [
        "input",
        "├─ stem",
        "├─ block",
        "│",
        "│",
        "│",
        "└─ head",
        "logits",
    ]
    text = "\n".join(lines)
    assert "Conv(channels=4)  input: Image(1, 8, 8) -> Image(4, 8, 8)" in text
    assert "Add()  stem: Image(4, 8, 8), .left: Image(4, 8, 8) -> Image(4, 8, 8)" in text
    assert "bits 8/8" in lines[3]
    assert "deep.idle" in lines[5] and lines[5].endswith("unused")
    assert "40 params" in lines[1] and "2.30 k macs" in lines[1]
    assert "output  head: Logits(3)" in lines[-1]


def test_what_shares_weights_says_so() -> None:
    builder = GraphBuilder({"input": Image(4, 8, 8)})
    (one,) = builder.add(Conv(), "input", name="turn.0", share="turn")
    (two,) = builder.add(Conv(), one, name="turn.1", share="turn")
    text = graph_tree(builder.build({"output": two}))
    assert text.count("shares turn") == 2
    assert text.count("148 params") == 1


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0.0, 0.5, 1.0], "▁▅█"),
        ([2.0, 2.0], "▄▄"),
        ([0.0, float("nan"), 1.0], "▁ █"),
        ([], ""),
        ([float("nan")], ""),
    ],
)
def test_a_curve_is_drawn_between_its_own_ends(values: list[float], drawn: str) -> None:
    assert sparkline(values) == drawn
