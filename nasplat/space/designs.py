"""Published designs inside the spaces: as constraints on genotypes, and as presets that close them.

A *design* is what a paper's abstract states: some axes with their options; the rest stays open. A *preset* is
a published model in full: a parametric family of closed genotypes. Both lie beside the spaces, in
``search_spaces/designs/`` and ``search_spaces/presets/``. This module knows spaces and their axes, no
training.
"""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from nasplat import content
from nasplat.errors import SpaceError, UsageError, unknown
from nasplat.graph.types import show_types
from nasplat.space.axes import (
    Axis,
    Numeric,
    Option,
    Patterns,
    among,
    holds,
    matches,
    option_of,
    rules,
)
from nasplat.space.candidate import Candidate
from nasplat.space.decisions import Scalar
from nasplat.space.load import FOLDER, Types, examples, load_module, load_space
from nasplat.space.space import Space

FREE = "free"
"""What a design says of a numeric axis that it leaves open."""


@dataclass(frozen=True)
class Choices:
    """What a design says of one axis.

    Attributes:
        options: The options named; ``("free",)``: a numeric axis that stays open.
        alternatives: Whether one of them is enough; otherwise each of them occurs.
    """

    options: tuple[Scalar, ...]
    alternatives: bool = False

    @property
    def free(self) -> bool:
        """Whether the axis stays open."""
        return self.options == (FREE,)

    def __str__(self) -> str:
        return (" or " if self.alternatives else " + ").join(map(str, self.options))


@dataclass(frozen=True)
class Design:
    """A published design as constraints on the genotypes of a space.

    Attributes:
        slug: Its short name.
        space: Name of the space that holds it.
        title: Of the paper.
        axes: What it states, by axis.
        where: Path patterns with values that it needs beside the rules of its axes.
        input: Which of the space's ``EXAMPLES`` it is for; empty: the first.
        graph: Its structure in a sentence.
        confidence: ``abstract``: every option rests on the paper's abstract; ``inferred``: some do not.
        unheld: Axes that the space cannot hold, each with the reason.
    """

    slug: str
    space: str
    title: str
    axes: Mapping[str, Choices]
    where: Patterns = field(default_factory=dict)
    input: str = ""
    graph: str = ""
    confidence: str = "abstract"
    unheld: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All that a search by words looks at, in lower case."""
        axes = " ".join(f"{axis} {choices}" for axis, choices in self.axes.items())
        return f"{self.slug} {self.title} {self.graph} {axes}".lower()


def designs(space: str | None = None) -> list[Design]:
    """The designs of a shipped space, or of all, in the order of their files.

    Raises:
        UsageError: No such space.
        SpaceError: A file is malformed; names the entry and what was expected.
    """
    folder = content.path(FOLDER) / "designs"
    known = {file.stem.replace("_", "-"): file for file in sorted(folder.glob("*.toml"))}
    if space is not None and space not in known:
        if space in content.names(FOLDER):
            return []
        raise unknown("space", space, known, UsageError)
    chosen = known if space is None else {space: known[space]}
    return [design for name, file in chosen.items() for design in _read(name, file)]


def find_design(slug: str, space: str | None = None) -> Design:
    """One design by its name.

    Raises:
        UsageError: No such design in the space, or in any; lists the nearest.
    """
    known = {design.slug: design for design in designs(space)}
    if slug not in known:
        raise unknown(
            "design", slug, known, UsageError, hint="`nasplat survey list` shows all of them."
        )
    return known[slug]


@lru_cache(maxsize=32)
def _read(space: str, file: Path) -> tuple[Design, ...]:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SpaceError(f"{file} is no TOML: {error}") from error
    return tuple(_design(slug, space, entry, file) for slug, entry in data.items())


def _design(slug: str, space: str, entry: Any, file: Path) -> Design:
    known = set(Design.__dataclass_fields__) - {"slug", "space"}
    if not isinstance(entry, dict) or not {"title", "axes"} <= set(entry) or set(entry) - known:
        raise SpaceError(
            f"{file}: [{slug}] must be a table with title and axes, and may have "
            f"{', '.join(sorted(known - {'title', 'axes'}))}; met {entry!r}"
        )
    axes = {axis: _choices(value) for axis, value in entry["axes"].items()}
    where = {pattern: tuple(values) for pattern, values in entry.get("where", {}).items()}
    return Design(slug, space, **{**entry, "axes": axes, "where": where})


def _choices(value: Any) -> Choices:
    if isinstance(value, dict):
        return Choices(tuple(value["any"]), alternatives=True)
    return Choices(tuple(value) if isinstance(value, list) else (value,))


def rules_of(design: Design, axes: Mapping[str, Axis]) -> list[tuple[str, Patterns]]:
    """The constraints of a design on the genotypes of a space, each with what it follows from.

    Args:
        design: It need not be in the space's own file.
        axes: Of the space.

    Raises:
        UsageError: The space lacks an axis or an option that the design names.
    """
    wanted: list[tuple[str, Patterns]] = []
    for axis, choices in design.axes.items():
        if axis in design.unheld:
            continue
        if axis not in axes:
            raise unknown(
                f"axis of {design.space} that {design.slug} names:", axis, axes, UsageError
            )
        held = axes[axis]
        source = f"{axis} = {choices}"
        if isinstance(held, Numeric):
            if not choices.free:
                wanted += [(source, {pattern: choices.options}) for pattern in held.patterns]
        else:
            options = [option_of(axis, held, option) for option in choices.options]
            wanted.append((source, _union(options)))
    if design.where:
        wanted.append((design.slug, design.where))
    return wanted


def _union(options: Sequence[Option]) -> Patterns:
    """The patterns of the first rule of each option; one pattern's values are put together."""
    merged: dict[str, tuple[Scalar, ...]] = {}
    for option in options:
        for pattern, values in rules(option)[0].every.items():
            merged[pattern] = tuple(dict.fromkeys((*merged.get(pattern, ()), *values)))
    return merged


