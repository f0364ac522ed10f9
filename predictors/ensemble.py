"""Gaussian process, graph network and trees, each with a say by its held-out rank correlation.

Features: as ``graph_gp`` and ``graph_net``, side by side. A fit takes some ten seconds, most of it the
network's: members are fitted on three parts of the rows besides all of them. The deviation is calibrated
on what the parts left out. Ahead of the Gaussian process on graph networks and text encoders and from some
hundred rows on, a little behind it with few.

Kendall's tau, held out: mean of 3 draws of rows, 300 others; nb-bert 5 draws, all others
(`nasplat bench predictors TABLE --recipe ensemble --train 32,100 --seeds 3 --test 300 --data DATA`):
                     32 rows   100
    nb201-c10          .699   .804
    nb-graph-arxiv     .544   .667
    nb-macro           .843   .888
    accel-nb           .747   .820
    nb-bert                   .761
On nb201-c10 .837 from 128 rows and .900 from 512 (5 draws, 1,000 others).
"""

from __future__ import annotations

import random
from functools import partial

from nasplat.predict.base import Predictor
from nasplat.predict.ensemble import Ensemble, Seeing, SideBySide
from nasplat.predict.features import Features
from nasplat.predict.gaussian_process import GaussianProcess
from nasplat.predict.graph_net import GraphNet
from nasplat.predict.graph_rows import GraphRows
from nasplat.predict.trees import ExtraTrees
from nasplat.space.space import Space


def predictor(space: Space) -> tuple[SideBySide, Predictor]:
    """Features settled on 64 random candidates, rows of graphs on 256, and an unfitted ensemble."""
    known = list(space.batch(256, random.Random(0)))
    features, graphs = Features(known[:64], encode=space.encode), GraphRows(known)
    both = SideBySide([features, graphs], known)
    of_features, of_graphs = both.parts
    network = partial(GraphNet, graphs, graphs(known))
    members = [
        partial(Seeing, of_features, partial(GaussianProcess, features.groups)),
        partial(Seeing, of_graphs, network),
        partial(Seeing, of_features, partial(ExtraTrees, trees=50)),
    ]
    return both, Ensemble(members, folds=3)
