"""The verbs about operations: ``nasplat op list | show``."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasplat.cli import output
from nasplat.cli.options import FormatOption
from nasplat.errors import UsageError, unknown
from nasplat.report.tables import Format, render, render_one

if TYPE_CHECKING:
    from nasplat.graph.op import Op

app = typer.Typer(help="Operations that spaces are made of.", no_args_is_help=True)

OpsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--ops",
        metavar="FILE.py",
        help="A file that defines ops of your own; may be repeated.",
        show_default=False,
    ),
]


@app.command("list")
def list_(
    family: Annotated[
        str | None,
        typer.Option(metavar="FAMILY", help="Only of this family, such as attention."),
    ] = None,
    ops: OpsOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List the operations; other formats hold their settings too."""
    table = _table(ops)
    families = sorted({_family(op) for op in table.values()})
    if family is not None and family not in families:
        raise unknown("family", family, families, UsageError)
    rows = [_record(op) for op in table.values() if family is None or _family(op) == family]
    rows.sort(key=lambda row: (row["family"], row["op"]))
    shown = [{key: row[key] for key in ("op", "family", "about")} for row in rows]
    output.line(render(rows, form, shown=shown))


@app.command()
def show(
    op: Annotated[str, typer.Argument(metavar="OP", help="Kind, such as window_attention.")],
    ops: OpsOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show what an operation computes, and its settings with their defaults."""
    table = _table(ops)
    if op not in table:
        raise unknown("op", op, table, UsageError)
    met = table[op]
    record = {**_record(met), "class": f"{met.__module__}.{met.__name__}"}
    text = inspect.cleandoc(met.__doc__ or "")
    settings = "\n".join(
        f"  {name} = {value!r}" if value is not MISSING else f"  {name} (needed)"
        for name, value in _settings(met).items()
    )
    reason = f"\n\nNot in ONNX: {met.onnx_reason}" if met.onnx_reason else ""
    shown = f"{op}  ({record['class']})\n\n{text}\n\n{settings or '  no settings'}{reason}"
    output.line(render_one(record, form, shown=shown))


def _table(files: list[Path] | None) -> dict[str, type[Op]]:
    from nasplat.ops.table import op_table

    return op_table(files or ())


def _family(op: type[Op]) -> str:
    """The file that defines the op."""
    return op.__module__.rpartition(".")[2]


def _settings(op: type[Op]) -> dict[str, Any]:
    return {item.name: item.default for item in fields(op)}  # type: ignore[arg-type]  # every concrete op is a dataclass


def _record(op: type[Op]) -> dict[str, Any]:
    return {
        "op": op.kind,
        "family": _family(op),
        "settings": {
            name: None if value is MISSING else value for name, value in _settings(op).items()
        },
        "onnx": not op.onnx_reason,
        "about": inspect.cleandoc(op.__doc__ or "").partition("\n")[0],
    }
