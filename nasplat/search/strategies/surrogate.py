"""What ``guided`` learns: a Gaussian process for each objective, for feasibility and for the time it takes.

Targets go through rank → normal. Every report of a trial is a row, with its fidelity as a feature of its
own group: the models learn from rungs what more training brings, and are asked at the highest fidelity
met. Objectives that follow from the candidate alone are computed, not learned. How well each model orders
trials that are left out says how far to trust it.

What computes more is mostly better, beyond what was met as well [White2022]: models can have a linear trend
along such features, as steep as the results are. Without it all that is larger than the first candidates is
expected to be just as good as they are. It goes on somewhat beyond the largest that was met: what is larger
still is expected to be as good as that, so that sizes double or triple at a time and not a hundredfold.

References:
    [Picheny2013] V. Picheny, T. Wagner, D. Ginsbourger. A benchmark of kriging-based infill criteria for
        noisy optimization. Structural and Multidisciplinary Optimization 48, 2013.
    [White2022] C. White, M. Khodak, R. Tu, S. Shah, S. Bubeck, D. Dey. A deeper look at zero-cost proxies
        for lightweight NAS. ICLR blog track, 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nasplat import pareto
from nasplat.predict.fidelities import aligned
from nasplat.predict.gaussian_process import GaussianProcess, Posterior
from nasplat.predict.quality import in_order, pairs_tau
from nasplat.predict.targets import RankNormal
from nasplat.search.strategies.base import Observation
from nasplat.search.strategies.guess import Guess
from nasplat.search.strategies.pool import Known

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate

Floats = NDArray[np.float64]

Describe = Callable[[Sequence["Candidate"]], Floats]
ROWS = 600
"""Rows that a model is conditioned on at most; reports of rungs are left out first."""
STEP = math.log(2.0)
"""How far a trend goes on beyond what was met, in standard deviations of its feature over a space.

