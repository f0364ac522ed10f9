"""What is fixed for a study when it is created, beside its space, task, objectives and budget.

It rests in the store as JSON, so that a resume needs nothing but the name of the study.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nasplat.errors import UsageError
from nasplat.search.strategies.table import DEFAULT
from nasplat.space.designs import restricted
from nasplat.space.load import Typed, load_space
from nasplat.space.space import Space


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a study searches.

    Attributes:
        space: Name or path that loads the space again.
        within: Designs and rules that every candidate keeps to (see ``nasplat.space.designs.restricted``).
        like: Designs that the first candidates are drawn from.
        strategy: Name of the strategy, or ``file.py:Class``.
        options: Settings of the strategy.
        transfer: Earlier studies of the same database that inform the strategy, and for each when the last
            of its trials that count ended.
        fidelities: Rungs in cumulative epochs, rising; the last is a complete trial.
        eta: One in ``eta`` trials goes on beyond a rung, above 1.
        profile: Name or path of the worker profile.
        executor: ``ray`` or ``inline``.
        evaluator: Spec of the evaluator.
        device: The device that latency is measured on, with the nominal time of its reference model;
            ``None`` when no metric asks for it.
        recipe: Fields of the training recipe that differ from its defaults.
        op_files: Files that define ops beyond the library's.
        final_epochs: Length of the training of winners before export.

    Raises:
        UsageError: A value is out of its range; all are named.
    """

    space: str
    within: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    strategy: str = DEFAULT
    options: Mapping[str, Any] = field(default_factory=dict)
    transfer: Mapping[str, float] = field(default_factory=dict)
    fidelities: tuple[int, ...] = (3, 9, 27)
    eta: float = 3.0
    profile: str = "laptop"
    executor: str = "ray"
    evaluator: Mapping[str, Any] = field(default_factory=lambda: {"kind": "train"})
    device: Mapping[str, Any] | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    op_files: tuple[str, ...] = ()
    final_epochs: int = 54

    def __post_init__(self) -> None:
        for name in ("fidelities", "op_files", "within", "like"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        wrong = []
        rungs = self.fidelities
        if not rungs or rungs[0] < 1 or any(low >= high for low, high in itertools.pairwise(rungs)):
            wrong.append(
                f"fidelities must be rising whole numbers of epochs from 1, got {list(rungs)}"
            )
        if not self.eta > 1:
            wrong.append(f"eta must be above 1, got {self.eta}")
        if self.executor not in EXECUTORS:
            wrong.append(f"executor must be one of {', '.join(EXECUTORS)}, got {self.executor!r}")
        if self.final_epochs < 1:
            wrong.append(f"final_epochs must be at least 1, got {self.final_epochs}")
        if wrong:
            raise UsageError("; ".join(wrong))

    def load_space(self, task: Typed) -> Space:
        """The space for a task, narrowed to what the study searches.

        Raises:
            UsageError: There is no such space or design.
            SpaceError: The space file is broken, or a design contradicts the space.
        """
        return restricted(load_space(self.space, task), self.within)

    def starts(self, space: Space) -> list[tuple[str, Space]]:
        """For each of the first proposals the design that it is drawn from, and the part of the space.

        Raises:
            UsageError: There is no such design.
            SpaceError: A design contradicts the space.
        """
        parts = [(design, restricted(space, [design])) for design in self.like]
        return [part for part in parts for _ in range(STARTS)]

    @property
    def trains(self) -> bool:
        """Whether an evaluation is long enough to be recorded step by step, under a lease."""
        return self.evaluator["kind"] not in QUICK

    def to_json(self) -> dict[str, Any]:
        """Every field by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: list(value)
            if isinstance(value, tuple)
            else dict(value)
            if isinstance(value, Mapping)
            else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Decode :meth:`to_json`."""
        return cls(**data)


STARTS = 4
"""How many first candidates are drawn from each design that a search starts from."""
EXECUTORS: tuple[str, ...] = ("ray", "inline")
QUICK: frozenset[str] = frozenset({"tabular", "proxies"})
"""Kinds of evaluators whose results are recorded in batches."""


def rungs(epochs: int, eta: float = 3.0, least: int = 3) -> tuple[int, ...]:
    """Rungs that end at ``epochs``, each ``eta`` times the one before, none below ``least`` epochs.

    Raises:
        UsageError: ``epochs`` is below 1.
    """
    if epochs < 1:
        raise UsageError(f"epochs must be at least 1, got {epochs}")
    found = [epochs]
    while round(found[0] / eta) >= least and round(found[0] / eta) < found[0]:
        found.insert(0, round(found[0] / eta))
    return tuple(found)
