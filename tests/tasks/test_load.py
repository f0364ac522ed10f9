"""Finding a task by name, path, question-mark options or a file of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplat.errors import TaskError
from nasplat.graph.types import Image
from nasplat.tasks.base import Task
from nasplat.tasks.load import load_task
from nasplat.testing.task import TaskConformance

OWN = '''
"""A task of one's own: digits, all upside down."""

from nasplat.tasks.digits import digits


def task(seed=0, size=8):
    return digits(seed=seed, size=size)
'''


class TestOwnFile(TaskConformance):
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        (tmp_path / "my_task.py").write_text(OWN)
        return load_task(str(tmp_path / "my_task.py"), seed=2)


def test_options_follow_a_question_mark_or_are_given_by_keyword() -> None:
    assert list(load_task("digits?size=16&seed=3").inputs.values()) == [Image(1, 16, 16)]
    assert load_task("digits?size=16", seed=3).fingerprint == (
        load_task("digits?size=16&seed=3").fingerprint
    )


def test_unknown_tasks_list_the_known_ones_and_all_forms() -> None:
    with pytest.raises(
        TaskError, match=r"unknown task 'digit'; known: digits, .*openml:NAME"
    ) as met:
        load_task("digit")
    assert "FOLDER/CLASS/IMAGE.jpg" in met.value.hint


def test_unknown_options_list_the_known_ones() -> None:
    with pytest.raises(TaskError, match="no option colour, sise; its options are size, seed"):
        load_task("digits?sise=16&colour=1")


def test_options_of_the_wrong_type_are_refused() -> None:
    with pytest.raises(TaskError, match="option of task digits is of the wrong type"):
        load_task("digits?size=large")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_text("1 2 3")
    with pytest.raises(TaskError, match=r"expected \.npz, \.py, \.csv") as met:
        load_task(str(tmp_path / "data.bin"))
    assert "kind=text" in met.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise KeyError('oh')", "failed while it was loaded: KeyError"),
        ("x = (", "failed while it was loaded: SyntaxError"),
        ("x = 1", r"no function task"),
        ("def task(): return 3", "returned int, expected a Task"),
        ("def task(): return 1 / 0", "failed: ZeroDivisionError"),
    ],
)
def test_an_own_file_that_does_not_work_says_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(TaskError, match=message):
        load_task(str(tmp_path / "mine.py"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "digit"}, "unknown kind of task 'digit'; known: digits"),
        ({"seed": 0}, "unknown kind of task 'None'"),
        ({"kind": "digits", "depth": 3}, "spec of a task of kind 'digits' is wrong"),
    ],
)
def test_a_spec_that_nobody_wrote_is_refused(spec: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load_task(spec)
