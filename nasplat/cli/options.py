"""Options and arguments that several verbs share, so that they read the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasplat import settings
from nasplat.errors import NotFoundError, UsageError
from nasplat.report.tables import Format

if TYPE_CHECKING:
    from nasplat.store.store import Store

StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Database, such as sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME. "
        "Default: NASPLAT_STORAGE, else runs/nasplat.db.",
        show_default=False,
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="Form of the output.")]
StudyArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[STUDY]",
        help="Name of the study; may be left out when the database holds exactly one.",
        show_default=False,
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="A name of `nasplat task list`, a folder of images, sound or texts, FILE.npz, FILE.csv, "
        "FILE.txt, openml:NAME, or FILE.py of your own.  [default: the space's own]",
        show_default=False,
    ),
]
TableArgument = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        help="A name of `nasplat bench list`, or a file of your own: FILE.csv or FILE.parquet.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Folder of published tables. Default: NASPLAT_BENCH_DATA.",
        show_default=False,
    ),
]
TableSpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="SPACE",
        help="Space file of a table of your own; else the one beside it.",
        show_default=False,
    ),
]
EarlierTableOption = Annotated[
    list[str] | None,
    typer.Option(
        "--transfer",
        metavar="TABLE[:ROWS]",
        help="Another table of which so many random rows are known from before, as an earlier study "
        "would be; may be repeated.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="PATH", help="Where to write.", show_default=False),
]


def open_store(storage: str | None, *, any_version: bool = False) -> Store:
    """The existing database of ``--storage`` or of the settings.

    Raises:
        NotFoundError: There is none yet.
    """
    from nasplat.store.store import Store

    return Store.open(storage or settings.storage(), create=False, any_version=any_version)


def chosen_study(store: Store, name: str | None) -> str:
    """The study of this name; without a name the only one.

    Raises:
        NotFoundError: There is no study of this name, or none at all.
        UsageError: No name was given and there are several.
    """
    if name is not None:
        return store.study(name).name
    names = [record.name for record in store.studies()]
    if not names:
        raise NotFoundError(
            f"there is no study in {store.url} yet", hint="Start one: nasplat search --help"
        )
    if len(names) > 1:
        raise UsageError(f"which study? {store.url} has {len(names)}: {', '.join(names)}")
    return names[0]


def words(given: Sequence[str], kind: str) -> list[str]:
    """The names in words such as ``a,b``, each once.

    Raises:
        UsageError: There is none.
    """
    names = [name.strip() for word in given for name in word.split(",")]
    found = list(dict.fromkeys(filter(None, names)))
    if not found:
        raise UsageError(f"--{kind} names nothing: {','.join(given)!r}")
    return found


def numbers(text: str, kind: str) -> list[int]:
    """Whole numbers above 0 such as ``12,200``, rising.

    Raises:
        UsageError: There is something else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--{kind} takes whole numbers above 0 with commas, got {text!r}")
    return sorted({int(part) for part in parts})
