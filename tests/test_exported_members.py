"""The public face: what it lists, where each name is defined, what importing it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nasplat


def test_the_listed_names_are_these() -> None:
    assert nasplat.__all__ == [
        "Graph",
        "GraphBuilder",
        "NasplatError",
        "ParetoRungs",
        "Space",
        "Store",
        "Study",
        "StudySearcher",
        "Trainable",
        "__version__",
        "export_model",
        "load_space",
        "load_task",
        "verify_export",
    ]


@pytest.mark.parametrize("name", nasplat.__all__)
def test_every_listed_name_is_the_object_of_the_module_that_defines_it(name: str) -> None:
    found = getattr(nasplat, name)
    if name == "__version__":
        assert found.count(".") == 2
    else:
        assert found.__module__ == nasplat._HOMES[name]


def test_type_checkers_see_every_listed_name() -> None:
    tree = ast.parse(Path(nasplat.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == nasplat._HOMES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sudy'"):
        _ = nasplat.Sudy


def test_importing_the_face_and_the_command_line_loads_nothing_heavy() -> None:
    heavy = "('torch', 'ray', 'onnx', 'onnxruntime', 'pandas', 'sklearn', 'optuna', 'matplotlib')"
    code = (
        "import sys, nasplat, nasplat.cli.main; "
        f"print(sorted(name for name in {heavy} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