Where the logarithms of sizes deviate by 1, sizes double; in a space with more of a spread they more than do.
"""
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Learned:
    """One objective.

    Attributes:
        scores: Map from its values to normal scores.
        model: What predicts scores; ``None`` when the objective is computed exactly.
        tau: Kendall's tau of predictions for pairs of trials left out, at each trial's last report.
        heard: Features that foretell it rightly so far.
        muted: Features that it does not see: those that foretell another objective, or this one wrongly.
    """

    scores: RankNormal
    model: GaussianProcess | None
    tau: float | None
    heard: Sequence[int] = ()
    muted: Sequence[int] = ()


class Surrogate:
    """Models of a search so far.

    Args:
        trials: Reports of each trial, in order; at least one trial has values.
        rows: Describes candidates, ``(n, d)``.
        groups: Group of each of the ``d`` features.
        objectives: Number of objectives.
        exact: Numbers of the objectives that are computed.
        foretelling: Features that foretell an objective, by its number.
        trends: Features along which every objective has a trend, logarithms of sizes.
        sample: Random candidates: what any of them is expected to reach is worth improving on.
    """

    def __init__(
        self,
        trials: Sequence[Sequence[Observation]],
        rows: Describe,
        groups: Sequence[int],
        objectives: int,
        exact: Sequence[int],
        foretelling: Mapping[int, Sequence[int]] | None = None,
        trends: Sequence[int] = (),
        sample: Sequence[Known] = (),
    ) -> None:
        self._describe = rows
        self._foretelling = foretelling or {}
        self._trends = list(trends)
        self._objectives = objectives
        valued = [[seen for seen in trial if seen.values is not None] for trial in trials]
        last = [trial[-1] for trial in valued if trial]
        reports = [(number, seen) for number, trial in enumerate(valued) for seen in trial]
        ends = np.cumsum([len(trial) for trial in valued if trial]) - 1
        trial = np.array([number for number, _ in reports])
        fidelities = np.log2([max(seen.fidelity, 1) for _, seen in reports])
        table = np.array([seen.values for _, seen in reports], dtype=float)
        table, slopes = aligned(table, fidelities, trial)
        reached = table[ends]
        kept = np.arange(len(reports))
        if len(reports) > ROWS:
            violations = np.array([seen.violation for seen in last])
            kept = ends[most_telling(table[ends], violations, ROWS)]
            early = np.setdiff1d(np.arange(len(reports)), ends)
            if len(kept) < ROWS:
                kept = np.union1d(kept, early[len(kept) - ROWS :])
        self._trial = trial[kept]
        self._is_end = np.isin(kept, ends)
        fidelities = fidelities[kept]
        nothing = (0.0,) * objectives
        errors = np.array([reports[row][1].errors or nothing for row in kept]) * slopes[kept]
        self._several = bool(np.ptp(fidelities) > 0)
        self._top = float(fidelities.max())
        X = rows([reports[row][1].candidate for row in kept])
        self._farthest = X[:, self._trends].max(0) + STEP
        self._groups = [*groups]
        if self._several:
            X = np.hstack([X, fidelities[:, None]])
            self._groups.append(max(self._groups, default=-1) + 1)
        table = table[kept]
        self.objectives = [
            self._learn(
                X,
                table[:, column],
                errors[:, column],
                exactly=column in exact,
                foretelling=self._foretelling.get(column, ()),
            )
            for column in range(objectives)
        ]
        self._values = self._believed(reached, last)
        self._feasible = np.array([seen.violation <= 0 for seen in last])
        self._reference = self._beyond([one for one in sample if one.violation <= 0])
        self._feasibility = self._learn_feasibility(trials)
        self._seconds = self._learn_seconds(X, [reports[row][1].seconds for row in kept])

    @property
    def taus(self) -> list[float]:
        """Left-out rank correlation of each objective that is modelled."""
        return [learned.tau for learned in self.objectives if learned.tau is not None]

    @property
    def trials(self) -> int:
        """Number of trials that the models learned from."""
        return int(self._is_end.sum())

    @property
    def rows(self) -> int:
        """Number of reports that the models learned from."""
        return len(self._trial)

    def guess(self, known: Sequence[Known]) -> Guess:
        """Predict candidates at the highest fidelity met."""
        X = self._at_top(np.array([one.row for one in known]))
        mean, posteriors = self._expected(X, known)
        feasible = np.ones(len(known))
        if self._feasibility is not None:
            centre, deviation = self._feasibility.predict(X)
            noise = self._feasibility.noise
            feasible = ndtr((0.5 - centre) / np.sqrt(deviation**2 + noise**2 + 1e-6))
        scales = [learned.scores for learned in self.objectives]
        front = self._values[self._feasible]
        seconds = np.ones(len(known))
        if self._seconds is not None:
            seconds = np.exp(self._seconds.predict(X)[0])
        return Guess(mean, posteriors, feasible, front, scales, self._reference, seconds)

    def values(self, scores: Floats) -> list[float]:
        """Normal scores of one candidate, ``(m,)``, back as objective values."""
        pairs = zip(self.objectives, scores, strict=True)
        return [float(learned.scores.backward(score)) for learned, score in pairs]

    def _at_top(self, X: Floats) -> Floats:
        """Rows of features as the models take them, at the highest fidelity met."""
        return np.hstack([X, np.full((len(X), 1), self._top)]) if self._several else X

    def _expected(self, X: Floats, known: Sequence[Known]) -> tuple[Floats, list[Posterior | None]]:
        """Normal scores of candidates that ``X`` describes, ``(n, m)``, and how sure they are."""
        X = X.copy()
        X[:, self._trends] = np.minimum(X[:, self._trends], self._farthest)
        mean = np.zeros((len(known), self._objectives))
        posteriors: list[Posterior | None] = []
        for column, learned in enumerate(self.objectives):
            if learned.model is None:
                mean[:, column] = learned.scores.forward([one.exact[column] for one in known])
                posteriors.append(None)
            else:
                posterior = learned.model.posterior(muted(X, learned.muted))
                mean[:, column] = posterior.mean
                posteriors.append(posterior)
        return mean, posteriors

    def _beyond(self, sample: Sequence[Known]) -> Floats:
        """The reference point, ``(m,)``: worse than what was met or is to be met by a tenth of the span.

        What was met alone would not do: the first candidates cost little, and whatever costs more than
        all of them would gain nothing.
        """
        best = np.array([learned.scores.values[0] for learned in self.objectives])
        worst = np.array([learned.scores.values[-1] for learned in self.objectives])
        if len(sample) and self._objectives > 1:
            mean, _ = self._expected(self._at_top(np.array([one.row for one in sample])), sample)
            for column, learned in enumerate(self.objectives):
                worst[column] = max(worst[column], *learned.scores.backward(mean[:, column]))
        return np.asarray(worst + 0.1 * (worst - best))

    def _believed(self, reached: Floats, last: Sequence[Observation]) -> Floats:
        """Results as far as the models believe them: the worse of what was met and what is expected.

        A result owed to luck would otherwise be what is to be beaten, and its neighbours, which are as good
        but less lucky, would seem to gain nothing [Picheny2013].
        """
        believed = reached.copy()
        if all(learned.model is None for learned in self.objectives):
            return believed
        X = self._at_top(self._describe([seen.candidate for seen in last]))
        for column, learned in enumerate(self.objectives):
            if learned.model is not None:
                mean, _ = learned.model.predict(muted(X, learned.muted))
                believed[:, column] = np.maximum(believed[:, column], learned.scores.backward(mean))
        return believed

    def _learn(
        self, X: Floats, y: Floats, errors: Floats, *, exactly: bool, foretelling: Sequence[int]
    ) -> Learned:
        scores = RankNormal(y)
        if exactly:
            return Learned(scores, None, None)
        target = scores.forward(y)
        ends = self._is_end
        heard = [column for column in foretelling if in_order(X[ends, column], target[ends])]
        told = {column for columns in self._foretelling.values() for column in columns}
        silent = sorted(told.difference(heard))
        model = GaussianProcess(self._groups, linear=[*heard, *self._trends], trend=0.0)
        model.fit(muted(X, silent), target, scores.errors(y, errors))
        pairs, predicted = model.leave_pairs_out(self._trial)
        return Learned(scores, model, pairs_tau(predicted, target[pairs]), heard, silent)

    def _learn_feasibility(self, trials: Sequence[Sequence[Observation]]) -> GaussianProcess | None:
        """A model of 0 for feasible trials, (1, 2] by rank for others, 2 for failed ones."""
        last = [trial[-1] for trial in trials if trial[-1].final or trial[-1].violation > 0]
        broken = np.array(
            [np.inf if seen.values is None else max(seen.violation, 0.0) for seen in last]
        )
        if len(last) > ROWS:
            known = [seen.values or (0.0,) * self._objectives for seen in last]
            kept = most_telling(np.array(known, dtype=float), broken, ROWS)
            last, broken = [last[row] for row in kept], broken[kept]
        if not (broken > 0).any() or len(last) < 2:
            return None
        levels = np.unique(broken[broken > 0])
        target = np.where(broken > 0, 1 + (np.searchsorted(levels, broken) + 1) / len(levels), 0.0)
        X = self._at_top(self._describe([seen.candidate for seen in last]))
        model = GaussianProcess(self._groups, trend=0.0)
        model.fit(X, target)
        return model

    def _learn_seconds(self, X: Floats, seconds: Sequence[float]) -> GaussianProcess | None:
        """A model of the logarithm of device time, of the trials that took some; ``None``: all are alike."""
        taken = np.array(seconds)
        timed = taken > 0
        if len(np.unique(taken[timed])) < 2:
            return None
        model = GaussianProcess(self._groups, linear=self._trends, trend=0.0)
        model.fit(X[timed], np.log(taken[timed]))
        return model


def most_telling(values: Floats, violations: Floats, count: int) -> NDArray[np.int64]:
    """Trials to learn from where there are more than a model takes.

    The better half is the best there are, by constraint domination and crowding: there the models have to
    tell good from best. The others are evenly spread over the rest of the search, always the same ones
    as it goes on: they tell where not to look.

    Args:
        values: Objectives of each trial in order, minimised, ``(n, m)``.
        violations: By how much each breaks constraints, ``(n,)``.
        count: How many.

    Returns:
        Their numbers, ascending, ``(min(n, count),)``.
    """
    order = pareto.order(values, violations)
    best, rest = order[: count - count // 2], np.sort(order[count - count // 2 :])
    spread = rest[np.argsort(rest * _GOLDEN % 1.0, kind="stable")[: count // 2]]
    return np.union1d(best, spread)


def muted(X: Floats, columns: Sequence[int]) -> Floats:
    """Rows in which some columns say nothing."""
    if not columns:
        return X
    made = X.copy()
    made[:, columns] = 0.0
    return made
