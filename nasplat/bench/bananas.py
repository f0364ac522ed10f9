"""Bayesian optimisation with an ensemble of networks, after BANANAS [White2021].

Members learn from a path encoding and differ by their initial weights; every candidate of a batch is
chosen by its own draw from the members' predictions (independent Thompson sampling), among mutations of the
best results. Nothing is evaluated twice. It differs from the paper in what stands for paths: the paper
lists those of a cell from its input to its output; here, for graphs of any size, the walks of up to three
ops that occur, beside the decisions themselves. With several objectives each has its own ensemble, and
draws are ordered by Pareto rank.

References:
    [White2021] C. White, W. Neiswanger, Y. Savani. BANANAS: Bayesian optimization with neural
        architectures for neural architecture search. AAAI 2021.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasplat import pareto
from nasplat.bench.peers import Peer, Values
from nasplat.errors import UsageError
from nasplat.graph.graph import source
from nasplat.search.strategies.base import Key, key_of

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate

Floats = NDArray[np.float64]

WALK = 3
"""Ops in the longest walk of the encoding."""
BEST = 10
"""Results that are mutated."""
POOL = 100
"""Mutations in a pool."""
STEPS, RATE, WIDTH = 100, 0.01, 32
"""Steps of full-batch Adam, their size, and the width of the members' two hidden layers."""


