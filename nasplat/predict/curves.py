"""Where a learning curve will end, told from its beginning and from curves that went to the end.

Finished curves are cut where the asked ones stop, so what is learned is what the same few epochs meant
before. Curves are described by their last and best values, by values at geometric steps, and by how fast
and how steadily they fall; each number goes through ranks, and a Gaussian process does the rest, with a
straight line on the last value seen: where few curves have ended, that is the guess to begin with.
Knows curves and numbers, nothing of trials.

References:
    [Baker2017] B. Baker et al. Accelerating neural architecture search using performance prediction.
        2017. (Regression on the beginnings of curves, trained on finished ones.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasplat.errors import UsageError
from nasplat.predict.base import Floats
from nasplat.predict.gaussian_process import GaussianProcess
from nasplat.predict.targets import RankNormal

STEPS = 6
"""Values of a curve that are looked at, at geometric steps from the first to the last."""
AHEAD = 5.0
"""How many times as far the straight line over logarithmic time is drawn out."""
FARTHEST = 5.0
"""Normal scores beyond which a described curve is taken for one at this distance."""


class CurveEnds:
    """Predicts the last values of curves.

    Args:
        finished: Whole curves, ``(n, T)``, at least 2, finite; further series of the same trials, such as
            training losses, side by side as ``(n, T, series)``, the one to predict first.
        extra: Further numbers of each trial, such as features of its architecture, ``(n, d)``.

    Raises:
        UsageError: Curves are not finite, fewer than 2, or of the wrong shape.
    """

    def __init__(self, finished: ArrayLike, extra: ArrayLike | None = None) -> None:
        self._curves = _series(finished)
        if len(self._curves) < 2:
            raise UsageError(
                f"the end of curves is learned from at least 2 finished ones, got {len(self._curves)}"
            )
        self._extra = _beside(extra, len(self._curves))
        self._ends = self._curves[:, -1, 0]
        self._scores = RankNormal(self._ends)
        self._models: dict[int, tuple[list[RankNormal], GaussianProcess]] = {}

    def predict(self, begun: ArrayLike, extra: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Predict where curves end that have all come equally far.

        Args:
            begun: First ``t`` values of each, ``(m, t)`` or ``(m, t, series)``, ``1 <= t <= T``.
            extra: As for the finished ones.

        Returns:
            Last values, ``(m,)``, and the half-width of the interval that holds two thirds of them.

        Raises:
            UsageError: Curves are longer than the finished ones or have other series.
        """
        curves = _series(begun)
        length = curves.shape[1]
        if not 1 <= length <= self._curves.shape[1] or curves.shape[2] != self._curves.shape[2]:
            raise UsageError(
                f"the finished curves have {self._curves.shape[1]} values of "
                f"{self._curves.shape[2]} series, asked with {length} of {curves.shape[2]}"
            )
        maps, model = self._model(length)
        beside = _beside(extra, len(curves))
        if beside.shape[1] != self._extra.shape[1]:
            raise UsageError(
                f"the finished curves have {self._extra.shape[1]} further numbers, "
                f"asked with {beside.shape[1]}"
            )
        mean, std = model.predict(_ranked(maps, np.hstack([described(curves), beside])))
        width = np.hypot(std, model.noise)
        ends = self._scores.backward
        return ends(mean), np.abs(ends(mean + width) - ends(mean - width)) / 2

    def _model(self, length: int) -> tuple[list[RankNormal], GaussianProcess]:
        """What the first ``length`` values told about the end of the finished curves."""
        if length not in self._models:
            rows = np.hstack([described(self._curves[:, :length]), self._extra])
            maps = [RankNormal(column) for column in rows.T]
            groups = [0] * (rows.shape[1] - self._extra.shape[1]) + [1] * self._extra.shape[1]
            model = GaussianProcess(groups, linear=[len(_steps(length)) - 1])
            model.fit(_ranked(maps, rows), self._scores.forward(self._ends))
            self._models[length] = maps, model
        return self._models[length]


def described(curves: Floats) -> Floats:
    """Numbers that describe curves of one length, ``(n, t, series)`` to ``(n, d)``."""
    parts: list[Floats] = []
    for series in range(curves.shape[2]):
        curve = curves[:, :, series]
        length = curve.shape[1]
        at = _steps(length)
        late = curve[:, length // 2 :]
        time = np.log(np.arange(length // 2, length) + 1.0)
        time = time - time.mean()
        slope = late @ time / max(float(time @ time), 1e-12)
        best = np.minimum.accumulate(curve, axis=1)
        steps = np.abs(np.diff(late, axis=1))
        parts += [
            *curve[:, at].T,
            best[:, -1],
            curve[:, -3:].mean(1),
            late.mean(1) + slope * np.log(AHEAD),
            slope,
            steps.mean(1) if steps.shape[1] else np.zeros(len(curve)),
            (curve - best).mean(1),
            curve[:, at[len(at) // 2]] - curve[:, -1],
        ]
    return np.stack(parts, axis=1)


def _steps(length: int) -> NDArray[np.int64]:
    """Places of values that are looked at, from the first to the last."""
    return np.unique(np.round(np.geomspace(1, length, STEPS)).astype(int)) - 1


def _ranked(maps: Sequence[RankNormal], rows: Floats) -> Floats:
    columns = [scores.forward(column) for scores, column in zip(maps, rows.T, strict=True)]
    return np.clip(np.stack(columns, axis=1), -FARTHEST, FARTHEST)


def _series(curves: ArrayLike) -> Floats:
    table = np.asarray(curves, dtype=float)
    if table.ndim == 2:
        table = table[:, :, None]
    if table.ndim != 3 or 0 in table.shape or not np.isfinite(table).all():
        raise UsageError(
            "curves are finite numbers of shape (n, t) or (n, t, series), "
            f"got shape {np.shape(curves)} with {int((~np.isfinite(table)).sum())} that are not finite",
            hint="leave out curves that diverged",
        )
    return table


def _beside(extra: ArrayLike | None, count: int) -> Floats:
    if extra is None:
        return np.zeros((count, 0))
    return np.asarray(extra, dtype=float).reshape(count, -1)
