"""The verbs about spaces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Runner


def test_the_shipped_spaces_are_listed_with_what_they_are(nasplat: Runner) -> None:
    rows = json.loads(nasplat("space", "list", "--format", "json").out)
    assert {"hybrid-vit", "nasbench201"} <= {row["space"] for row in rows}
    assert all(row["about"] and Path(row["file"]).is_file() for row in rows)
    assert all(row["size"] > 1000 and row["takes"] for row in rows)


def test_the_size_is_exact(nasplat: Runner) -> None:
    assert nasplat("space", "size", "nasbench201").out.strip() == "15625"
    assert json.loads(nasplat("space", "size", "nasbench201", "-f", "json").out)["size"] == 15625


def test_show_tells_decisions_and_ranges(nasplat: Runner) -> None:
    record = json.loads(nasplat("space", "show", "nasbench201", "--format", "json").out)
    assert len(record["decisions"]) == 6
    assert record["takes"] == []
    low, high = record["ranges"]["params"]
    assert 0 < low < high
    assert "15,625 candidates" in nasplat("space", "show", "nasbench201").out


def test_equal_seeds_draw_equal_candidates(nasplat: Runner) -> None:
    words = ("space", "sample", "nasbench201", "-n", "3", "-f", "json", "--seed")
    first, again, other = (nasplat(*words, seed).out for seed in ("1", "1", "2"))
    assert first == again != other
    rows = json.loads(first)
    assert len(rows) == 3
    assert {"digest", "costs", "genotype"} <= set(rows[0])


def test_check_says_ok_size_and_ranges(nasplat: Runner) -> None:
    result = nasplat("space", "check", "nasbench201", "--task", "digits", "-n", "10")
    assert result.code == 0
    assert result.out.startswith("ok")
    assert "15,625 candidates" in result.out and "params" in result.out


def test_an_unknown_space_lists_the_known_nearest_first(nasplat: Runner) -> None:
    result = nasplat("space", "size", "hybrid-vti")
    assert result.code == 2
    assert "known: hybrid-vit," in result.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"""A file."""\n', "defines no function space(task)"),
        ('"""A file."""\nraise RuntimeError("oh")\n', "oh"),
        ('"""A file."""\ndef space(task):\n    return 3\n', "expected a Space"),
        ('"""A file."""\ndef space(task:\n', "SyntaxError"),
        (
            '"""A file."""\n'
            "from nasplat.ops.head import ClassifierHead\n"
            "from nasplat.space.choose import Choose\n"
            "from nasplat.ops.patch import PatchEmbed, PatchStem\n"
            "from nasplat.ops.conv import Conv\n"
            "from nasplat.space.space import Space\n"
            "from nasplat.space.wiring import Steps\n"
            "def space(task):\n"
            "    body = Steps(a=Choose(conv=Conv(), patch=PatchEmbed(dim=8)), b=PatchStem(channels=8),\n"
            "                 head=ClassifierHead(classes=10))\n"
            "    return Space(body, task.inputs, task.outputs)\n",
            "patch",
        ),
    ],
    ids=["no function", "raises", "no space", "no python", "does not type-check"],
)
def test_a_broken_space_file_is_explained(
    nasplat: Runner, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    result = nasplat("space", "check", str(file))
    assert result.code == 2
    assert said in result.err
    assert "broken.py" in result.err
    assert "Traceback" not in result.err
