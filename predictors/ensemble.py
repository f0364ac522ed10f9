"""Gaussian process, trees and ridge, each with a say by its held-out rank correlation.

Features: as ``graph_gp``. A fit costs some ten times one of the Gaussian process: members are fitted on
three parts of the rows besides all of them. The deviation is calibrated on what the parts left out.

Kendall's tau, held out: mean of 2 draws of rows, 300 others
(`nasplat bench predictors TABLE --recipe ensemble --train 32,100 --seeds 2 --test 300 --data DATA`):
                       32 rows 100
    nb201-c10          .669   .814
    nb-graph-arxiv     .499   .626
    nb-macro           .834   .884
    accel-nb           .758   .822
    nb-bert            .690   .752
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from nasplat.predict.base import Predictor
from nasplat.predict.ensemble import Ensemble
from nasplat.predict.features import Features
from nasplat.predict.gaussian_process import GaussianProcess
from nasplat.predict.ridge import RidgeRegression
from nasplat.predict.trees import ExtraTrees
from nasplat.space.space import Space


def predictor(space: Space) -> tuple[Features, Predictor]:
    """Features settled on 64 random candidates, and an unfitted ensemble."""
    features = Features(list(space.batch(64, random.Random(0))), encode=space.encode)
    members: list[Callable[[], Predictor]] = [
        partial(GaussianProcess, features.groups),
        partial(ExtraTrees, trees=50),
        RidgeRegression,
    ]
    return features, Ensemble(members, folds=3)
