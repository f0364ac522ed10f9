"""Ridge regression on features of the typed graph: the baseline that a recipe has to beat.

Features: as ``graph_gp``. Model: linear, the penalty chosen by leave-one-out error. On what adds up over
ops, such as the latency of most devices, ten rows make it as good as anything.

Kendall's tau, held out: mean of 5 seeds, on the rest of 2,000 cells
(`nasplat bench predictors nb201-c10 --data DATA`):
    NAS-Bench-201, validation accuracy    16 rows   32     50     100    128
        CIFAR-10                          .620      .697   .710   .741   .754
        CIFAR-100                         .590      .675   .700   .737   .756
"""

from __future__ import annotations

import random

from nasplat.predict.base import Predictor
from nasplat.predict.features import Features
from nasplat.predict.ridge import RidgeRegression
from nasplat.space.space import Space


def predictor(space: Space) -> tuple[Features, Predictor]:
    """Features settled on 64 random candidates, and an unfitted model."""
    features = Features(list(space.batch(64, random.Random(0))), encode=space.encode)
    return features, RidgeRegression()
