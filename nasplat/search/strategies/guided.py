"""The default: models of the objectives decide what is worth evaluating next [White2021], [Yang2019].

Ten first candidates, half of them spread over the space. Then, for each turn: one Gaussian process for
each objective on features of the typed graph; a pool of random candidates and of variations of the
best results, refined once more around the most promising; expected hypervolume improvement, times the
probability of feasibility; and a batch chosen one by one, each time believing the predictions of those
chosen before and of those under evaluation.

The models must earn their say: it grows with their left-out rank correlation, and where it is short of 1,
some places of a batch go to plain variation of the best results and to random candidates instead.

References:
    [White2021] C. White, W. Neiswanger, Y. Savani. BANANAS: Bayesian optimization with neural
        architectures for neural architecture search. AAAI 2021. (Pool by small mutations.)
    [Yang2019] as in acquisition.py.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nasplat.errors import UsageError
from nasplat.predict.features import Extra, Features
from nasplat.predict.threads import one_thread
from nasplat.search.strategies.base import Strategy, Turn
from nasplat.search.strategies.pool import Known, Pool, spread_choice, vary
from nasplat.search.strategies.selection import best_first, front_size
from nasplat.search.strategies.surrogate import Guess, Surrogate

SAMPLE = 64
"""Random candidates that settle the features of a space."""
FULL_SAY, NO_SAY = 0.35, 0.05
"""Left-out Kendall's tau from which the models decide alone, and at which they decide nothing."""


