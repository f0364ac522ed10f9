"""Settings of image networks down to the last bias: forms of parts, and which of their settings are open.

A *form* is a function of settings, all of which may be decisions. What a network offers is a mapping from
names of forms to their settings: ``{"patches": {"channels": Of(96, 128), "patch": 4}}``. A plain value is
fixed; :class:`Of` is decided once, :class:`Free` by every copy of a repeated part for itself; a mapping is a
choice between forms of a part within the part. This module knows how settings become decisions; it knows
no form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nasplat.errors import SpaceError, unknown
from nasplat.graph.op import Expression
from nasplat.ops.norm import Affine, BatchNorm, GroupNorm, LayerNorm, RMSNorm
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice, Decision
from nasplat.space.wiring import Steps

Forms = Mapping[str, Mapping[str, Any]]
"""Names of forms with their settings."""
Table = Mapping[str, Callable[..., Expression]]
"""The forms of a part by name."""


@dataclass(frozen=True, init=False)
class Of:
    """A setting that is decided once.

    Args:
        values: Those it may have; the first is the default.
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        object.__setattr__(self, "values", values)


class Free(Of):
    """A setting that every copy decides for itself."""


class Opening:
    """Makes expressions of forms, and decisions of their open settings.

    Args:
        prefix: Where the decisions stand that are made once.

    Attributes:
        common: Those decisions, in the order in which they were made.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.common: list[Any] = []

    def part(self, table: Table, wanted: Forms, below: str = "") -> Expression:
        """One of the forms that are wanted.

        Args:
            table: All forms of the part.
            wanted: Which of them, with their settings.
            below: Where the part stands below the prefix.

        Raises:
            SpaceError: There is no such form, or a form has no such setting.
        """
        made: dict[str, Expression] = {}
        for form, settings in wanted.items():
            if form not in table:
                raise unknown("form", form, table, SpaceError)
            path = f"{below}.{form}" if below else form
            made[form] = table[form](
                **{name: self.setting(name, value, path) for name, value in settings.items()}
            )
        return Choose(**made)

    def setting(self, name: str, value: Any, below: str = "") -> Any:
        """What a form is called with: a plain value, a decision, or a part."""
        if isinstance(value, Free):
            return Choice(*value.values)
        if isinstance(value, Of):
            self.common.append(
                Choice(*value.values, name=".".join(filter(None, (self.prefix, below, name))))
            )
            return self.common[-1]
        if isinstance(value, Mapping):
            return self.part(PARTS[name], value, below)
        if isinstance(value, tuple):
            items = enumerate(value)
            return tuple(self.setting(f"{name}_{number}", item, below) for number, item in items)
        return value


@dataclass(frozen=True, kw_only=True)
class StageDetails:
    """What a stage offers.

    Attributes:
        blocks: Forms of its blocks; every block decides between them.
        depth: Number of blocks, at least 0.
        down: Forms of the step that leads to it; None: it goes on with what comes in.
        position: Forms of what is added in front of the blocks; None: nothing.
        norm: Normalisation behind the blocks.
    """

    blocks: Forms
    depth: Any
    down: Forms | None = None
    position: Forms | None = None
    norm: Any = "none"


@dataclass(frozen=True, kw_only=True)
class Details:
    """What a whole network offers, down to the last bias.

    Attributes:
        stem: Forms of the stem.
        stages: For each stage what it offers.
        head: Forms of the head, which takes the number of classes besides.
        position: Forms of what stands between stem and stages; None: nothing.
    """

    stem: Forms
    stages: tuple[StageDetails, ...]
    head: Forms
    position: Forms | None = None


PARTS: dict[str, Table] = {}
"""Forms of the parts within parts, by the setting that holds them."""

NORMS: Mapping[str, Expression] = {
    "none": Steps(),
    "layer": LayerNorm(),
    "scaled_layer": LayerNorm(shift=False),
    "rms": RMSNorm(),
    "batch": BatchNorm(),
    "group": GroupNorm(groups=1),
    "affine": Affine(),
}


def picked(value: Any, options: Mapping[Any, Expression]) -> Expression:
    """The option of a plain value, or one for each value of a decision."""
    if not isinstance(value, Decision):
        return options[value]
    inside = [value.value(index) for index in range(value.count or 0)]
    return Match(value, {item: options[item] for item in inside})


def normalisation(form: Any) -> Expression:
    """A normalisation by its name.

    ``scaled_layer`` does not shift, ``group`` is of all channels, ``affine`` only scales and shifts.
    """
    return picked(form, NORMS)
