"""The form that every module keeps: docstring first, sizes, faces without code, imports by name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path
    for folder in ("nasplat", "search_spaces", "predictors")
    for path in (ROOT / folder).rglob("*.py")
)
LARGEST = 550
"""Lines of the longest module; most have 100 to 300, above this one is two."""
LARGEST_SUITE = 700
"""The same of a conformance suite, which is one contract and one class."""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_opens_with_its_docstring_and_is_not_too_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "the first statement must be a docstring"
    limit = LARGEST_SUITE if path.parent.name == "testing" else LARGEST
    assert len(text.splitlines()) <= limit


def test_package_faces_hold_a_docstring_and_nothing_else() -> None:
    faces = [
        path for path in MODULES if path.name == "__init__.py" and path.parent.name != "nasplat"
    ]
    assert faces
    full = [relative(path) for path in faces if len(ast.parse(path.read_text()).body) != 1]
    assert full == []


def test_the_library_never_imports_from_the_public_face_or_from_beside_it() -> None:
    beside = {"search_spaces", "predictors", "workers", "db"}
    offenders = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            # A face is a package without code, so a name can only come from a module.
            wrong = [
                name for name in names if name == "nasplat" or name.partition(".")[0] in beside
            ]
            if wrong and not _from_content(node):
                offenders.append(f"{relative(path)}: {', '.join(wrong)}")
    assert offenders == []


def _from_content(node: ast.AST) -> bool:
    """``from nasplat import content`` and the like name modules at the bottom, not the face."""
    bottom = {"content", "errors", "pareto", "settings"}
    if not isinstance(node, ast.ImportFrom) or node.module != "nasplat":
        return False
    return {alias.name for alias in node.names} <= bottom