class Guided(Strategy):
    """Gaussian processes, expected hypervolume improvement and variation of the best.

    Args:
        space: As for every strategy; so are the other arguments not listed here.
        first: Candidates before anything is modelled, at least 2.
        drawn: Random candidates in the pool.
        varied: Variations of the best results in the pool.
        refined: Variations of the most promising of the pool, for each of two refinements.
        extra: Further numbers of a candidate by name, such as zero-cost scores.
    """

    name = "guided"

    def __init__(
        self,
        space: Any,
        *,
        first: int = 10,
        drawn: int = 128,
        varied: int = 128,
        refined: int = 48,
        extra: Extra | None = None,
        **options: Any,
    ) -> None:
        super().__init__(space, **options)
        if first < 2 or min(drawn, varied, refined) < 0:
            raise UsageError(
                "guided needs at least 2 first candidates and a pool of sizes from 0, "
                f"got {first=}, {drawn=}, {varied=}, {refined=}"
            )
        self.first = first
        self.drawn = drawn
        self.varied = varied
        self.refined = refined
        self.extra = extra
        self._learned: tuple[int, Surrogate | None] = (-1, None)

    def propose(self, turn: Turn) -> None:
        with one_thread():
            begun = len(self._told) + len(turn.pending)
            while not turn.full and begun + len(turn.proposals) < self.first:
                if not self._start(turn, begun + len(turn.proposals)):
                    return
            if turn.full:
                return
            surrogate = self._surrogate()
            if surrogate is not None:
                self._decide(turn, surrogate)

    def quality(self) -> dict[str, Any] | None:
        with one_thread():
            surrogate = self._surrogate() if len(self.results) > 1 else None
        if surrogate is None or not surrogate.taus:
            return None
        return {
            "name": "gaussian-process",
            "kendall_tau": min(surrogate.taus),
            "kendall_tau_by_objective": surrogate.taus,
            "say": _say(surrogate),
            "rows": surrogate.rows,
            "method": "trials left out one by one",
        }

    @cached_property
    def _sample(self) -> list[Known]:
        """The fixed random candidates; the first of them settle the features."""
        rng = random.Random(f"{self.name} sample {self.seed}")
        genotypes = [self.space.sample(rng) for _ in range(max(SAMPLE, self.drawn))]
        return self._pool.know(genotypes)

    @cached_property
    def _pool(self) -> Pool:
        rng = random.Random(f"{self.name} sample {self.seed}")
        genotypes = [self.space.sample(rng) for _ in range(SAMPLE)]
        seen = [self.space.build(genotype) for genotype in dict.fromkeys(genotypes)]
        features = Features(seen, encode=self.space.encode, extra=self.extra)
        return Pool(self.space, features, self.cheap, self.exact)

    def _surrogate(self) -> Surrogate | None:
        reports = sum(len(trial) for trial in self.trials)
        if self._learned[0] != reports:
            valued = any(seen.values is not None for trial in self.trials for seen in trial)
            made = None
            if valued and self._pool.features.columns:
                made = Surrogate(self.trials, self._pool, self.objectives, list(self.exact))
            self._learned = (reports, made)
        return self._learned[1]

    def _start(self, turn: Turn, place: int) -> bool:
        """Offer one of the first candidates: at odd places the one farthest from all others."""
        if place % 2:
            known = self._sample
            others = [*turn.pending, *(one.candidate for one in turn.proposals)]
            others += [trial[-1].candidate for trial in self.trials]
            chosen = spread_choice(
                np.array([one.row for one in known]),
                self._pool.rows(others),
                lambda row: known[row].violation <= 0 and not turn.taken(known[row].key),
            )
            if chosen is not None and turn.offer(known[chosen].genotype, step="first, spread"):
                return True
        before = len(turn.proposals)
        for _ in range(50):
            if turn.offer(self.space.sample(turn.rng), step="first, random"):
                break
        return len(turn.proposals) > before

    def _decide(self, turn: Turn, surrogate: Surrogate) -> None:
        results = best_first(self.results)
        parents = [seen.candidate for seen in results[: max(10, front_size(results))]]
        modelled = sum(turn.rng.random() < _say(surrogate) for _ in range(turn.room))
        if modelled and parents:
            known = self._candidates(turn, surrogate, parents)
            guess = self._expecting(turn, surrogate, known)
            self._choose(turn, surrogate, known, guess, modelled)
        while not turn.full and parents:
            before = len(turn.proposals)
            for genotype in vary(self.space, [one.genotype for one in parents], 20, turn.rng):
                plain = turn.rng.random() < 0.3
                offered = self.space.sample(turn.rng) if plain else genotype
                if turn.offer(offered, step="random" if plain else "variation of the best"):
                    break
            if len(turn.proposals) == before:
                return

    def _candidates(self, turn: Turn, surrogate: Surrogate, parents: Sequence[Any]) -> list[Known]:
        """The pool of this turn: random, varied, and twice refined around the most promising."""
        genotypes = [parent.genotype for parent in parents]
        known = self._allowed(turn, self._sample[: self.drawn])
        known += self._allowed(
            turn, self._pool.know(vary(self.space, genotypes, self.varied, turn.rng))
        )
        for _ in range(2 if self.refined else 0):
            if not known:
                break
            gain = surrogate.guess(known).gain()
            best = np.argsort(-gain, kind="stable")[:8]
            promising = [known[row].genotype for row in best]
            known += self._allowed(
                turn, self._pool.know(vary(self.space, promising, self.refined, turn.rng))
            )
        return list({one.key: one for one in known}.values())

    def _allowed(self, turn: Turn, known: Sequence[Known]) -> list[Known]:
        return [one for one in known if one.violation <= 0 and not turn.taken(one.key)]

    def _expecting(self, turn: Turn, surrogate: Surrogate, known: list[Known]) -> Guess:
        """Predictions that believe in those of the candidates under evaluation, put behind the pool."""
        self._pool.note(turn.pending)
        waiting = self._pool.know(candidate.genotype for candidate in turn.pending)
        guess = surrogate.guess([*known, *waiting])
        for row in range(len(known), len(known) + len(waiting)):
            guess.believe(row)
        return guess

    def _choose(
        self, turn: Turn, surrogate: Surrogate, known: list[Known], guess: Guess, count: int
    ) -> None:
        left = np.ones(len(known), dtype=bool)
        for _ in range(min(count, len(known))):
            gain = np.where(left, guess.gain()[: len(known)], -np.inf)
            row = int(np.argmax(gain))
            left[row] = False
            turn.offer(
                known[row].genotype,
                step="acquisition",
                predicted=surrogate.values(guess.mean[row]),
                acquisition=float(gain[row]),
            )
            guess.believe(row)


def _say(surrogate: Surrogate) -> float:
    """Share of a batch that the models decide, in [0, 1]."""
    if not surrogate.taus:
        return 1.0
    earned = (min(surrogate.taus) - NO_SAY) / (FULL_SAY - NO_SAY)
    return float(np.clip(earned, 0.0, 1.0))