class Bananas(Peer):
    """Thompson sampling from an ensemble, on mutations of the best results.

    Args:
        space: As for every peer; so are the other arguments not listed here.
        first: Random candidates before anything is learned, at least 2.
        members: Networks in an ensemble, at least 2.
    """

    def __init__(self, space: Any, *, first: int = 10, members: int = 5, **arguments: Any) -> None:
        super().__init__(space, **arguments)
        if first < 2 or members < 2:
            raise UsageError(
                f"bananas needs at least 2 first candidates and 2 members, got {first=}, {members=}"
            )
        self.first = first
        self.members = members
        self._rng = random.Random(f"bananas {self.seed}")
        self._numbers = np.random.default_rng(self.seed)
        self._taken: set[Key] = set()
        self._met: list[tuple[Candidate, Values]] = []
        self._told = 0
        self._codes: dict[Key, tuple[Floats, frozenset[str]]] = {}

    def ask(self, count: int) -> list[Candidate]:
        if self._told < self.first or len(self._met) < 2:
            chosen = self._random(count)
        else:
            chosen = self._chosen(count)
            chosen += self._random(count - len(chosen), but=chosen)
        self._taken.update(key_of(candidate) for candidate in chosen)
        return chosen

    def tell(self, candidate: Candidate, values: Values | None) -> None:
        self._told += 1
        self._taken.add(key_of(candidate))
        if values is not None:
            self._met.append((candidate, values))

    def _random(self, count: int, but: list[Candidate] | None = None) -> list[Candidate]:
        taken = self._taken | {key_of(candidate) for candidate in but or ()}
        drawn: list[Candidate] = []
        for _ in range(1000 * count):
            if len(drawn) == count:
                break
            candidate = self.space.build(self.space.sample(self._rng))
            if key_of(candidate) not in taken:
                taken.add(key_of(candidate))
                drawn.append(candidate)
        return drawn

    def _chosen(self, count: int) -> list[Candidate]:
        values = np.array([known for _, known in self._met])
        parents = [self._met[row][0] for row in pareto.order(values)[:BEST]]
        pool: dict[Key, Candidate] = {}
        for turn in range(2 * POOL):
            if len(pool) == POOL:
                break
            parent = parents[turn % len(parents)]
            mutant = self.space.build(self.space.mutate(parent.genotype, self._rng))
            if key_of(mutant) not in self._taken:
                pool.setdefault(key_of(mutant), mutant)
        if not pool:
            return []
        listed = list(pool.values())
        encoded = self._encoded([candidate for candidate, _ in self._met] + listed)
        known, unknown = encoded[: len(self._met)], encoded[len(self._met) :]
        guesses = [self._predicted(known, column, unknown) for column in values.T]
        chosen: list[Candidate] = []
        left = list(range(len(listed)))
        for _ in range(min(count, len(left))):
            drawn = np.stack(
                [self._numbers.normal(mean[left], std[left]) for mean, std in guesses], axis=1
            )
            row = left.pop(int(pareto.order(drawn)[0]))
            chosen.append(listed[row])
        return chosen

    def _predicted(self, known: Floats, values: Floats, unknown: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the members, in units of the known values' deviation."""
        told = (values - values.mean()) / (values.std() or 1.0)
        guesses = ensemble(
            torch.tensor(known, dtype=torch.float32),
            torch.tensor(told, dtype=torch.float32),
            torch.tensor(unknown, dtype=torch.float32),
            members=self.members,
            seed=self.seed * 100_003 + self._told,
        ).numpy()
        return guesses.mean(0).astype(float), guesses.std(0).astype(float)

    def _encoded(self, candidates: list[Candidate]) -> Floats:
        """One row for each candidate: its decisions, then which of the walks it has that any has."""
        rows = [self._code(candidate) for candidate in candidates]
        walks = sorted(set().union(*(met for _, met in rows)))
        places = {walk: place for place, walk in enumerate(walks)}
        table = np.zeros((len(rows), len(walks)))
        for row, (_, met) in enumerate(rows):
            table[row, [places[walk] for walk in met]] = 1.0
        table = table[:, table.std(0) > 0]
        return np.hstack([np.array([code for code, _ in rows], dtype=float), table])

    def _code(self, candidate: Candidate) -> tuple[Floats, frozenset[str]]:
        key = key_of(candidate)
        if key not in self._codes:
            self._codes[key] = (self.space.encode(candidate.genotype), walks_of(candidate))
        return self._codes[key]


def walks_of(candidate: Candidate) -> frozenset[str]:
    """Every sequence of up to :data:`WALK` ops that follow one another in the live graph."""
    ends: dict[str, set[tuple[str, ...]]] = {name: {("input",)} for name in candidate.graph.inputs}
    found: set[tuple[str, ...]] = set()
    for node in candidate.graph.live:
        label = repr(node.op)
        met: set[tuple[str, ...]] = {(label,)}
        for ref in node.inputs:
            met |= {(*walk, label)[-WALK:] for walk in ends[source(ref)]}
        ends[node.name] = met
        found |= met
    return frozenset(" > ".join(walk) for walk in found)


def ensemble(x: Tensor, y: Tensor, asked: Tensor, *, members: int, seed: int) -> Tensor:
    """Fit all members at once and predict.

    Args:
        x: Rows that are known, ``(n, d)``.
        y: Their values, ``(n,)``.
        asked: Rows to predict, ``(k, d)``.
        members: How many networks.
        seed: Of their initial weights.

    Returns:
        Predictions of each member, ``(members, k)``.
    """
    generator = torch.Generator().manual_seed(seed % 2**62)
    sizes = (x.shape[1], WIDTH, WIDTH, 1)
    weights: list[Tensor] = []
    for inner, outer in pairwise(sizes):
        drawn = torch.randn(members, inner, outer, generator=generator) * (2 / max(1, inner)) ** 0.5
        weights += [drawn.requires_grad_(), torch.zeros(members, 1, outer).requires_grad_()]

    def forward(rows: Tensor) -> Tensor:
        hidden = rows.expand(members, *rows.shape)
        for layer in range(0, len(weights), 2):
            hidden = torch.baddbmm(weights[layer + 1], hidden, weights[layer])
            hidden = hidden.relu() if layer + 2 < len(weights) else hidden
        return hidden[..., 0]

    optimiser = torch.optim.Adam(weights, lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = (forward(x) - y).abs().mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
    with torch.no_grad():
        return forward(asked)