def narrowed(space: Space, design: Design) -> Space:
    """The part of a space in which a design lies.

    Raises:
        SpaceError: The design contradicts the space; names the decisions and the axes that do.
        UsageError: The space lacks an axis or an option that the design names.
    """
    return space.within(*rules_of(design, space.axes))


def broken(space: Space, design: Design, genotype: Mapping[str, Any]) -> list[str]:
    """The axes of a design that a genotype does not keep to, in words; empty: it is such a design."""
    return [
        f"{axis} = {choices}"
        for axis, choices in design.axes.items()
        if axis not in design.unheld and not _keeps(space, axis, choices, genotype)
    ]


def _keeps(space: Space, axis: str, choices: Choices, genotype: Mapping[str, Any]) -> bool:
    held = space.axes[axis]
    if choices.free:
        return holds(space.axes, genotype, axis)
    if isinstance(held, Numeric):
        met = [
            value
            for pattern in held.patterns
            for path, value in genotype.items()
            if matches(pattern, path)
        ]
        return bool(met) and all(among(value, choices.options) for value in met)
    if len(choices.options) == 1:
        return holds(space.axes, genotype, axis, choices.options[0])
    parts = [rules(option_of(axis, held, option)) for option in choices.options]
    occur = [any(rule.present(genotype) for rule in part) for part in parts]
    return any(occur) if choices.alternatives else all(occur)


def restricted(space: Space, items: Sequence[str]) -> Space:
    """The part of a space that keeps to all of several designs and rules.

    Args:
        space: A shipped space, or one of a user's own for rules alone.
        items: Each the slug of a design of this space, or ``PATTERN=VALUE,VALUE`` with a path pattern
            and JSON values, words without quotes.

    Raises:
        UsageError: No such design.
        SpaceError: A design or rule contradicts the space, or they contradict each other.
    """
    wanted: list[tuple[str, Patterns]] = []
    for item in items:
        pattern, equals, values = item.partition("=")
        if equals:
            wanted.append((item, {pattern.strip(): tuple(map(_value, values.split(",")))}))
        else:
            design = find_design(item, space.name)
            inputs = examples(space.name)[design.input].inputs if design.input else space.inputs
            if list(map(type, inputs.values())) != list(map(type, space.inputs.values())):
                raise SpaceError(
                    f"the design {item} is for {show_types(tuple(inputs.values()))} and the like, the "
                    f"task has {show_types(tuple(space.inputs.values()))}",
                    hint="Give a task of such inputs: `nasplat task list`.",
                )
            wanted += rules_of(design, space.axes)
    return space.within(*wanted) if wanted else space


def _value(text: str) -> Scalar:
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()
    return value if isinstance(value, bool | int | float | str | None) else text.strip()


@dataclass(frozen=True)
class Preset:
    """A published model as a closed genotype.

    Attributes:
        space: Name of the space.
        types: What the model maps.
        where: Path patterns with the value of every decision that the default does not give it.
        sizes: Fields of the space file's ``Sizes``: domains that hold the model's own sizes.
    """

    space: str
    types: Types
    where: Mapping[str, Scalar]
    sizes: Mapping[str, Any] = field(default_factory=dict)


def presets() -> dict[str, Callable[..., Preset]]:
    """The parametric families of published models, by name."""
    found: dict[str, Callable[..., Preset]] = {}
    for file in sorted((content.path(FOLDER) / "presets").glob("*.py")):
        found.update(content.load_file(file).PRESETS)
    return dict(sorted(found.items()))


def load_preset(name: str, **settings: Any) -> Candidate:
    """A published model as a candidate of its space.

    Args:
        name: Of the family, such as ``deit``.
        settings: Sizes that differ from the family's defaults, such as ``dim=384, heads=6``.

    Raises:
        UsageError: No such family, or the family has no such setting.
        SpaceError: The space does not hold such a model.
    """
    space, _ = preset_space(name, **settings)
    return space.build(space.default())


def preset_space(name: str, **settings: Any) -> tuple[Space, Preset]:
    """The space of a published model, narrowed to it; its default genotype is the model.

    Raises:
        UsageError: No such family, or the family has no such setting.
        SpaceError: The space does not hold such a model.
    """
    known = presets()
    if name not in known:
        raise unknown("preset", name, known, UsageError)
    taken = list(inspect.signature(known[name]).parameters)
    for setting in settings:
        if setting not in taken:
            raise unknown(f"setting of {name}", setting, taken, UsageError)
    preset = known[name](**settings)
    sizes = load_module(preset.space)[1].Sizes(**preset.sizes) if preset.sizes else None
    space = load_space(preset.space, preset.types, recipe=False, sizes=sizes)
    where = {pattern: (value,) for pattern, value in preset.where.items()}
    return space.within((name, where)), preset


def settings_of(name: str) -> Iterator[tuple[str, Any]]:
    """The settings of a family of presets with their defaults."""
    for parameter in inspect.signature(presets()[name]).parameters.values():
        yield parameter.name, parameter.default
