"""``Space``: everything that follows from one definition of a search space.

A space knows its body, its inputs and outputs and its recipe. It knows no data, no training and no
strategy: these see decision points, genotypes and costs.
"""

from __future__ import annotations

import copy
import gc
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nasplat.errors import GenotypeError, GraphTypeError, nearest_first
from nasplat.graph.cost import COSTS, Cost, cost
from nasplat.graph.graph import Graph, GraphBuilder
from nasplat.graph.op import Expression, Sequence
from nasplat.graph.types import TensorType, show_types
from nasplat.space import check as checks
from nasplat.space import definition, encoding, variation
from nasplat.space import plan as plans
from nasplat.space.axes import Axis, Narrowing, Patterns, holds
from nasplat.space.base import Compiler, Place, Run
from nasplat.space.candidate import Candidate
from nasplat.space.decisions import Scalar, Trial
from nasplat.space.genotype import Genotype
from nasplat.space.plan import Plan, Point, Site, Values, product
from nasplat.space.ranges import Bounds, CostSearch, Satisfiability

_CHECKS: ContextVar[bool] = ContextVar("checks", default=True)


@contextmanager
def unchecked() -> Iterator[None]:
    """Make spaces without building their options: for reading sizes and decisions of known spaces."""
    token = _CHECKS.set(False)
    try:
        yield
    finally:
        _CHECKS.reset(token)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without cyclic garbage collection.

    A large space is some hundred thousand objects, all of which stay: to look through them again and again
    while it is made takes several times as long as to make it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Space:
    """A search space: a body with open decisions between typed inputs and outputs.

    Args:
        body: An expression; one argument for each input comes in, in order.
        inputs: Type of each input, by name.
        outputs: Type that each output must have, by name. What the body gives takes these names in
            order; taps and trees name theirs. None: any type, under ``output`` (``output0``, ... when
            the body gives several).
        recipe: Hyper-parameters of training: plain values, decisions, formulas. Their paths begin with
            ``recipe``.
        name: How the space is called in tables.
        check: How many random genotypes are built, beside every single option, to see that all
            type-check; None: nothing is checked.
        axes: The design choices of the literature that the space holds, by name: how each option is read
            off a genotype. Labels: they do not enter the version.

    Raises:
        SpaceError: The definition is malformed, or some candidates do not type-check; names the
            options, the rule and the types met.

    Attributes:
        version: Digest of the definition; equal definitions have equal versions in every process.
        points: Every decision in its place, by path, in order.
    """

    CHECKED = 32

    @_uncollected()
    def __init__(
        self,
        body: Expression,
        inputs: Mapping[str, TensorType],
        outputs: Mapping[str, TensorType] | None = None,
        *,
        recipe: Mapping[str, Any] | None = None,
        name: str = "space",
        check: int | None = CHECKED,
        axes: Mapping[str, Axis] | None = None,
    ) -> None:
        self.name = name
        self.axes = dict(axes or {})
        self.inputs = dict(inputs)
        self.outputs = None if outputs is None else dict(outputs)
        self.body = body
        self.recipe = dict(recipe or {})
        self.version = definition.version([self.body, self.inputs, self.outputs, self.recipe])
        compiler = Compiler([self.body, self.recipe])
        top = (
            body
            if isinstance(body, Sequence) or not isinstance(body, Expression)
            else Sequence((body,))
        )
        self._body = compiler.part(top, Place())
        self._recipe = {
            key: compiler.reader(value, Place("recipe"), key) for key, value in self.recipe.items()
        }
        settings = [decided for decided, _ in self._recipe.values()]
        self._settle(product(self._body.plan, *settings), self._body.plan, compiler.sites)
        if check is not None and _CHECKS.get():
            checks.check(self._plan, self.graph, name=name, batch=check)

    def _settle(self, plan: Plan, body: Plan, sites: list[Site]) -> None:
        """Take over the plan of all decisions, the part of it that shapes the graph, and the sites."""
        self._plan = plans.simplify(plan)
        self._shaping = plans.simplify(body)
        self._whole, self._whole_shaping, self._sites = plan, body, sites
        self.points: dict[str, Point] = {
            entry[0].path: entry[0] for entry in plans.entries(self._plan)
        }

    @_uncollected()
    def within(self, *wanted: Patterns | tuple[str, Patterns]) -> Space:
        """The same space with fewer values: its genotypes are genotypes of this one.

        Args:
            wanted: Path patterns (see :mod:`nasplat.space.axes`) with the values that decisions of such
                paths keep; with a name, ``("the paper", {...})``, errors call them by it.

        Raises:
            SpaceError: A pattern names no decision, or no value is left for one.
        """
        named = [item if isinstance(item, tuple) else ("asked for", item) for item in wanted]
        narrowing = Narrowing(self._whole, named)
        plan, sites = narrowing.apply(self._whole, self._sites)
        body, _ = narrowing.apply(self._whole_shaping, ())
        made = copy.copy(self)
        for name, item in vars(Space).items():
            if isinstance(item, cached_property):
                vars(made).pop(name, None)
        made._settle(plan, body, sites)
        return made

    def holds(self, genotype: Mapping[str, Any], axis: str, option: Scalar = None) -> bool:
        """Whether an option of an axis holds for a genotype; see :func:`nasplat.space.axes.holds`."""
        return holds(self.axes, genotype, axis, option)

    def __repr__(self) -> str:
        inputs = show_types(tuple(self.inputs.values()))
        return f"Space({self.name!r} for {inputs}: {self.size():.2e} candidates, {self.version})"

    def decisions(self) -> list[Point]:
        """Every decision in its place, active or not, in order."""
        return list(self.points.values())

    def size(self) -> int:
        """The exact number of genotypes; a continuous decision (``Float``) counts as one value."""
        return self._size

    @cached_property
    def _size(self) -> int:
        with _uncollected():
            return plans.count(self._plan)

    def genotypes(self) -> Iterator[Genotype]:
        """All genotypes, the last decision turning fastest.

        Raises:
            SpaceError: A decision is continuous.
        """
        return map(Genotype, plans.every(self._plan))

    def default(self) -> Genotype:
        """Every decision at its default."""
        return Genotype(plans.fill(self._plan, {}, lambda point: point.decision.default))

    def sample(self, rng: random.Random) -> Genotype:
        """Draw every active decision, from the top down, uniform over its domain.

        A choice of sub-graphs is therefore uniform over its options, however many genotypes each holds;
        the distribution is not uniform over genotypes.
        """
        values: Values = {}
        plans.draw(self._plan, values, rng)
        return Genotype(values)

    def validate(self, genotype: Mapping[str, Any]) -> list[str]:
        """Every reason why the space does not hold the genotype, each with its path; empty if it does."""
        return self._read(genotype)[1]

    def contains(self, genotype: Mapping[str, Any]) -> bool:
        """Whether the space holds the genotype, whichever version of the space it was made for."""
        return not self._read(genotype)[1]

    def _read(self, genotype: Mapping[str, Any]) -> tuple[Values, list[str]]:
        values, met, hidden = plans.close(self._plan, genotype)
        offences = list(met.values())
        if len(values) == len(genotype) and not offences:
            return values, offences
        below = {
            entry[0].path
            for unseen in hidden.values()
            for part in unseen
            for entry in plans.entries(part)
        }
        for path in genotype:
            if path in values or path in met or path in below:
                continue
            if path in self.points:
                offences.append(f"{path} is not active beside the other values")
            else:
                near = (
                    ", ".join(nearest_first(str(path), self.points)[:3]) or "none, nothing is open"
                )
                offences.append(f"{path} is no decision of the space; nearest: {near}")
        return values, offences

    def build(self, genotype: Mapping[str, Any]) -> Candidate:
        """Close every decision.

        Raises:
            GenotypeError: The space does not hold the genotype; lists every offending path.
        """
        values, offences = self._read(genotype)
        if offences:
            raise GenotypeError(
                offences, hint=f"The space is {self.name!r}, version {self.version}."
            )
        recipe = {key: read(values) for key, (_, read) in self._recipe.items()}
        return Candidate(self.name, self.version, Genotype(values), self.graph(values), recipe)

    def graph(self, values: Mapping[str, Any]) -> Graph:
        """The graph of a genotype that is known to be valid."""
        run = Run(GraphBuilder(self.inputs), values)
        refs = self._body.emit(run, tuple(self.inputs))
        taken = set(run.outputs.values())
        rest = [ref for ref in refs if ref not in taken]
        if self.outputs is not None:
            names = [name for name in self.outputs if name not in run.outputs]
        elif len(rest) == 1:
            names = ["output"]
        else:
            names = [f"output{index}" for index in range(len(rest))]
        if len(names) != len(rest):
            raise GraphTypeError(
                f"the body gives {len(rest)} values beside the outputs {list(run.outputs)}, "
                f"expected one for each of {names}"
            )
        graph = run.builder.build({**dict(zip(names, rest, strict=True)), **run.outputs})
        for name, expected in (self.outputs or {}).items():
            met = graph.output_types[name]
            if met != expected:
                raise GraphTypeError(f"output {name!r} must be {expected}; met {met}")
        return graph

    def neighbours(self, genotype: Mapping[str, Any]) -> Iterator[Genotype]:
        """Every genotype in which one decision is one step away.

        One step is the next value of a range, any other value of a choice, an eighth of a continuous
        domain. A newly active copy of a repeated body takes the values of the copy before it, every
        other newly active decision its default.
        """
        return variation.neighbours(self._plan, self._closed(genotype))

    def mutate(self, genotype: Mapping[str, Any], rng: random.Random) -> Genotype:
        """Draw one active decision anew, to another value, and what that newly activates."""
        return variation.mutate(self._plan, self._closed(genotype), rng)

    def crossover(
        self, one: Mapping[str, Any], other: Mapping[str, Any], rng: random.Random
    ) -> Genotype:
        """``one`` with parts of ``other`` in places of equal structure, not only the same place."""
        return self._recombination.cross(self._closed(one), self._closed(other), rng)

    @cached_property
    def _recombination(self) -> variation.Recombination:
        return variation.Recombination(self._plan, self._sites)

    def _closed(self, genotype: Mapping[str, Any]) -> Values:
        values, offences = self._read(genotype)
        if offences:
            raise GenotypeError(
                offences, hint=f"The space is {self.name!r}, version {self.version}."
            )
        return values

    @cached_property
    def encoding(self) -> encoding.Encoding:
        """The columns of :meth:`encode` and their names."""
        return encoding.Encoding(self.decisions())

    def encode(self, genotype: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """The genotype as a vector of one length for the whole space, marks of activity included."""
        return self.encoding.encode(self._closed(genotype))

    def distributions(self) -> dict[str, Any]:
        """The Optuna distribution of every decision, by path."""
        return encoding.distributions(self.decisions())

    def suggest(self, trial: Trial) -> Candidate:
        """Build a candidate define-by-run: only active decisions are asked for, under their paths.

        Args:
            trial: An Optuna trial, a ``FixedTrial``, or anything with its three ``suggest`` methods.
        """
        return self.build(
            plans.fill(self._plan, {}, lambda point: point.decision.suggest(trial, point.path))
        )

    def cost_of(self, values: Values) -> Cost:
        """The cost of a genotype that is known to be valid."""
        return cost(self.graph(values))

    @cached_property
    def _costs(self) -> CostSearch:
        return CostSearch(self._shaping, self.cost_of)

    def cost_ranges(self, *names: str) -> dict[str, tuple[float, float]]:
        """Least and greatest value of costs that a search attained (see ``ranges``); worked out once.

        Each end is the cost of some candidate; the true range can only be wider.

        Args:
            names: Of ``COSTS``; all of them unless given. Each takes part of a second to seconds.
        """
        return {name: self._costs.range(name) for name in names or COSTS}

    def satisfiable(self, bounds: Bounds) -> Satisfiability:
        """Whether a candidate within bounds on costs was found, one bound at a time and all together.

        Args:
            bounds: For each name of ``COSTS`` the least and the most allowed; None: no bound.
        """
        return self._costs.satisfiable(bounds)

    def batch(self, count: int, rng: random.Random) -> Iterator[Candidate]:
        """``count`` random candidates, each built when it is asked for."""
        return (self.build(self.sample(rng)) for _ in range(count))
