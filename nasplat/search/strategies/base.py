"""The contract of a strategy: asked for candidates, told what became of them.

A strategy sees decision points and numbers. It knows no task, no worker and no database; all objectives
are minimised, and it never sees which metric a number was.

Three promises hold for every strategy (``nasplat.testing.strategy`` checks them):

- What it answers depends on its seed, on what it was told and on what is pending, and on nothing else. A
  search is therefore resumed by telling a new strategy what the store holds.
- Nothing that was told or is pending is proposed again; two candidates are one when digest and recipe
  are the same.
- An empty answer means that nothing new was found in the whole space: the search is over.
"""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate
    from nasplat.space.genotype import Genotype
    from nasplat.space.space import Space

Measure = Callable[["Candidate"], float]
Key = tuple[str, str]

TRIES = 200
"""Genotypes a strategy may try for each candidate asked for, before it falls back to random ones."""
WALK = 2000
"""Genotypes the last fall-back may build before the space counts as exhausted."""


def key_of(candidate: Candidate) -> Key:
    """What tells a candidate apart from every other: its digest, and its recipe where that is searched."""
    return candidate.digest, json.dumps(dict(candidate.recipe or {}), sort_keys=True)


@dataclass(frozen=True)
class Proposal:
    """One candidate worth evaluating.

    Attributes:
        candidate: The candidate, built.
        origin: Why it is proposed, JSON: ``strategy``, and where they apply ``parents`` (numbers of
            the trials that it was made from), ``predicted`` (values, minimised), ``acquisition``.
    """

    candidate: Candidate
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def genotype(self) -> Genotype:
        """The decisions of the candidate."""
        return self.candidate.genotype


@dataclass(frozen=True)
class Observation:
    """What is known of one trial.

    Attributes:
        number: Number of the trial in its study, in the order of proposals, from 0.
        candidate: What was evaluated.
        values: One value for each objective, all to be minimised; ``None`` when the trial failed.
        violation: Sum by which constraints are broken; 0 is feasible.
        errors: Standard error of each value, 0 where nothing is known of it; ``None`` stands for zeros.
        fidelity: How much it was trained, such as epochs; comparable within a study.
        final: Whether nothing more will be reported of this trial.
        seconds: Device time that it took so far; 0 where it took none of its own, or where the budget
            does not count time.
    """

    number: int
    candidate: Candidate
    values: tuple[float, ...] | None
    violation: float = 0.0
    fidelity: int = 1
    final: bool = True
    errors: tuple[float, ...] | None = None
    seconds: float = 0.0


