"""Finds what stands beside the library: search spaces, predictors, worker profiles, database files.

In a checkout these folders are beside ``nasplat/``; in an installed wheel they are in
``nasplat/_content/``. Nothing in the library imports them by module name. This module knows where files
are and how to run one, not what they hold.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from nasplat.errors import UsageError, unknown

_PACKAGE = Path(__file__).resolve().parent
FOLDERS = ("search_spaces", "predictors", "workers", "db")


def path(folder: str) -> Path:
    """The folder of shipped content called ``folder``, one of :data:`FOLDERS`.

    Raises:
        UsageError: The installation lacks it.
    """
    for root in (_PACKAGE.parent, _PACKAGE / "_content"):
        if (root / folder).is_dir():
            return root / folder
    raise UsageError(
        f"the folder {folder!r} is neither beside {_PACKAGE} nor in its _content",
        hint="Install nasplat again: pip install --force-reinstall nasplat",
    )


def names(folder: str, suffix: str = ".py") -> list[str]:
    """The names that :func:`find` knows in a folder, sorted; files are snake_case, names kebab-case."""
    return sorted(
        file.stem.replace("_", "-")
        for file in path(folder).glob(f"*{suffix}")
        if not file.name.startswith("_")
    )


def find(kind: str, name: str, folder: str, suffix: str = ".py") -> Path:
    """Find a content file by its name, or take ``name`` as the path of a user's own file.

    Args:
        kind: What is looked for, for the error: ``"space"``.
        name: A known name such as ``hybrid-vit``, or a path that ends with ``suffix``.
        folder: One of :data:`FOLDERS`.
        suffix: Ending of the files.

    Raises:
        UsageError: No such name or file; lists the known names, nearest first.
    """
    if name.endswith(suffix) or "/" in name:
        file = Path(name).expanduser()
        if not file.is_file():
            raise UsageError(f"the {kind} file {name} does not exist")
        return file.resolve()
    if name not in names(folder, suffix):
        raise unknown(
            kind,
            name,
            names(folder, suffix),
            UsageError,
            hint=f"A file of your own is given by its path: ./{name}{suffix}",
        )
    return path(folder) / f"{name.replace('-', '_')}{suffix}"


def load_file(file: Path) -> ModuleType:
    """Run a Python file as a module of its own, once for each content of the file.

    Args:
        file: The file; modules beside it can be imported by it.

    Raises:
        Exception: Whatever the file raises while it runs.
    """
    file = file.resolve()
    mark = hashlib.sha256(str(file).encode() + b"\0" + file.read_bytes()).hexdigest()[:12]
    module_name = f"_nasplat_{file.stem}_{mark}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    beside = str(file.parent)
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    finally:
        sys.path.remove(beside)
    return module
