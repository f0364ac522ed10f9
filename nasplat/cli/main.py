"""The command ``nasplat``: gathers the verbs and turns errors into messages and exit codes.

    0    done
    1    failed
    2    wrong usage or input
    3    nothing found
    4    the budget was already spent
    130  interrupted, state kept

What a verb prints goes to stdout and nothing else does; messages and progress go to stderr.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from nasplat.cli import (
    bench,
    database,
    doctor,
    export,
    new,
    op,
    output,
    proxies,
    query,
    read,
    search,
    space,
    survey,
    task,
)
from nasplat.errors import NasplatError

INTERRUPTED = 130

# The argument parser's own errors: click's, or typer's copy of click in newer versions of typer.
_PARSER_USAGE: type[Exception] = typer.BadParameter.__bases__[0]
_PARSER_ERROR: type[Exception] = _PARSER_USAGE.__bases__[0]

app = typer.Typer(
    name="nasplat",
    help=(
        "Finds the Pareto-optimal neural architectures for a task and a device, inside a budget, "
        "and exports them as models that run without it."
    ),
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing found, 4 budget already spent, "
    "130 interrupted (state kept). Storage: --storage or NASPLAT_STORAGE.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for verbs in (search, read, query, export, doctor):
    verbs.register(app)
proxies.register(space.app)
app.add_typer(space.app, name="space")
app.add_typer(op.app, name="op")
app.add_typer(survey.app, name="survey")
app.add_typer(task.app, name="task")
app.add_typer(bench.app, name="bench")
app.add_typer(new.app, name="new")
app.add_typer(database.app, name="db")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        output.line(f"nasplat {version('nasplat')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no notes; anywhere on the line.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Tracebacks with errors; anywhere on the line.")
    ] = False,
) -> None:
    """Hold the options of every verb; `run` has read the last two already."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        arguments: Without the name of the program; None: those of this process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, words = _take(words, "--debug")
    quiet, words = _take(words, "--quiet", "-q")
    output.be_quiet(quiet)
    try:
        code = app(args=words, prog_name="nasplat", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        output.note("interrupted; what was stored is kept")
        return INTERRUPTED
    except NasplatError as error:
        if debug:
            traceback.print_exc()
        output.error(error.message, error.hint)
        return error.exit_code
    except _PARSER_ERROR as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        usage = isinstance(error, _PARSER_USAGE)
        if message:  # empty where the help was already shown
            output.error(message, _help_hint(error) if usage else "")
        return 2 if usage else 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        output.error(
            f"unexpected {type(error).__name__}: {error}",
            "This is a fault of nasplat or of a file of yours; the traceback shows which: "
            "run the command again with --debug.",
        )
        return 1
    return code if isinstance(code, int) else 0


def _take(words: Sequence[str], *names: str) -> tuple[bool, list[str]]:
    """Whether an option stands anywhere before ``--``, and the words without it."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word not in names]
    return len(kept) < end, [*kept, *words[end:]]


def _help_hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "nasplat"
    return f"See: {path} --help"
