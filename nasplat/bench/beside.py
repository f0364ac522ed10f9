"""What stands beside a table in the neutral form: its ``.toml`` file and its space file.

It knows how both are found and what can be wrong with them, nothing of the rows.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasplat.errors import SpaceError, UsageError, nearest_first
from nasplat.graph.types import Image, Logits, type_from_json
from nasplat.space.load import Types, load_module, load_space
from nasplat.space.space import Space, unchecked

TYPES = Types({"image": Image(3, 32, 32)}, {"logits": Logits(10)})
"""What a space file is asked for unless the table or the file says otherwise."""
KEYS: Mapping[str, type] = {
    "title": str,
    "reference": str,
    "space": str,
    "space_version": str,
    "options": dict,
    "inputs": dict,
    "outputs": dict,
    "task": str,
    "objectives": list,
    "metrics": dict,
    "ignore": list,
    "rows": int,
    "covers": bool,
    "continues": bool,
    "made": dict,
}
"""What the ``.toml`` file beside a table may say, and as what."""


def read_head(file: Path) -> dict[str, Any]:
    """What the ``.toml`` file beside a table says; nothing where there is none.

    Raises:
        UsageError: It is no TOML, or says what is not known; names the known keys.
    """
    if not file.is_file():
        return {}
    try:
        with file.open("rb") as text:
            head = tomllib.load(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error
    strange = [name for name in head if name not in KEYS]
    if strange:
        near = nearest_first(strange[0], KEYS)
        raise UsageError(f"{file} says {', '.join(strange)}; what it may say: {', '.join(near)}")
    wrong = [name for name, kind in KEYS.items() if not isinstance(head.get(name, kind()), kind)]
    if wrong:
        raise UsageError(
            f"{file}: {wrong[0]} is of type {KEYS[wrong[0]].__name__}, got {head[wrong[0]]!r}"
        )
    return head


def read_space(file: Path, stem: str, head: Mapping[str, Any], given: str | Path | None) -> Space:
    """The space of a table.

    Args:
        file: The table.
        stem: Its name without the ending.
        head: What :func:`read_head` gave.
        given: A space file or the name of a shipped space; None: as ``head`` says, or one beside the
            table.

    Raises:
        UsageError: There is no space file.
        SpaceError: The file is wrong, or defines another version than the table was made for.
    """
    beside = [file.with_name(f"{stem.replace('-', '_')}_space.py"), file.with_name("space.py")]
    name = str(given) if given is not None else _named(file, head)
    if name is None:
        found = [one for one in beside if one.is_file()]
        if not found:
            raise UsageError(
                f"the table {file} has no space file",
                hint=f"Name one with --space FILE, or put {' or '.join(one.name for one in beside)} "
                "beside the table.",
            )
        name = str(found[0])
    source, module = load_module(name)
    options = head.get("options", {})
    with unchecked():
        if _takes_task(getattr(module, "space", None)):
            made = load_space(name, _types(head, module), **options)
        else:
            made = _without_task(source, module, options)
    version = head.get("space_version", made.version)
    if given is None and made.version != version:
        raise SpaceError(
            f"{source} defines version {made.version} of its space, {file} was made for {version}",
            hint="Restore the space file, or remove space_version where the genotypes still hold.",
        )
    return made


def _named(file: Path, head: Mapping[str, Any]) -> str | None:
    name = head.get("space")
    if name is None or not str(name).endswith(".py"):
        return name
    return str(file.parent / name)


def _takes_task(make: Any) -> bool:
    """Whether a function ``space`` needs an argument; what is no function is left to the loader."""
    if not callable(make):
        return True
    parameters = inspect.signature(make).parameters.values()
    return any(
        one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        for one in parameters
    )


def _without_task(file: Path, module: Any, options: Mapping[str, Any]) -> Space:
    try:
        made = module.space(**options)
    except Exception as error:
        raise SpaceError(f"{file}: space() raises {type(error).__name__}: {error}") from error
    if not isinstance(made, Space):
        raise SpaceError(f"{file}: space() returned {made!r}, expected a Space")
    return made


def _types(head: Mapping[str, Any], module: Any) -> Any:
    """What a space file is asked for."""
    if head.get("inputs") and head.get("outputs"):
        read = {
            side: {name: type_from_json(list(one)) for name, one in head[side].items()}
            for side in ("inputs", "outputs")
        }
        return Types(read["inputs"], read["outputs"])
    if "task" in head:
        from nasplat.tasks.load import load_task

        return load_task(head["task"])
    return next(iter(getattr(module, "EXAMPLES", {}).values()), TYPES)
