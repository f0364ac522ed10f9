"""Spaces found by name or path, and everything that can be wrong with a space file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from nasplat.errors import SpaceError, UsageError
from nasplat.graph.types import Image, Logits, Tokens
from nasplat.space.load import known_spaces, load_space

TASK = SimpleNamespace(inputs={"image": Image(1, 8, 8)}, outputs={"logits": Logits(10)})

GOOD = """
from nasplat.ops.head import ClassifierHead
from nasplat.space.decisions import Choice
from nasplat.space.space import Space

def space(task):
    head = ClassifierHead(classes=10, norm=Choice("none", "layer"))
    return Space(head, task.inputs, task.outputs, name="mine")
"""


def test_shipped_spaces_are_known_by_name() -> None:
    assert {"hybrid-vit", "nasbench201"} <= set(known_spaces())
    assert load_space("nasbench201", TASK).name == "nasbench201"


def test_a_file_of_ones_own_is_given_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    assert load_space(str(file), TASK).size() == 2
    assert load_space(file, TASK).size() == 2


def test_an_unknown_name_lists_the_known_ones_nearest_first() -> None:
    with pytest.raises(UsageError, match=r"unknown space 'hybrid-vti'; known: hybrid-vit, "):
        load_space("hybrid-vti", TASK)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UsageError, match=r"\./nowhere\.py does not exist"):
        load_space("./nowhere.py", TASK)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1 / 0", r"raises while it is loaded: ZeroDivisionError: division by zero \(line 1\)"),
        ("def space(task:\n", r"raises while it is loaded: SyntaxError: .*\(line 1\)"),
        (
            "import no_such_module",
            r"ModuleNotFoundError: No module named 'no_such_module' \(line 1\)",
        ),
        ("def spaces(task): ...", r"defines no function space\(task\); it defines spaces"),
        ("space = 3", r"defines no function space\(task\)"),
        (
            "\ndef space(task):\n    return task.missing",
            r"space\(task\) raises: AttributeError.*line 3",
        ),
        ("def space(): ...", r"space\(task\) raises: TypeError"),
        ("def space(task):\n    return 3", r"space\(task\) returned 3, expected a Space"),
        (
            GOOD.replace("task.inputs", "{'x': task.inputs['image']}"),
            r"the space maps .* to .*, the task needs",
        ),
        (GOOD.replace("classes=10", "classes=9"), r"does not type-check .*must be Logits\(10\)"),
        (GOOD.replace('"none", "layer"', '"layer", "odd"'), r"classifier_head\.norm = odd"),
    ],
)
def test_a_file_that_is_wrong_says_what_and_where(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(text)
    with pytest.raises(SpaceError, match=f"(?s){says}") as caught:
        load_space(str(file), TASK)
    assert "wrong.py" in str(caught.value)


@pytest.mark.parametrize("name", ["hybrid-vit", "nasbench201"])
def test_a_task_of_other_types_is_refused_with_both_sides(name: str) -> None:
    text = SimpleNamespace(inputs={"text": Tokens(8, 4)}, outputs={"logits": Logits(2)})
    with pytest.raises(SpaceError, match=r"Tokens\(8, 4\) to Logits\(2\)"):
        load_space(name, text)


def test_a_space_that_does_not_take_a_task_names_those_that_do() -> None:
    with pytest.raises(SpaceError, match="unet maps one Image or Volume") as caught:
        load_space("unet", SimpleNamespace(inputs=TASK.inputs, outputs=TASK.outputs))
    assert "unet is for Image(1, 32, 32) -> Image(11, 32, 32)" in caught.value.hint
    assert "Spaces for this task: cell, dual-branch, hybrid-vit." in caught.value.hint
