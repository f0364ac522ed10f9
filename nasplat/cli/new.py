"""The verbs that write a working file to start from: ``nasplat new space | op | task``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from nasplat.cli import output
from nasplat.errors import UsageError
from nasplat.report.summary import command

app = typer.Typer(
    help="Write a working file to start from: a space, an op or a task.", no_args_is_help=True
)

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE.py", help="Where to write it; must not exist yet.")
]


@app.command()
def space(file: FileArgument) -> None:
    """Write a search space that passes `nasplat space check`."""
    _write(file, "space")
    output.note(f"next  {command('space', 'check', str(file), '--task', 'digits')}")
    output.note(
        f"      {command('search', '--space', str(file), '--task', 'digits', '--budget', '10min')}"
    )


@app.command()
def op(file: FileArgument) -> None:
    """Write an op with its module, and its conformance test beside it."""
    _write(file, "op", tested=True)


@app.command()
def task(file: FileArgument) -> None:
    """Write a task, and its conformance test beside it."""
    _write(file, "task", tested=True)


def _write(file: Path, kind: str, *, tested: bool = False) -> None:
    """Write the scaffold of a kind, and its test where it has one; all or nothing.

    Raises:
        UsageError: The name is no module's name, its folder does not exist, or a file exists.
    """
    if file.suffix != ".py" or not file.stem.isidentifier():
        raise UsageError(
            f"{file.name!r} cannot be a Python module: expected a name of letters, digits and _ "
            "that ends with .py",
            hint=f"For instance: nasplat new {kind} my_{kind}.py",
        )
    test = file.with_name(f"test_{file.name}")
    written = {file: kind, test: f"{kind}_test"} if tested else {file: kind}
    if not file.parent.is_dir():
        raise UsageError(f"the folder {file.parent} does not exist")
    if existing := [str(path) for path in written if path.exists()]:
        raise UsageError(f"{' and '.join(existing)} exists already", hint="Choose another name.")
    words = file.stem.split("_")
    names = {
        "title": " ".join(words).strip().capitalize(),
        "name": "-".join(word for word in words if word),
        "class_name": "".join(word.capitalize() for word in words),
        "module": file.stem,
        "file": file.name,
        "test": test.name,
    }
    for path, template in written.items():
        text = (files("nasplat.cli") / "templates" / f"{template}.txt").read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(names), encoding="utf-8")
        output.line(str(path))
    if tested:
        output.note(f"next  pytest {test}")
