"""A small space in a file, and studies over it with results that follow from the digest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nasplat.search.study import Study
from nasplat.testing.formula import KIND

SPACE = '''"""Small convolutional networks."""

from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.space.decisions import Choice, Int
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space


def space(task):
    (logits,) = task.outputs.values()
    block = Conv(channels=Choice(8, 16, 24), kernel=Choice(1, 3, 5))
    body = Conv(channels=16, kernel=3) >> Repeat(block, times=Int(1, 3)) >> ClassifierHead(
        classes=logits.classes
    )
    return Space(body, task.inputs, task.outputs, name="small")
'''


@pytest.fixture
def space_file(tmp_path: Path) -> str:
    file = tmp_path / "small.py"
    file.write_text(SPACE)
    return str(file)


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'results.db'}"


@pytest.fixture
def create(space_file: str, storage: str) -> Callable[..., Study]:
    """Create a study over the small space; every option can be given."""

    def make(name: str = "s", **options: Any) -> Study:
        evaluator = {"kind": KIND, "checkpoints": True} | options.pop("evaluator", {})
        given = {
            "space": space_file,
            "task": "digits",
            "budget": "12trials",
            "storage": storage,
            "strategy": "random",
            "executor": "inline",
            "epochs": 9,
        }
        return Study.create(name, evaluator=evaluator, **(given | options))

    return make
