"""A graph network on the live graph itself, in plain torch.

Features: family and size of every value of the graph and what it reads, and log costs. Model: three rounds
of messages along the edges, both ways; it learns to tell the costs of 256 random candidates, which are
free, before it sees a result. Four copies, each of which leaves out a quarter of the rows to tell the noise
by. Needs no features that somebody thought of: on a par with the Gaussian process on chains and stages of
blocks, behind it on small cells. A fit takes seconds, ten and more from 512 rows on.

Kendall's tau, held out: mean of 5 draws of rows, at most 1,000 others
(`nasplat bench predictors TABLE --recipe graph-net --train 32,100,128,512 --data DATA`):
                       32 rows 100    128    512
    nb201-c10          .641   .731   .759
    nb-macro           .836   .885   .892
    accel-nb           .717   .796   .813
    nb-bert            .693   .756
"""

from __future__ import annotations

import random

from nasplat.predict.base import Predictor
from nasplat.predict.graph_net import GraphNet
from nasplat.predict.graph_rows import GraphRows
from nasplat.space.space import Space


def predictor(space: Space) -> tuple[GraphRows, Predictor]:
    """Rows settled on 256 random candidates, and an unfitted network."""
    known = list(space.batch(256, random.Random(0)))
    rows = GraphRows(known)
    return rows, GraphNet(rows, rows(known))
