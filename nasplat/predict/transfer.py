"""What an earlier search learned, asked about candidates of another task or another space [Mills2023].

A Gaussian process learns the results of the earlier search from what its candidates and those of the new
space have in common: families of ops, paths, costs. Where the new space holds every earlier candidate, the
decisions are common too and both are described on one scale; otherwise each column is relative to the
candidates of its own space, for the sizes of one space say nothing absolute about another. What is foretold
of a candidate is one more feature of it, never its result.

References:
    [Mills2023] K. G. Mills, D. Niu, M. Salameh, et al. AIO-P: Expanding neural performance predictors beyond
        image classification. AAAI 2023. (Predictors that are pre-fitted on other tasks and spaces by way of
        one form of graphs and of standardised results.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplat.predict.features import Features
from nasplat.predict.gaussian_process import GaussianProcess
from nasplat.predict.quality import beyond_chance, pairs_tau
from nasplat.predict.rows import evenly
from nasplat.predict.targets import RankNormal

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate

Floats = NDArray[np.float64]

LEAST = 8
"""Results of an earlier search from which something can be learned."""
SAMPLE = 64
"""Candidates of the earlier search that settle what is described."""
FAR = 3.0
"""Deviations from the mean of its own space beyond which a candidate counts as no farther."""


@dataclass(frozen=True, eq=False)
class Earlier:
    """Results of an earlier search, as they inform a new one.

    Attributes:
        name: What the search is called.
        candidates: What was evaluated.
        values: Results, to be minimised, ``(n,)``, by the number of the new search's objective that they
            inform; NaN where there is none.
    """

    name: str
    candidates: Sequence[Candidate]
    values: Mapping[int, Floats]


class Transfer:
    """Foretells candidates of a space by one earlier search.

    Args:
        earlier: The earlier search, at least one candidate.
        space: The new space.
        sample: Random candidates of the new space, at least 2.
    """

    def __init__(self, earlier: Earlier, space: Any, sample: Sequence[Candidate]) -> None:
        held = not any(space.validate(one.genotype) for one in earlier.candidates)
        numbers = np.arange(len(earlier.candidates), dtype=float)
        shown = [earlier.candidates[row] for row in evenly(numbers, SAMPLE)]
        self._features = Features([*shown, *sample], encode=space.encode if held else None)
        known, asked = self._features(earlier.candidates), self._features(sample)
        both = np.vstack([known, asked])
        old, self._scale = _Scale(both if held else known), _Scale(both if held else asked)
        self._kept = np.flatnonzero(old.varies & self._scale.varies)
        groups = [self._features.groups[column] for column in self._kept]
        self._models = _Models(
            old(known)[:, self._kept], groups, earlier.values, self._scale(asked)[:, self._kept]
        )
        self._coded = None
        if held:
            codes, asked = _codes(space, earlier.candidates), _codes(space, sample)
            self._coded = _Models(codes, [0] * codes.shape[1], earlier.values, asked)

    @property
    def informs(self) -> list[int]:
        """Number of the objective that each column foretells; empty where there is nothing to say."""
        return self._models.informs

    @property
    def coded(self) -> list[int]:
        """The same for :meth:`by_decisions`; empty where the spaces are not one."""
        return [] if self._coded is None else self._coded.informs

    def __call__(self, candidates: Sequence[Candidate]) -> Floats:
        """What is foretold, ``(n, len(informs))``, each column of mean 0 and deviation 1 over the sample."""
        if not candidates or not self.informs:
            return np.zeros((len(candidates), len(self.informs)))
        return self._models(self._scale(self._features(candidates))[:, self._kept])

    def by_decisions(self, codes: Floats) -> Floats:
        """The same from encodings alone, ``(n, len(coded))``: cruder, but nothing has to be built."""
        if self._coded is None or not self.coded or not len(codes):
            return np.zeros((len(codes), len(self.coded)))
        return self._coded(codes)


class InformedFeatures:
    """Features of a space, and as further columns what earlier searches foretell.

    Args:
        features: Features of the space.
        space: The space.
        sample: Random candidates of it, at least 2.
        earlier: Earlier searches.

    Attributes:
        columns: As of :class:`Features`.
        groups: As of :class:`Features`; what is foretold of one objective is one group.
        linear: By the number of an objective, the columns that foretell it.
    """

    def __init__(
        self,
        features: Features,
        space: Any,
        sample: Sequence[Candidate],
        earlier: Sequence[Earlier],
    ) -> None:
        self._features = features
        self._transfers = [Transfer(one, space, sample) for one in earlier]
        told = [objective for transfer in self._transfers for objective in transfer.informs]
        names = [
            one.name for one, its in zip(earlier, self._transfers, strict=True) for _ in its.informs
        ]
        extra = [f"earlier:{name} {number}" for name, number in zip(names, told, strict=True)]
        self.columns = (*features.columns, *extra)
        self.linear = places(told, len(features.columns))
        start = 1 + max(features.groups, default=-1)
        self.groups = [*features.groups, *(start + number for number in told)]

    def __call__(self, candidates: Sequence[Candidate]) -> Floats:
        """Rows of features, ``(n, d)``; a column has mean 0 and deviation 1 over the sample."""
        told = [transfer(candidates) for transfer in self._transfers]
        return np.hstack([self._features(candidates), *told])

    def by_decisions(self, codes: Floats) -> Floats:
        """Encodings, ``(n, e)``, and as further columns what earlier searches of the same space foretell."""
        return np.hstack([codes, *(one.by_decisions(codes) for one in self._transfers)])

    @property
    def coded(self) -> list[int]:
        """Number of the objective that each further column of :meth:`by_decisions` foretells."""
        return [objective for transfer in self._transfers for objective in transfer.coded]


class _Models:
    """One model for each objective that rows of an earlier search can foretell.

    Args:
        X: What is known of its candidates, ``(n, d)``.
        groups: Group of each column.
        values: Results by objective, ``(n,)`` each.
        asked: Rows of the new space on whose spread predictions are scaled.
    """

    def __init__(
        self, X: Floats, groups: Sequence[int], values: Mapping[int, Floats], asked: Floats
    ) -> None:
        self.informs: list[int] = []
        self._models: list[tuple[GaussianProcess, float, float]] = []
        numbered = np.unique(groups, return_inverse=True)[1].tolist()
        for objective in sorted(values) if groups else ():
            model = _learned(X, values[objective], numbered)
            foretold = np.zeros(1) if model is None else model.predict(asked)[0]
            if model is not None and np.ptp(foretold) > 0:
                self.informs.append(objective)
                self._models.append((model, float(foretold.mean()), float(foretold.std())))

    def __call__(self, rows: Floats) -> Floats:
        """What is foretold, ``(n, len(informs))``."""
        columns = [
            (model.predict(rows)[0] - mean) / deviation for model, mean, deviation in self._models
        ]
        return np.stack(columns, axis=1)


class _Scale:
    """Brings columns to mean 0 and deviation 1 over some rows; those that do not vary there to 0."""

    def __init__(self, rows: Floats) -> None:
        self._mean, deviation = rows.mean(0), rows.std(0)
        self.varies = deviation > 1e-9
        self._factor = np.where(self.varies, 1.0 / np.where(self.varies, deviation, 1.0), 0.0)

    def __call__(self, rows: Floats) -> Floats:
        return np.asarray(np.clip((rows - self._mean) * self._factor, -FAR, FAR))


def _learned(X: Floats, values: Floats, groups: Sequence[int]) -> GaussianProcess | None:
    """A model of the normal scores of results; ``None`` where these are few, equal, or not foretold."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < LEAST or np.ptp(values[known]) == 0:
        return None
    target = RankNormal(values[known]).forward(values[known])
    model = GaussianProcess(groups)
    model.fit(X[known], target)
    pairs, predicted = model.leave_pairs_out()
    tau = pairs_tau(predicted, target[pairs])
    return model if beyond_chance(tau, len(target)) else None


def _codes(space: Any, candidates: Sequence[Candidate]) -> Floats:
    return np.array([space.encode(one.genotype) for one in candidates], dtype=float)


def places(told: Sequence[int], start: int) -> dict[int, list[int]]:
    """By objective the columns that foretell it, counted from ``start``."""
    found: dict[int, list[int]] = {}
    for column, objective in enumerate(told, start=start):
        found.setdefault(objective, []).append(column)
    return found
