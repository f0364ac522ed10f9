"""The definition of a space as plain data, and its digest, the version of the space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from nasplat.errors import SpaceError
from nasplat.graph.op import Op
from nasplat.graph.types import TensorType, type_to_json
from nasplat.space.arithmetic import Formula
from nasplat.space.base import is_open
from nasplat.space.decisions import Decision

VERSION = "s1"


def describe(value: object, met: dict[int, int] | None = None) -> Any:
    """An expression as JSON; a decision met before is only referred to.

    Fields at their defaults are left out, so that an op or a combinator can gain one.

    Raises:
        SpaceError: The expression holds something that is no plain data, such as a function.
    """
    met = {} if met is None else met
    if isinstance(value, Decision):
        if id(value) in met:
            return ["again", met[id(value)]]
        met[id(value)] = len(met)
        return ["decision", value.name, value.default, *value.describe()]
    if isinstance(value, Formula):
        return [value.operator, describe(value.left, met), describe(value.right, met)]
    if isinstance(value, TensorType):
        return type_to_json(value)
    if isinstance(value, Mapping):
        return [[str(key), describe(item, met)] for key, item in value.items()]
    if isinstance(value, (tuple, list)):
        return [describe(item, met) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        held: dict[str, Any] = {}
        for item in fields(value):
            inner = getattr(value, item.name)
            default = item.default
            if item.default_factory is not MISSING:
                default = item.default_factory()
            if is_open(inner) or not (inner is default or inner == default):
                held[item.name] = describe(inner, met)
        return [value.kind if isinstance(value, Op) else type(value).__name__, held]
    raise SpaceError(f"a space holds ops, combinators, decisions and plain values, got {value!r}")


def version(definition: object) -> str:
    """The digest of a definition: ``s1:`` and 32 hexadecimal digits, the same in every process."""
    text = json.dumps(describe(definition), separators=(",", ":"), ensure_ascii=False)
    return f"{VERSION}:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"
