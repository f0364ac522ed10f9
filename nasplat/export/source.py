"""The source of torch modules as one file that stands alone.

From the classes that are wanted, every name they use is followed through the globals of their files:
helper functions, constants, base classes, other files. What a file imports from torch, the standard
library or another package stays an import; what it imports from nasplat or from a user's own file is
copied. Two definitions of one name in different files are renamed. It knows no graph.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from nasplat.errors import ExportError
from nasplat.export.names import bound, mentions, used

RESERVED = ("Model", "build", "Bits", "load_file", "Path")
"""Names that the printed model defines itself."""


@dataclass(frozen=True)
class Definition:
    """A name of a file's top level and the statements that bind it."""

    file: str
    name: str


@dataclass(frozen=True)
class External:
    """Something imported from a package that stays a package.

    Attributes:
        module: Where it is imported from.
        name: What is imported; ``None`` for the module itself.
    """

    module: str
    name: str | None = None


Target = Definition | External
_BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass
class SourceFile:
    """One Python file, parsed: the statements of its top level by the names they bind."""

    module: ModuleType
    text: list[bytes]
    statements: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    order: list[ast.stmt] = field(default_factory=list)
    purpose: str = ""

    @property
    def name(self) -> str:
        """Name of the module."""
        return self.module.__name__


