"""The table of op kinds: the library's ops and those of a user's files, passed on explicitly.

It knows where ops are defined, not what they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from nasplat import content
from nasplat.errors import UsageError
from nasplat.graph.op import Op


def _families() -> tuple[ModuleType, ...]:
    """Every module beside this one that defines ops, by name, and not only bases of ops."""
    folder = Path(__file__).parent
    modules = [
        import_module(f"nasplat.ops.{file.stem}")
        for file in sorted(folder.glob("*.py"))
        if file.stem not in ("__init__", Path(__file__).stem)
    ]
    return tuple(
        module for module in modules if any(op.infer is not Op.infer for op in ops_of(module))
    )


def ops_of(module: ModuleType) -> list[type[Op]]:
    """The op classes that a module itself defines, in order; private ones are bases of others."""
    return [
        item
        for name, item in vars(module).items()
        if isinstance(item, type)
        and issubclass(item, Op)
        and item.__module__ == module.__name__
        and "__dataclass_fields__" in vars(item)
        and not name.startswith("_")
    ]


FAMILIES = _families()
"""The modules of the library that define ops."""


def table_of(owners: Iterable[tuple[str, ModuleType]]) -> dict[str, type[Op]]:
    """The op class of each kind.

    Args:
        owners: The modules that define ops, each with the name that an error calls it by.

    Raises:
        UsageError: Two owners define one kind; names all such pairs.
    """
    table: dict[str, type[Op]] = {}
    owner_of: dict[str, str] = {}
    clashes = []
    for owner, module in owners:
        for op in ops_of(module):
            if op.kind in table:
                clashes.append(
                    f"the op kind {op.kind!r} is defined twice: {table[op.kind].__name__} in "
                    f"{owner_of[op.kind]} and {op.__name__} in {owner}"
                )
            else:
                table[op.kind], owner_of[op.kind] = op, owner
    if clashes:
        raise UsageError("; ".join(clashes), hint="Give one of them another `kind`.")
    return table


def op_table(files: Sequence[Path] = ()) -> dict[str, type[Op]]:
    """The op class of each kind: the library's and those that ``files`` define.

    Args:
        files: Python files of the user's that define ops.

    Raises:
        UsageError: Two owners define one kind.
    """
    library = [(module.__name__, module) for module in FAMILIES]
    own = [(str(file), content.load_file(file)) for file in dict.fromkeys(files)]
    return table_of([*library, *own])
