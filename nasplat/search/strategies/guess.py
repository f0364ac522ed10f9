"""What is predicted of a list of candidates, and what each of them would add to the front.

References:
    [Snoek2012] J. Snoek, H. Larochelle, R. P. Adams. Practical Bayesian optimization of machine learning
        algorithms. NeurIPS 2012. (Expected improvement per second.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nasplat.predict.gaussian_process import Posterior
from nasplat.predict.targets import RankNormal
from nasplat.search.strategies.acquisition import OpenBoxes

Floats = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(16)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class Guess:
    """Predictions for a list of candidates, which believe what is taken for known.

    Attributes:
        mean: Predicted normal scores, ``(n, m)``.
        feasible: Probability that a candidate is feasible, ``(n,)``.
        seconds: Device time that a candidate is expected to take, ``(n,)``, above 0.
    """

    def __init__(
        self,
        mean: Floats,
        posteriors: Sequence[Posterior | None],
        feasible: Floats,
        front: Floats,
        scales: Sequence[RankNormal],
        reference: Floats,
        seconds: Floats,
    ) -> None:
        self.mean = mean
        self.feasible = feasible
        self.seconds = seconds
        self._posteriors = posteriors
        self._front = front
        self._scales = scales
        self._reference = reference

    def gain(self) -> Floats:
        """Expected improvement times the probability of feasibility, for each second, ``(n,)`` [Snoek2012].

        While nothing feasible is known, the probability of feasibility takes the place of their product.
        """
        if len(self._front) == 0:
            return self.feasible / self.seconds
        nothing = np.zeros(len(self.mean))
        std = np.stack([nothing if one is None else one.std for one in self._posteriors], axis=1)
        scores = self.mean[:, :, None] + std[:, :, None] * _NODES
        values = np.stack(
            [scale.backward(scores[:, axis]) for axis, scale in enumerate(self._scales)], axis=1
        )
        boxes = OpenBoxes(self._front, self._reference)
        return boxes.expected_improvement(values, _WEIGHTS) * self.feasible / self.seconds

    def believe(self, row: int) -> None:
        """Take the prediction of a candidate for its result."""
        for posterior in self._posteriors:
            if posterior is not None:
                posterior.believe(row)
        if self.feasible[row] > 0.5:
            values = [
                scale.backward(score)
                for scale, score in zip(self._scales, self.mean[row], strict=True)
            ]
            self._front = np.vstack([self._front, values])
