"""The default: models of the objectives decide what is worth evaluating next [White2021], [Yang2019].

A few first candidates, none of them among the largest, half of them spread. Then, for each turn: one
Gaussian process for each objective on features of the typed graph; a pool of random candidates and of
variations of the best results, twice refined around the most promising; expected hypervolume improvement,
times the probability of feasibility, for each second of device time where the budget counts time; and a
batch chosen one by one, each time believing the predictions of those chosen before and of those under
evaluation. Of a thousand genotypes that are looked at, a model of the decisions alone picks those that are
built.

The models must earn their say: it grows with the rank correlation of pairs of trials that are left out,
and in its stead there is plain variation of the best results, and random candidates. One candidate in ten
comes from there in any case. Results count as far as their standard errors allow.

The models have a trend along what a candidate computes: larger ones than any so far are soon looked at, yet
only two or three times as large, because the largest of a space take the time of hundreds of others.

Earlier searches of any task and space can inform the models [Mills2023]. They choose the first of the spread
candidates; where half of the first results came in the order that they foretold, the other half is left
out; and what they foretell is a feature of the models as long as it is in the order of the results.

References:
    [White2021] C. White, W. Neiswanger, Y. Savani. BANANAS: Bayesian optimization with neural
        architectures for neural architecture search. AAAI 2021. (Pool by small mutations.)
    [Mills2023] as in nasplat/predict/transfer.py.
    [Yang2019] as in acquisition.py.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplat.errors import UsageError
from nasplat.predict.features import LOG_MACS, Extra, Features
from nasplat.predict.quality import chance, in_order
from nasplat.predict.threads import one_thread
from nasplat.predict.transfer import Earlier, InformedFeatures, places
from nasplat.search.strategies.base import TRIES, Observation, Strategy, Turn
from nasplat.search.strategies.first import FirstCandidates
from nasplat.search.strategies.guess import Guess
from nasplat.search.strategies.pool import Known, Pool, allowed, crossed
from nasplat.search.strategies.selection import best_first, front_size
from nasplat.search.strategies.surrogate import Surrogate

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate
    from nasplat.space.genotype import Genotype

Floats = NDArray[np.float64]

BEYOND = 2.0
"""What may be spent on going beyond the first rung, in shares of what was spent up to it."""
DRAWN = 4000
"""Random genotypes that are looked at, at most."""
FRESH = 16
"""Random genotypes that are looked at besides for each trial."""
SAMPLE = 64
"""Random candidates that settle the features of a space."""
REFINED = 8
"""Candidates of the pool around which a refinement looks further."""
LEAST = 4
"""Candidates for which a pool is built at least: who is asked for one chooses it as well as five."""
FULL_SAY, NO_SAY = 0.35, 0.05
"""Left-out Kendall's tau from which the models have most of the say, and at which they have none."""
MOST = 0.9
"""Share of the candidates that models decide at most: they are sure of what they never saw, too."""