class Closure:
    """Collects definitions until nothing they use is missing, then prints them."""

    def __init__(self) -> None:
        self._files: dict[str, SourceFile] = {}
        self._wanted: dict[Definition, None] = {}
        self._externals = {External("torch"): "torch", External("torch", "nn"): "nn"}
        self._names: dict[Target, str] = {key: name for key, name in self._externals.items()}
        self._taken = {*RESERVED, *self._names.values()}

    def add(self, thing: type | object) -> str:
        """Want a class or function of some file; returns the name it will have.

        Raises:
            ExportError: Its source cannot be found, or uses what cannot stand alone.
        """
        module, name = thing.__module__, getattr(thing, "__qualname__", str(thing))
        if module.partition(".")[0] == "torch":
            return _torch_name(module, name)
        if "." in name:
            raise ExportError(
                f"{module}.{name} is defined inside another class or function: "
                "its source cannot be copied",
                hint="define it at the top level of its file",
            )
        self._follow(Definition(module, name))
        self._assign_names()
        return self._names[Definition(module, name)]

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages beyond torch and the standard library that the source imports."""
        roots = {external.module.partition(".")[0] for external in self._externals}
        return tuple(sorted(roots - {"torch"} - set(sys.stdlib_module_names)))

    def imports(self) -> str:
        """The import statements."""
        lines = []
        for external in self._externals:
            name = self._names[external]
            if external.name is None:
                alias = "" if external.module == name else f" as {name}"
                lines.append(f"import {external.module}{alias}")
            else:
                alias = "" if external.name == name else f" as {name}"
                lines.append(f"from {external.module} import {external.name}{alias}")
        standard = [line for line in lines if line.split()[1].partition(".")[0] != "torch"]
        of_torch = [line for line in lines if line.split()[1].partition(".")[0] == "torch"]
        return "\n\n".join(
            "\n".join(sorted(part, key=_import_order)) for part in (standard, of_torch) if part
        )

    def definitions(self) -> str:
        """The copied statements, each file after those it imports from."""
        printed = ""
        for file in self._files_in_order():
            kept = [statement for statement in file.order if self._is_wanted(file, statement)]
            before: ast.stmt | None = None
            for statement in kept:
                blocks = isinstance(statement, _BLOCKS) or isinstance(before, _BLOCKS)
                if before is not None:
                    printed += "\n\n\n" if blocks else "\n"
                else:
                    printed += ("\n\n\n" if printed else "") + f"# {file.purpose}\n\n"
                printed += self._printed(file, statement)
                before = statement
        return printed

    def _follow(self, start: Definition) -> None:
        waiting = [start]
        while waiting:
            definition = waiting.pop()
            if definition in self._wanted:
                continue
            file = self._file(definition.file)
            if definition.name not in file.statements:
                raise ExportError(
                    f"{definition.file} does not define {definition.name} at its top level: "
                    "its source cannot be copied"
                )
            self._wanted[definition] = None
            for statement in file.statements[definition.name]:
                self._refuse_hidden_imports(file, statement)
                for other in bound(statement):
                    self._wanted[Definition(definition.file, other)] = None
                for name in used(statement):
                    target = self._target(file, name)
                    if isinstance(target, Definition):
                        waiting.append(target)
                    elif target is not None:
                        self._externals.setdefault(target, name)

    def _refuse_hidden_imports(self, file: SourceFile, statement: ast.stmt) -> None:
        for item in ast.walk(statement):
            if isinstance(item, ast.ImportFrom):
                modules = [item.module or ""] if not item.level else [file.name]
            elif isinstance(item, ast.Import):
                modules = [name.name for name in item.names]
            else:
                continue
            for module in modules:
                if _is_copied(module, file.module):
                    raise ExportError(
                        f"{file.name}, line {item.lineno}: {module} is imported inside a function, "
                        "which cannot be copied into one file",
                        hint="import it at the top of the file",
                    )

    def _target(self, file: SourceFile, name: str) -> Target | None:
        """What a global name of a file is; ``None`` for a name that needs nothing."""
        if name in file.statements:
            return Definition(file.name, name)
        if name in file.imports:
            module, attribute = file.imports[name]
            return self._imported(file, module, attribute, name)
        return None  # a built-in, or known to type checkers only

    def _imported(self, file: SourceFile, module: str, attribute: str | None, local: str) -> Target:
        if not _is_copied(module, file.module):
            return External(module, attribute)
        found = self._file(module)
        if attribute is None or isinstance(getattr(found.module, attribute, None), ModuleType):
            raise ExportError(
                f"{file.name} imports the module {local!r} to use what is in it: "
                "that cannot be copied into one file",
                hint=f"import the names themselves: from {module} import ...",
            )
        if attribute in found.imports:
            return self._imported(found, *found.imports[attribute], local)
        return Definition(module, attribute)

    def _file(self, module: str) -> SourceFile:
        if module not in self._files:
            self._files[module] = _parse(module)
        return self._files[module]

    def _assign_names(self) -> None:
        every: list[Target] = [*self._externals, *self._wanted]
        for target in every:
            if target in self._names:
                continue
            wished = self._externals[target] if isinstance(target, External) else target.name
            name, number = wished, 2
            while name in self._taken:
                name, number = f"{wished}_{number}", number + 1
            self._taken.add(name)
            self._names[target] = name

    def _files_in_order(self) -> Iterator[SourceFile]:
        """Each file after the files it imports from, as Python itself would run them."""
        done: set[str] = set()

        def visit(file: SourceFile) -> Iterator[SourceFile]:
            if file.name in done:
                return
            done.add(file.name)
            for module, _ in file.imports.values():
                if module in self._files:
                    yield from visit(self._files[module])
            yield file

        for file in list(self._files.values()):
            yield from visit(file)

    def _is_wanted(self, file: SourceFile, statement: ast.stmt) -> bool:
        return any(Definition(file.name, name) in self._wanted for name in bound(statement))

    def _printed(self, file: SourceFile, statement: ast.stmt) -> str:
        """The text of a statement with the final names."""
        first = min(
            [statement.lineno, *(item.lineno for item in getattr(statement, "decorator_list", []))]
        )
        while first > 1 and file.text[first - 2].startswith(b"#"):
            first -= 1  # the comment above it
        lines = list(file.text)
        for line, start, end, name in sorted(mentions(statement, lines), reverse=True):
            target = self._target(file, name)
            final = self._names.get(target, name) if target is not None else name
            if final != name:
                text = lines[line - 1]
                if text[start:end] != name.encode():  # Python before 3.12, inside an f-string
                    raise ExportError(
                        f"{file.name}, line {line}: {name} is used inside an f-string and must be "
                        "renamed, for another file defines that name too",
                        hint=f"give {name} another name in one of the files",
                    )
                lines[line - 1] = text[:start] + final.encode() + text[end:]
        assert statement.end_lineno is not None
        return b"\n".join(lines[first - 1 : statement.end_lineno]).decode()


@lru_cache(maxsize=256)
def _read(path: str, stamp: int) -> tuple[list[bytes], ast.Module]:
    text = Path(path).read_bytes()
    return text.splitlines(), ast.parse(text)


def _parse(name: str) -> SourceFile:
    module = sys.modules.get(name) or importlib.import_module(name)
    path = getattr(module, "__file__", None)
    if path is None or not Path(path).is_file():
        raise ExportError(
            f"the source of {name} cannot be found, so it cannot be copied into the export",
            hint="define modules in a file, not in a console or notebook",
        )
    text, tree = _read(path, Path(path).stat().st_mtime_ns)
    file = SourceFile(module, text)
    purpose = (ast.get_docstring(tree) or "").partition("\n")[0].partition(";")[0].rstrip(".")
    stem = Path(path).stem
    file.purpose = (f"{stem}: {purpose}" if purpose else stem)[:98]
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            for item in statement.names:
                parent, _, last = item.name.rpartition(".")
                if item.asname and parent:
                    file.imports[item.asname] = (parent, last)  # import a.b as c
                else:
                    top = item.name.partition(".")[0]
                    file.imports[item.asname or top] = (top, None)
        elif isinstance(statement, ast.ImportFrom):
            origin = importlib.util.resolve_name(
                "." * statement.level + (statement.module or ""), module.__package__ or ""
            )
            for item in statement.names:
                file.imports[item.asname or item.name] = (origin, item.name)
        else:
            names = bound(statement)
            if names:
                file.order.append(statement)
            for item_name in names:
                file.statements.setdefault(item_name, []).append(statement)
    return file


def _is_copied(module: str, importer: ModuleType) -> bool:
    """Whether what is imported from a module is copied: nasplat's own, or a file beside the importer."""
    root = module.partition(".")[0]
    if root == "nasplat" or root == importer.__name__.partition(".")[0]:
        return True
    if root in sys.stdlib_module_names or root == "torch":
        return False
    found = getattr(sys.modules.get(module), "__file__", None)
    beside = getattr(importer, "__file__", None)
    return bool(found and beside and Path(found).parent == Path(beside).parent)


def _torch_name(module: str, name: str) -> str:
    from torch import nn

    return f"nn.{name}" if hasattr(nn, name) else f"{module}.{name}"


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line