class Strategy(ABC):
    """Base of all strategies: a subclass says how to :meth:`propose`, the base keeps the promises.

    Args:
        space: Where candidates come from.
        objectives: Number of objectives, at least 1.
        seed: Seed of everything random.
        cheap: Violation of the constraints that need no evaluation, 0 is feasible; candidates that
            break one are never proposed.
        exact: Objectives that follow from the candidate alone, such as its parameters: number of the
            objective to a function that gives its (minimised) value.

    Attributes:
        keys: What was told, by what tells candidates apart.
        starts: For each of the first proposals, in order, what it is like and the part of the space that
            it is drawn from.
        fidelities: Rungs at which trials report, rising, in the unit of ``Observation.fidelity``; a trial
            is complete at the last. Empty when trials are reported once.
    """

    name: ClassVar[str]
    starts: Sequence[tuple[str, Space]] = ()
    fidelities: Sequence[int] = ()

    def __init__(
        self,
        space: Space,
        *,
        objectives: int = 1,
        seed: int = 0,
        cheap: Measure | None = None,
        exact: Mapping[int, Measure] | None = None,
    ) -> None:
        self.space = space
        self.objectives = objectives
        self.seed = seed
        self.cheap = cheap
        self.exact = dict(exact or {})
        self.keys: set[Key] = set()
        self._told: dict[int, list[Observation]] = {}
        self._proposed = 0

    @abstractmethod
    def propose(self, turn: Turn) -> None:
        """Offer genotypes to ``turn`` until it is full, or give up early."""

    def ask(self, count: int, pending: Sequence[Candidate] = ()) -> list[Proposal]:
        """Propose candidates.

        Args:
            count: How many are wanted, at least 1.
            pending: Candidates that were proposed and of which nothing final is known yet.

        Returns:
            At most ``count`` proposals, all different, none told or pending. Empty when
            nothing new was found: the space is exhausted.
        """
        unheard = {key_of(candidate) for candidate in pending} - self.keys
        done = max(self._proposed, len(self._told) + len(unheard))
        turn = Turn(self, count, pending, self.rng_for(done))
        begin(turn, done)
        if not turn.full:
            self.propose(turn)
        if not turn.full:
            fall_back(turn)
        self._proposed = done + len(turn.proposals)
        return turn.proposals

    def tell(self, observation: Observation) -> None:
        """Take note of what became of a trial; later reports of one trial add to earlier ones."""
        self.keys.add(key_of(observation.candidate))
        self._told.setdefault(observation.number, []).append(observation)

    def promote(self, paused: Sequence[int], count: int) -> list[int] | None:
        """Say which trials that reached a rung go on to the next one.

        Args:
            paused: Numbers of the trials in question, at least one; the last report of each was told, was
                at a rung below the last and did not fail.
            count: At most so many go on now, at least 1.

        Returns:
            Numbers out of ``paused``, the most urgent first, possibly none; who asks may ask again for the
            others, or give them up. ``None`` leaves the decision to successive halving.
        """
        return None

    def quality(self) -> dict[str, Any] | None:
        """How well the strategy predicts, JSON; ``None`` when it predicts nothing.

        Keys: ``name`` of the model, ``kendall_tau`` held out, ``target`` that it is for, ``fitted_on``
        how many results; a strategy may add to them.
        """
        return None

    def rng_for(self, proposed: int) -> random.Random:
        """Randomness for the turn that starts after ``proposed`` proposals."""
        text = f"{self.name}:{self.seed}:{proposed}"
        return random.Random(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big"))

    @property
    def trials(self) -> list[list[Observation]]:
        """All that was told, one list for each trial, in the order of trials."""
        return [self._told[number] for number in sorted(self._told)]

    @property
    def results(self) -> list[Observation]:
        """The last word on each finished trial that did not fail, in the order of trials."""
        return [seen[-1] for seen in self.trials if seen[-1].final and seen[-1].values is not None]


class Turn:
    """One call of :meth:`Strategy.ask`: its randomness, and what may not be proposed.

    Attributes:
        rng: Randomness of this turn.
        pending: Candidates under evaluation.
        proposals: What was accepted so far.
        tried: Genotypes considered so far, taken or not.
    """

    def __init__(
        self, strategy: Strategy, count: int, pending: Sequence[Candidate], rng: random.Random
    ) -> None:
        self.strategy = strategy
        self.count = count
        self.pending = pending
        self.rng = rng
        self.proposals: list[Proposal] = []
        self._taken = {key_of(candidate) for candidate in pending}
        self.tried: set[Genotype] = set()
        self._nearest: tuple[float, Genotype] | None = None

    @property
    def full(self) -> bool:
        """Whether as many were accepted as were asked for."""
        return len(self.proposals) >= self.count

    @property
    def room(self) -> int:
        """How many more are wanted."""
        return self.count - len(self.proposals)

    def taken(self, key: Key) -> bool:
        """Whether something was told, is pending or was accepted in this turn."""
        return key in self._taken or key in self.strategy.keys

    @property
    def nearest(self) -> Genotype | None:
        """Of the genotypes that break a cheap constraint, the one that breaks it least."""
        return self._nearest[1] if self._nearest else None

    def consider(self, genotype: Genotype) -> Candidate | None:
        """Build a genotype, unless it was tried, is taken or breaks a cheap constraint."""
        if genotype in self.tried:
            return None
        self.tried.add(genotype)
        candidate = self.strategy.space.build(genotype)
        return candidate if self.allows(candidate) else None

    def allows(self, candidate: Candidate) -> bool:
        """Whether a candidate is neither taken nor breaks a cheap constraint."""
        if self.taken(key_of(candidate)):
            return False
        broken = self.strategy.cheap(candidate) if self.strategy.cheap else 0.0
        if broken > 0 and (self._nearest is None or broken < self._nearest[0]):
            self._nearest = (broken, candidate.genotype)
        return broken <= 0

    def accept(self, candidate: Candidate, **origin: Any) -> None:
        """Propose a candidate that :meth:`consider` or :meth:`allows` let pass."""
        self._taken.add(key_of(candidate))
        self.proposals.append(Proposal(candidate, {"strategy": self.strategy.name, **origin}))

    def offer(self, genotype: Genotype, **origin: Any) -> bool:
        """Consider a genotype and accept it when it may be proposed."""
        candidate = None if self.full else self.consider(genotype)
        if candidate is None:
            return False
        self.accept(candidate, **origin)
        return True


def begin(turn: Turn, done: int) -> None:
    """Offer the first proposals, each drawn from the part of the space that it is to be like.

    Args:
        turn: To fill.
        done: How many proposals there were before.
    """
    for like, part in turn.strategy.starts[done : done + turn.count]:
        offered = (part.sample(turn.rng) for _ in range(TRIES))
        any(turn.offer(genotype, like=like) for genotype in offered)


def fall_back(turn: Turn) -> None:
    """Fill a turn when its strategy found nothing more.

    First random genotypes; then, where cheap constraints refuse nearly all, a descent on how much they
    are broken; at last a walk from neighbour to neighbour, which meets every genotype of a small space.
    """
    sample_into(turn, TRIES * turn.count, "random after the strategy found nothing new")
    if not turn.full:
        _descend(turn)
    if not turn.full:
        _walk(turn)


def sample_into(turn: Turn, tries: int, why: str) -> None:
    """Offer up to ``tries`` random genotypes."""
    space, rng = turn.strategy.space, turn.rng
    for _ in range(tries):
        if turn.full:
            return
        turn.offer(space.sample(rng), step=why)


def _descend(turn: Turn) -> None:
    space, rng = turn.strategy.space, turn.rng
    for _ in range(WALK):
        if turn.full or turn.nearest is None:
            return
        turn.offer(space.mutate(turn.nearest, rng), step="descent into the constraints")


def _walk(turn: Turn) -> None:
    space = turn.strategy.space
    default = space.default()
    told = [seen[-1].candidate.genotype for seen in turn.strategy.trials]
    queue = [*told, *(candidate.genotype for candidate in turn.pending), default]
    met = set(queue)
    turn.offer(default, step="walk over all neighbours")
    for genotype in queue:
        for neighbour in space.neighbours(genotype):
            if turn.full or len(met) > WALK + len(told):
                return
            if neighbour not in met:
                met.add(neighbour)
                queue.append(neighbour)
                turn.offer(neighbour, step="walk over all neighbours")
