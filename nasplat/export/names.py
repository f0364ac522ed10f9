"""Which names a Python statement binds, reads and mentions; it knows no files."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator


def bound(statement: ast.stmt) -> list[str]:
    """The names that a statement of the top level binds."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [
                item.id for part in targets for item in ast.walk(part) if isinstance(item, ast.Name)
            ]
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            return [name]
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return []
        case ast.If() | ast.Try() | ast.With() | ast.For():
            inner = [part for part in ast.iter_child_nodes(statement) if isinstance(part, ast.stmt)]
            return [name for part in inner for name in bound(part)]
    return []


def used(statement: ast.stmt) -> Iterable[str]:
    """Global names that a statement reads, in order, each once."""
    return dict.fromkeys(item.id for item in global_names(statement, frozenset()))


def global_names(node: ast.AST, local: frozenset[str]) -> Iterator[ast.Name]:
    """The names below a node that are not bound by a function or comprehension around them."""
    if isinstance(node, ast.Name):
        if node.id not in local:
            yield node
        return
    scopes = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    if isinstance(node, scopes):
        arguments = node.args
        outside: list[ast.expr] = [
            *arguments.defaults,
            *(item for item in arguments.kw_defaults if item),
        ]
        outside += getattr(node, "decorator_list", [])
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [item for item in (arguments.vararg, arguments.kwarg) if item]
        outside += [item.annotation for item in every if item.annotation]
        if not isinstance(node, ast.Lambda) and node.returns:
            outside.append(node.returns)
        for part in outside:
            yield from global_names(part, local)
        body: list[ast.AST] = list(node.body) if isinstance(node.body, list) else [node.body]
        inner = local | {item.arg for item in every} | _assigned(body)
        for inside in body:
            yield from global_names(inside, inner)
        return
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        local = local | _assigned([part.target for part in node.generators])
    for child in ast.iter_child_nodes(node):
        yield from global_names(child, local)


def _assigned(body: Iterable[ast.AST]) -> frozenset[str]:
    """Names that a function binds, those it declares global left out."""
    made: set[str] = set()
    declared: set[str] = set()
    for part in body:
        for item in ast.walk(part):
            if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load):
                made.add(item.id)
            elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                made.add(item.name)
            elif isinstance(item, ast.Import | ast.ImportFrom):
                made |= {name.asname or name.name.partition(".")[0] for name in item.names}
            elif isinstance(item, ast.Global):
                declared.update(item.names)
    return frozenset(made - declared)


def mentions(statement: ast.stmt, text: list[bytes]) -> Iterator[tuple[int, int, int, str]]:
    """Where global names stand in a statement: line, first and last byte, name."""
    for item in global_names(statement, frozenset()):
        if item.end_col_offset is not None:
            yield item.lineno, item.col_offset, item.end_col_offset, item.id
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        line = text[statement.lineno - 1]
        start = line.index(statement.name.encode(), statement.col_offset + 3)
        yield statement.lineno, start, start + len(statement.name.encode()), statement.name
