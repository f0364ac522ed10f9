"""A Gaussian process on features of the typed graph: what ``guided`` uses, and a trend besides.

Features: counts of op families; shortest, longest and mean paths in every set of families and how many
paths avoid it; which family feeds which and walks of three steps; log costs; and the space's own encoding.
Each of these groups has one length scale, and from some dozens of rows on each feature one of its own.
Model: Matérn 5/2 and a linear trend, fitted by marginal likelihood. Best with few rows (up to some hundred)
and where a standard deviation is needed.

Kendall's tau, held out: mean of 5 draws of rows, at most 1,000 others
(`nasplat bench predictors TABLE --recipe graph-gp --train 32,100,128,512 --data DATA`):
                     32 rows   100    128    512
    nb201-c10          .705   .819   .832   .896
    nb-graph-arxiv     .481   .595   .624   .710
    nb-macro           .848   .899   .900   .924
    accel-nb           .746   .830   .844   .897
    nb-bert            .684   .748
    hwgpt-s, one width        .933
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from nasplat.predict.base import Predictor
from nasplat.predict.features import Features
from nasplat.predict.gaussian_process import GaussianProcess
from nasplat.predict.transfer import Earlier, InformedFeatures
from nasplat.space.space import Space


def predictor(
    space: Space, earlier: Sequence[Earlier] = ()
) -> tuple[Features | InformedFeatures, Predictor]:
    """Features settled on 64 random candidates, and an unfitted model.

    Args:
        space: The space.
        earlier: Earlier searches, of any task and space; what they foretell is a linear feature each.
    """
    sample = list(space.batch(64, random.Random(0)))
    features = Features(sample, encode=space.encode)
    if not earlier:
        return features, GaussianProcess(features.groups)
    informed = InformedFeatures(features, space, sample, earlier)
    return informed, GaussianProcess(informed.groups, linear=informed.linear.get(0, []))
