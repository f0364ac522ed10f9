"""The number of parameters and nothing else: the least that a recipe has to beat.

Features: the logarithm of the number of parameters. Model: a straight line, so that only the sign is
learned. Knows nothing where all candidates have equally many, or where a space's ops count none.

Kendall's tau, held out: mean of 5 draws of rows, at most 1,000 others
(`nasplat bench predictors TABLE --recipe parameters --train 32,100,128,512 --data DATA`):
                       32 rows 100    128    512
    nb201-c10          .543   .544   .544   .535
    nb-graph-arxiv     .000   .000   .000   .000
    nb-macro           .141   .221   .220   .210
    accel-nb           .611   .609   .609   .623
    nb-bert            .470   .469
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nasplat.predict.base import Floats, Predictor
from nasplat.predict.costs import OneColumn
from nasplat.space.candidate import Candidate
from nasplat.space.space import Space


def predictor(space: Space) -> tuple[Callable[[Sequence[Candidate]], Floats], Predictor]:
    """Parameters as a column, and an unfitted line."""
    return log_parameters, OneColumn(0)


def log_parameters(candidates: Sequence[Candidate]) -> Floats:
    """Logarithm of 1 + the number of parameters, ``(n, 1)``."""
    return np.log1p([[float(candidate.cost.params)] for candidate in candidates])
