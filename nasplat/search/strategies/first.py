"""The first candidates of a search, before anything is modelled: cheap ones, every second one spread.

What computes most takes several times the time of others, which is missing later where time is the
budget [Lee2020]. Earlier searches choose one of the spread candidates [Mills2023].

References:
    [Lee2020] E. H. Lee, V. Perrone, C. Archambeau, M. Seeger. Cost-aware Bayesian optimization.
        arXiv:2003.10870, 2020.
    [Mills2023] as in nasplat/predict/transfer.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasplat.predict.targets import RankNormal
from nasplat.search.strategies.base import Turn
from nasplat.search.strategies.pool import Known, Pool, allowed

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate

Floats = NDArray[np.float64]

TRIED = 50
"""Random genotypes that are looked at for one that is not dear."""


class FirstCandidates:
    """Chooses among candidates that compute no more than three quarters of a sample do.

    Args:
        pool: Draws, builds and describes.
        sample: Random candidates of the space, at least one.
        objectives: Number of objectives.
        foretelling: By the number of an objective, the features that foretell it by earlier searches.
        drawn: Random genotypes of which the one that earlier searches promise most of is chosen.
    """

    def __init__(
        self,
        pool: Pool,
        sample: Sequence[Known],
        objectives: int,
        foretelling: Mapping[int, Sequence[int]],
        drawn: int,
    ) -> None:
        self._pool = pool
        self._objectives = objectives
        self._foretelling = foretelling
        self._drawn = drawn
        macs = [pool.space.build(one.genotype).cost.macs for one in sample]
        self._dear = sorted(macs)[(3 * len(macs) - 1) // 4]
        # What is dear is mostly also the farthest from all others.
        self._cheap = [one for one, cost in zip(sample, macs, strict=True) if cost <= self._dear]

    def offer(self, turn: Turn, others: Sequence[Candidate]) -> bool:
        """Offer one: at odd places of the search the one farthest from all others, else a random one.

        The first of the odd places is that of the one which earlier searches promise most of.

        Args:
            turn: Takes what is offered.
            others: What was told or is pending, in order.

        Returns:
            Whether one was found.
        """
        taken = [*others, *(one.candidate for one in turn.proposals)]
        place = len(taken)
        if place == 1 and self._offer_foretold(turn):
            return True
        if place % 2:
            left = allowed(self._cheap, turn.tried)
            if left:
                chosen = farthest(np.array([one.row for one in left]), self._pool.rows(taken))
                if turn.offer(left[chosen].genotype, step="first, spread"):
                    return True
        before = len(turn.proposals)
        for _ in range(TRIED):
            genotype = self._pool.space.sample(turn.rng)
            cheap = self._pool.space.build(genotype).cost.macs <= self._dear
            if cheap and turn.offer(genotype, step="first, random"):
                break
        return len(turn.proposals) > before

    def _offer_foretold(self, turn: Turn) -> bool:
        """Offer the random candidate of which earlier searches promise most.

        Of several objectives, those that are computed count as well, all with random weights.
        """
        if not self._foretelling:
            return False
        known = allowed(self._pool.know(self._pool.drawn(self._drawn)), ())
        if not known:
            return False
        promise = np.zeros(len(known))
        for number in range(self._objectives):
            weight = turn.rng.random()
            if number in known[0].exact:
                values = [one.exact[number] for one in known]
                promise -= weight * RankNormal(values).forward(values)
            elif number in self._foretelling:
                columns = self._foretelling[number]
                promise -= weight * np.array([one.row[columns].mean() for one in known])
        return any(
            turn.offer(known[row].genotype, step="first, by earlier searches")
            for row in np.argsort(-promise, kind="stable")
        )


def farthest(rows: Floats, taken: Floats) -> int:
    """The row farthest from everything taken: the largest distance to its nearest one.

    Args:
        rows: Candidates, ``(n, d)``, ``n >= 1``.
        taken: What was chosen before, ``(k, d)``, ``k >= 1``.
    """
    squared = (rows**2).sum(1)[:, None] + (taken**2).sum(1) - 2 * rows @ taken.T
    return int(np.argmax(squared.min(1)))
