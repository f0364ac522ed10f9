"""Extremely randomised trees on features of the typed graph.

Features: as ``graph_gp``. Model: 200 extra-trees, each split on a third of the columns; the deviation is
that between trees. Needs no scaling and copes with thousands of rows; catches up with the Gaussian process
at some hundred.

Kendall's tau, held out: mean of 5 draws of rows, at most 1,000 others
(`nasplat bench predictors TABLE --recipe graph-trees --train 32,100,128,512 --data DATA`):
                       32 rows 100    128    512
    nb201-c10          .650   .775   .788   .878
    nb-graph-arxiv     .321   .499   .542   .668
    nb-macro           .694   .837   .845   .899
    accel-nb           .654   .776   .786   .836
    nb-bert            .682   .739
"""

from __future__ import annotations

import random

from nasplat.predict.base import Predictor
from nasplat.predict.features import Features
from nasplat.predict.trees import ExtraTrees
from nasplat.space.space import Space


def predictor(space: Space) -> tuple[Features, Predictor]:
    """Features settled on 64 random candidates, and an unfitted model."""
    features = Features(list(space.batch(64, random.Random(0))), encode=space.encode)
    return features, ExtraTrees()