class Guided(Strategy):
    """Gaussian processes, expected hypervolume improvement and variation of the best.

    Args:
        space: As for every strategy; so are the other arguments not listed here.
        first: Candidates before anything is modelled, at least 2.
        drawn: Random genotypes that are looked at, besides :data:`FRESH` for each trial.
        varied: Variations of the best results that are looked at, about.
        refined: Variations of the most promising of the pool, for each of two refinements.
        built: Of each of these four lots, how many are built and judged as graphs for each candidate
            that is asked for; at least as many as for :data:`LEAST`.
        extra: Further numbers of a candidate by name, such as zero-cost scores.
        transfer: Earlier searches that inform this one.
    """

    name = "guided"

    def __init__(
        self,
        space: Any,
        *,
        first: int = 6,
        drawn: int = 500,
        varied: int = 500,
        refined: int = 240,
        built: int = 12,
        extra: Extra | None = None,
        transfer: Sequence[Earlier] = (),
        **options: Any,
    ) -> None:
        super().__init__(space, **options)
        if first < 2 or min(drawn, varied, refined, built) < 0:
            raise UsageError(
                "guided needs at least 2 first candidates and a pool of sizes from 0, "
                f"got {first=}, {drawn=}, {varied=}, {refined=}, {built=}"
            )
        self.first = first
        self.drawn = drawn
        self.varied = varied
        self.refined = refined
        self.built = built
        if not all(isinstance(one, Earlier) for one in transfer):
            raise UsageError(
                f"transfer takes earlier searches, got {transfer!r}",
                hint="Name studies of the same database: nasplat search --transfer STUDY",
            )
        self.extra = extra
        self.transfer = list(transfer)
        self._learned: tuple[int, Surrogate | None] = (-1, None)

    def propose(self, turn: Turn) -> None:
        with one_thread():
            first = self.first // 2 if self._heard else self.first
            others = [*(trial[-1].candidate for trial in self.trials), *turn.pending]
            while not turn.full and len(others) + len(turn.proposals) < first:
                if not self._first.offer(turn, others):
                    return
            if turn.full:
                return
            surrogate = self._surrogate()
            if surrogate is not None:
                self._decide(turn, surrogate)

    def promote(self, paused: Sequence[int], count: int) -> list[int] | None:
        """Those whose predicted result at the last rung improves the front most, one after the other.

        Fidelities share the budget: trials go on as long as less was spent beyond the first rung than
        ``BEYOND`` times what was spent up to it. A trial that is asked for alone is left to successive
        halving: there is nothing to prefer it to.
        """
        if len(paused) < 2:
            return None
        lowest, highest = self.fidelities[0], self.fidelities[-1]
        reached = [trial[-1].fidelity for trial in self.trials]
        beyond = sum(fidelity - lowest for fidelity in reached)
        left_over = BEYOND * lowest * len(reached) - beyond
        affordable = int(left_over // (highest - lowest))
        if affordable < 1 or len(reached) < self.first:
            return []
        with one_thread():
            surrogate = self._surrogate()
            if surrogate is None:
                return None
            genotypes = [self._told[number][-1].candidate.genotype for number in paused]
            known = {one.genotype: one for one in self._pool.know(genotypes)}
            guess = surrogate.guess([known[genotype] for genotype in genotypes])
            left = dict(enumerate(paused))
            chosen: list[int] = []
            while left and len(chosen) < min(count, affordable):
                gain = guess.gain()
                best = max(left, key=lambda row: float(gain[row]))
                chosen.append(left.pop(best))
                guess.believe(best)
        return chosen

    def quality(self) -> dict[str, Any] | None:
        with one_thread():  # of two or three results a correlation says nothing
            surrogate = self._surrogate() if 2 * len(self.results) >= self.first else None
        if surrogate is None or not surrogate.taus:
            return None
        worst = int(np.argmin(surrogate.taus))
        modelled = [number for number in range(self.objectives) if number not in self.exact]
        told = {
            "name": "gaussian-process",
            "kendall_tau": min(surrogate.taus),
            "kendall_tau_by_objective": surrogate.taus,
            "say": _say(surrogate.taus, surrogate.trials),
            "target": f"objective {modelled[worst]}",
            "fitted_on": surrogate.rows,
            "method": "pairs of trials left out",
        }
        if self.transfer:
            columns = {column for learned in surrogate.objectives for column in learned.heard}
            told["heard"] = [self._pool.features.columns[column] for column in sorted(columns)]
        return told

    @cached_property
    def _sample(self) -> list[Known]:
        """The fixed random candidates."""
        return self._pool.know(self._sampled)

    @cached_property
    def _sampled(self) -> list[Genotype]:
        rng = random.Random(f"{self.name} sample {self.seed}")
        return [self.space.sample(rng) for _ in range(SAMPLE)]

    @cached_property
    def _first(self) -> FirstCandidates:
        return FirstCandidates(
            self._pool, self._sample, self.objectives, self._foretelling, self.drawn
        )

    @cached_property
    def _pool(self) -> Pool:
        seen = [self.space.build(genotype) for genotype in dict.fromkeys(self._sampled)]
        features = Features(seen, encode=self.space.encode, extra=self.extra)
        described: Features | InformedFeatures = features
        if self.transfer:
            described = InformedFeatures(features, self.space, seen, self.transfer)
        return Pool(self.space, described, self.cheap, self.exact, self.seed)

    def _surrogate(self) -> Surrogate | None:
        reports = sum(len(trial) for trial in self.trials)
        if self._learned[0] != reports:
            valued = any(seen.values is not None for trial in self.trials for seen in trial)
            made = None
            if valued and self._pool.features.columns:
                made = Surrogate(
                    self.trials,
                    self._pool.rows,
                    self._pool.features.groups,
                    self.objectives,
                    list(self.exact),
                    self._foretelling,
                    self._trends,
                    self._sample,
                )
            self._learned = (reports, made)
        return self._learned[1]

    @property
    def _trends(self) -> list[int]:
        """The features along which models have a trend."""
        columns = self._pool.features.columns
        return [number for number, name in enumerate(columns) if name == LOG_MACS]

    @property
    def _foretelling(self) -> Mapping[int, Sequence[int]]:
        """By the number of an objective, the features that foretell it by earlier searches."""
        features = self._pool.features if self.transfer else None
        return features.linear if isinstance(features, InformedFeatures) else {}

    @property
    def _heard(self) -> bool:
        """Whether earlier searches have foretold half of the first results, beyond chance."""
        if 2 * len(self.results) < self.first or not self._foretelling:
            return False
        rows = self._pool.rows([seen.candidate for seen in self.results])
        values = np.array([seen.values for seen in self.results])
        return all(
            any(in_order(rows[:, column], values[:, number]) for column in columns)
            for number, columns in self._foretelling.items()
        )

    def _decide(self, turn: Turn, surrogate: Surrogate) -> None:
        results = best_first(self._foreseen(surrogate))
        parents = results[: max(10, front_size(results))]
        if not parents:
            return
        modelled = sum(
            turn.rng.random() < _say(surrogate.taus, surrogate.trials) for _ in range(turn.room)
        )
        if modelled:
            known = self._candidates(turn, surrogate, parents)
            guess = self._expecting(turn, surrogate, known)
            self._choose(turn, surrogate, known, guess, modelled)
        for _ in range(TRIES * turn.room):
            if turn.full:
                return
            if turn.rng.random() < 0.3:
                turn.offer(self.space.sample(turn.rng), step="random")
            else:
                parent = turn.rng.choice(parents)
                child = self.space.mutate(parent.candidate.genotype, turn.rng)
                turn.offer(child, step="variation of the best", parents=[parent.number])

    def _foreseen(self, surrogate: Surrogate) -> list[Observation]:
        """What is known of each trial; of those that have not gone to the last rung, what is predicted."""
        last = [trial[-1] for trial in self.trials if trial[-1].values is not None]
        if len({seen.fidelity for seen in last}) < 2:
            return last
        top = max(seen.fidelity for seen in last)
        early = [seen for seen in last if seen.fidelity < top]
        known = {
            one.genotype: one for one in self._pool.know(seen.candidate.genotype for seen in early)
        }
        mean = surrogate.guess([known[seen.candidate.genotype] for seen in early]).mean
        return [seen for seen in last if seen.fidelity == top] + [
            replace(seen, values=tuple(surrogate.values(row)))
            for seen, row in zip(early, mean, strict=True)
        ]

    def _candidates(
        self, turn: Turn, surrogate: Surrogate, parents: Sequence[Observation]
    ) -> list[Known]:
        """The pool of this turn: random, varied, and twice refined around the most promising.

        Building a candidate costs most. So many genotypes are made, a model of the decisions alone
        says which of them are worth it, and only these are built and described as graphs.
        """
        genotypes = [parent.candidate.genotype for parent in parents]
        told = {trial[-1].candidate.genotype for trial in self.trials}
        told |= {candidate.genotype for candidate in turn.pending}
        screen = self._screen()
        children = crossed(self.space, genotypes, self.varied // 8, turn.rng)
        share = -(-self.varied // len(parents))
        for parent in parents:  # what has been among the best for longer is varied further
            age = (len(self._told) - parent.number) // 4
            children += self._pool.around(parent.candidate.genotype, share + min(age, 2 * share))
        drawn = self._pool.drawn(min(self.drawn + FRESH * len(self._told), DRAWN))
        count = self.built * max(turn.room, LEAST)
        known: dict[Genotype, Known] = {}
        for made in (drawn, children):
            promising = self._screened(screen, made, told, count)
            known |= {one.genotype: one for one in self._pool.know(promising)}
        for _ in range(2 if self.refined else 0):
            listed = allowed(known.values(), told)
            if not listed:
                break
            gain = surrogate.guess(listed).gain()
            mutants: list[Genotype] = []
            for row in np.argsort(-gain, kind="stable")[:REFINED]:
                mutants += self._pool.around(listed[row].genotype, -(-self.refined // REFINED))
            promising = self._screened(screen, mutants, {*told, *known}, count)
            known |= {one.genotype: one for one in self._pool.know(promising)}
        return allowed(known.values(), told)

    def _screen(self) -> Surrogate:
        """A model of the decisions alone."""
        width = len(self.space.encode(self.space.default()))
        features = self._pool.features
        told = features.coded if isinstance(features, InformedFeatures) else []
        codes = self._pool.codes([one.genotype for one in self._sample]).astype(float)
        sample = [replace(one, row=row) for one, row in zip(self._sample, codes, strict=True)]
        return Surrogate(
            self.trials,
            self._codes,
            [0] * width + [1 + number for number in told],
            self.objectives,
            [],
            places(told, width),
            sample=sample,
        )

    def _codes(self, candidates: Sequence[Candidate]) -> Floats:
        codes = self._pool.codes([candidate.genotype for candidate in candidates])
        return np.asarray(codes, dtype=float)

    def _screened(
        self,
        screen: Surrogate,
        genotypes: Iterable[Genotype],
        other_than: Collection[Genotype],
        count: int,
    ) -> list[Genotype]:
        """The most promising of some genotypes by their decisions alone."""
        made = [one for one in dict.fromkeys(genotypes) if one not in other_than]
        if len(made) <= count:
            return made
        codes = self._pool.codes(made).astype(float)
        known = [Known(one, row, {}, 0.0) for one, row in zip(made, codes, strict=True)]
        gain = screen.guess(known).gain()
        return [made[row] for row in np.argsort(-gain, kind="stable")[:count]]

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
        gain = guess.gain()
        while count and left.any():
            row = int(np.argmax(np.where(left, gain[: len(known)], -np.inf)))
            left[row] = False
            accepted = turn.offer(
                known[row].genotype,
                step="acquisition",
                predicted=surrogate.values(guess.mean[row]),
                acquisition=float(gain[row]),
            )
            if accepted:  # another genotype of a digest that is taken is passed over
                count -= 1
                guess.believe(row)
                gain = guess.gain()


def _say(taus: Sequence[float], trials: int) -> float:
    """Share of the candidates that the models decide, in [0, :data:`MOST`].

    On few trials chance takes from tau as easily as it adds, above all where results are noisy: models are
    judged by the best that can be believed of them, one deviation above what was measured.

    Args:
        taus: Kendall's tau of each model for pairs of trials left out; none, if all objectives are computed.
        trials: Trials that they learned from.
    """
    if not taus:
        return 1.0
    tau = min(taus) + chance(trials)
    return float(np.clip((tau - NO_SAY) / (FULL_SAY - NO_SAY), 0.0, MOST))
