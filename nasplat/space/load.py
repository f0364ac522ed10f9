"""Finds a space by name or path and asks it for the space of a task.

A space file defines ``space(task) -> Space``. This module knows where such files are and what can be wrong
with one; it knows no space.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from nasplat import content
from nasplat.errors import NasplatError, SpaceError, UsageError
from nasplat.graph.types import TensorType, show_types
from nasplat.space.space import Space

FOLDER = "search_spaces"


class Typed(Protocol):
    """What a space file sees of a task: typed inputs and outputs."""

    @property
    def inputs(self) -> Mapping[str, TensorType]:
        """Type of each input, by name."""

    @property
    def outputs(self) -> Mapping[str, TensorType]:
        """Type of each output that a model must have, by name."""


@dataclass(frozen=True)
class Types:
    """Typed inputs and outputs without data: what a space file names in ``EXAMPLES``, and a preset.

    Attributes:
        inputs: Type of each input, by name.
        outputs: Type of each output, by name.
    """

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]

    def __str__(self) -> str:
        """``Image(1, 8, 8) -> Logits(10)``."""
        inputs, outputs = tuple(self.inputs.values()), tuple(self.outputs.values())
        return f"{show_types(inputs)} -> {show_types(outputs)}"


def known_spaces() -> list[str]:
    """Names of the shipped spaces, sorted."""
    return content.names(FOLDER)


def examples(name: str | Path) -> dict[str, Types]:
    """The reduced problems that a space file names, the first the one it is searched on by itself.

    Args:
        name: A shipped space or the path of a file of the user's own.

    Raises:
        UsageError: No such space or file.
        SpaceError: The file raises.
    """
    return dict(getattr(load_module(name)[1], "EXAMPLES", {}))


def default_task(name: str | Path) -> str:
    """The task that a space is searched on unless told otherwise: the file's ``TASK``, else digits.

    Args:
        name: A shipped space or the path of a file of the user's own.

    Raises:
        UsageError: No such space or file.
        SpaceError: The file raises.
    """
    return str(getattr(load_module(name)[1], "TASK", "digits"))


def load_module(name: str | Path) -> tuple[Path, ModuleType]:
    """The file of a space and what it defines.

    Raises:
        UsageError: No such space or file; lists the known ones, nearest first.
        SpaceError: The file raises.
    """
    file = content.find("space", str(name), FOLDER)
    try:
        return file, content.load_file(file)
    except NasplatError as error:
        raise SpaceError(
            f"{file} raises while it is loaded: {error.message}", hint=error.hint
        ) from error
    except Exception as error:
        raise SpaceError(f"{file} raises while it is loaded: {_where(error, file)}") from error


def spaces_for(task: Typed) -> list[str]:
    """Names of the shipped spaces that have an example of the kinds of types that a task has."""
    return [name for name in known_spaces() if _kinds(task) in map(_kinds, examples(name).values())]


def _kinds(task: Typed) -> tuple[list[type[TensorType]], list[type[TensorType]]]:
    return [type(kind) for kind in task.inputs.values()], [
        type(kind) for kind in task.outputs.values()
    ]


def _other_spaces(name: str | Path, task: Typed) -> str:
    """The next step when a space refuses a task of kinds that none of its examples has."""
    own = examples(name)
    if not own or _kinds(task) in map(_kinds, own.values()):
        return ""
    others = spaces_for(task)
    fitting = f"Spaces for this task: {', '.join(others)}." if others else ""
    return f"{name} is for {'; '.join(dict.fromkeys(map(str, own.values())))}. {fitting}".strip()


def load_space(name: str | Path, task: Typed, **options: Any) -> Space:
    """Make the space for a task.

    Args:
        name: A shipped space (``hybrid-vit``) or the path of a file of the user's own (``./mine.py``).
        task: Its inputs and outputs decide what the space looks like.
        options: Keyword arguments that the file's function ``space`` takes beside the task.

    Raises:
        UsageError: No such space or file; lists the known ones, nearest first.
        SpaceError: The file raises, defines no ``space``, does not return a :class:`Space`, does not
            take the types of the task, or holds candidates that do not type-check.
    """
    file, module = load_module(name)
    make = getattr(module, "space", None)
    if not callable(make):
        public = [other for other in vars(module) if not other.startswith("_")]
        raise SpaceError(
            f"{file} defines no function space(task); it defines {', '.join(public) or 'nothing'}",
            hint="Write `def space(task): return Space(body, task.inputs, task.outputs)`, "
            "or start from `nasplat new space`.",
        )
    try:
        made = make(task, **options)
    except UsageError as error:
        hint = error.hint or _other_spaces(name, task)
        raise SpaceError(f"{file}: {error.message}", hint=hint) from error
    except Exception as error:
        raise SpaceError(f"{file}: space(task) raises: {_where(error, file)}") from error
    if not isinstance(made, Space):
        raise SpaceError(f"{file}: space(task) returned {made!r}, expected a Space")
    wanted = dict(task.outputs)
    if made.inputs != dict(task.inputs) or (made.outputs is not None and made.outputs != wanted):
        raise SpaceError(
            f"{file}: the space maps {show_types(tuple(made.inputs.values()))} to "
            f"{show_types(tuple((made.outputs or {}).values()))}, the task needs "
            f"{show_types(tuple(task.inputs.values()))} to {show_types(tuple(wanted.values()))}",
            hint="Pass task.inputs and task.outputs on to the Space.",
        )
    return made


def _where(error: Exception, file: Path) -> str:
    """The error in words, with the line of the user's file that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    line = f" (line {lines[-1]})" if lines else ""
    if isinstance(error, SyntaxError) and error.lineno:
        line = f" (line {error.lineno})"
    return f"{type(error).__name__}: {error}{line}"
