"""Ridge regression on features of the typed graph: the baseline that a recipe has to beat.

Features: as ``graph_gp``. Model: linear, the penalty chosen by leave-one-out error. On what adds up over
ops, such as the latency of most devices, ten rows make it as good as anything.

Kendall's tau, held out: mean of 5 draws of rows, at most 1,000 others
(`nasplat bench predictors TABLE --recipe ridge --train 32,100,128,512 --data DATA`):
                       32 rows 100    128    512
    nb201-c10          .679   .738   .743   .805
    nb-graph-arxiv     .415   .550   .586   .665
    nb-macro           .810   .879   .883   .915
    accel-nb           .675   .811   .826   .875
    nb-bert            .606   .711
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
