"""Finds a task by its name, its path or its spec.

    digits                    shipped with the library
    ./flowers                 a folder with a sub-folder of images for each class
    ./data.npz                arrays x and y
    openml:NAME               a data set of openml.org
    ./my_task.py              a file of one's own with a function task(**options) -> Task

Options follow a question mark (``./flowers?size=64&channels=3``) or are given by keyword.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from nasplat.content import load_file
from nasplat.errors import TaskError, unknown
from nasplat.tasks.arrays import arrays
from nasplat.tasks.base import Task
from nasplat.tasks.digits import digits
from nasplat.tasks.images import images
from nasplat.tasks.openml import openml

#: What stands for a task without a path.
NAMES: Mapping[str, Callable[..., Task]] = {"digits": digits}

#: What a spec's ``kind`` may be.
KINDS: Mapping[str, Callable[..., Task]] = {
    "digits": digits,
    "images": images,
    "arrays": arrays,
    "openml": openml,
}

FORMS = (
    "a task is a name, a folder of images (FOLDER/CLASS/IMAGE.jpg), a file FILE.npz, openml:NAME, "
    "or your own FILE.py with a function task(**options)"
)


def known_tasks() -> tuple[str, ...]:
    """Names that ``load_task`` knows without a path."""
    return (*NAMES, "openml:NAME")


def load_task(spec: str | Mapping[str, Any], **options: Any) -> Task:
    """Make a task.

    Args:
        spec: A name, a path or ``openml:NAME``, options after a question mark; or the ``spec`` of a
            task, which makes the same one.
        options: What the kind of task takes: ``seed``, ``size``, ...

    Raises:
        TaskError: There is no such task, an option is wrong, the data cannot be used, or they are
            not the data that a given ``spec`` was made from.
    """
    if isinstance(spec, Mapping):
        return _from_spec(spec, options)
    name, _, query = spec.partition("?")
    chosen = {**{key: _value(text) for key, text in parse_qsl(query)}, **options}
    if name in NAMES:
        return _make(NAMES[name], (), chosen, name)
    if name.startswith("openml:"):
        return _make(openml, (name.removeprefix("openml:"),), chosen, name)
    path = Path(name).expanduser()
    if path.is_dir():
        return _make(images, (name,), chosen, name)
    if path.is_file():
        if path.suffix == ".npz":
            return _make(arrays, (name,), chosen, name)
        if path.suffix == ".py":
            return _own(path, chosen)
        raise TaskError(f"no task can be made from {path}: expected .npz or .py", hint=FORMS)
    if "/" in name or path.suffix:
        raise TaskError(f"there is no file or folder {path.resolve()}", hint=FORMS)
    raise unknown("task", name, known_tasks(), TaskError, hint=FORMS)


def _value(text: str) -> Any:
    """Read an option: JSON where it is JSON, else text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _make(
    function: Callable[..., Task], arguments: tuple[Any, ...], options: dict[str, Any], name: str
) -> Task:
    accepted = [
        key
        for key, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    if surplus := sorted(set(options) - set(accepted)):
        raise TaskError(
            f"task {name} has no option {', '.join(surplus)}; its options are {', '.join(accepted)}"
        )
    try:
        return function(*arguments, **options)
    except TypeError as error:
        raise TaskError(f"an option of task {name} is of the wrong type: {error}") from error


def _own(path: Path, options: dict[str, Any]) -> Task:
    """Make the task of a user's own file."""
    try:
        module = load_file(path)
    except Exception as error:
        raise TaskError(f"{path} failed while it was loaded: {error!r}") from error
    function = getattr(module, "task", None)
    if not callable(function):
        raise TaskError(
            f"{path} has no function task(**options)", hint="nasplat new task shows one that works"
        )
    try:
        made = function(**options)
    except TaskError:
        raise
    except Exception as error:
        raise TaskError(f"task(**{options}) of {path} failed: {error!r}") from error
    if not isinstance(made, Task):
        raise TaskError(f"task() of {path} returned {type(made).__name__}, expected a Task")
    made.spec = {
        "kind": "file",
        "path": str(path.resolve()),
        "options": options,
        "title": made.name,
        "fingerprint": made.fingerprint,
    }
    return made


def _from_spec(spec: Mapping[str, Any], options: dict[str, Any]) -> Task:
    plain = {**spec, **options}
    expected = plain.pop("fingerprint", None)
    kind, title = plain.pop("kind", None), plain.pop("title", None)
    if kind == "file":
        task = _own(Path(plain["path"]), {**plain.get("options", {})})
    elif kind in KINDS:
        try:
            task = KINDS[kind](**plain)
        except TypeError as error:
            raise TaskError(f"the spec of a task of kind {kind!r} is wrong: {error}") from error
    else:
        raise unknown("kind of task", str(kind), (*KINDS, "file"), TaskError)
    if expected is not None and not options and task.fingerprint != expected:
        raise TaskError(
            f"the data of {task.name} have changed: fingerprint {task.fingerprint}, "
            f"expected {expected}",
            hint="start a new study for the new data",
        )
    if title is not None:
        task.name = title
        task.spec["title"] = title
    return task
