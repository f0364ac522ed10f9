"""Measures recipes of predictors on tables: how well they order rows that they were not fitted on.

It knows tables and recipes, nothing of strategies. Rows are drawn as published figures draw them: from all
rows of the table, those included that compute the same; the result of each is that of its architecture.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from nasplat import content
from nasplat.bench.earlier import EarlierTable
from nasplat.bench.rows import Rows
from nasplat.bench.table import Table
from nasplat.errors import UsageError, unknown
from nasplat.predict.base import Predictor
from nasplat.predict.quality import measure
from nasplat.predict.targets import RankNormal
from nasplat.predict.threads import one_thread
from nasplat.predict.transfer import Earlier

Floats = NDArray[np.float64]

TRAINING_ROWS = (16, 32, 64, 128, 512)
TEST_ROWS = 1000
POOL = 2
"""Rows that are built, in multiples of what one seed needs."""


@dataclass(frozen=True)
class Measured:
    """One recipe after some training rows, means over seeds.

    Attributes:
        table: Name of the table.
        metric: What was predicted.
        recipe: Name of the recipe.
        rows: Training rows.
        test_rows: Rows that were predicted.
        seeds: Draws of training and test rows.
        kendall_tau: Held-out Kendall's tau-b.
        deviation: Standard deviation of it over seeds.
        spearman: Held-out Spearman's correlation.
        coverage_50: Share of results within the interval that should hold half of them.
        coverage_90: The same for nine tenths.
        fit_seconds: Seconds of one fit, on one thread.
        predict_seconds: Seconds to predict the test rows, without their features.
        feature_seconds: Seconds to describe one candidate.
    """

    table: str
    metric: str
    recipe: str
    rows: int
    test_rows: int
    seeds: int
    kendall_tau: float
    deviation: float
    spearman: float
    coverage_50: float
    coverage_90: float
    fit_seconds: float
    predict_seconds: float
    feature_seconds: float

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON data."""
        return asdict(self)


def measure_predictors(
    table: Table,
    recipes: Sequence[str | Path],
    rows: Sequence[int] = TRAINING_ROWS,
    seeds: int = 5,
    metric: str | None = None,
    test_rows: int = TEST_ROWS,
    *,
    fidelity: int | None = None,
    within: Mapping[str, Any] | None = None,
    transfer: Sequence[EarlierTable] = (),
) -> list[Measured]:
    """Fit recipes on random rows of a table and ask them about others.

    Args:
        table: What is known.
        recipes: Names or files of recipes.
        rows: Numbers of training rows, each at least 1.
        seeds: Draws of rows, at least 1.
        metric: What is predicted; the first objective by default.
        test_rows: Rows that are predicted at most; where a table is small, all that are left.
        fidelity: One of the table's; the highest by default.
        within: Values of decisions that all rows share, such as one width.
        transfer: Tables of which rows are known from before, for recipes that take them.

    Returns:
        One entry for each recipe and number of training rows.

    Raises:
        UsageError: The table has fewer rows than asked, or a constant metric; or a name is not known;
            or a recipe does not take what is known from before.
    """
    name = metric or table.objectives[0]
    chosen, y = _known(table, name, fidelity, within or {})
    most = max(rows, default=0)
    if min(rows, default=0) < 1 or seeds < 1 or test_rows < 2:
        raise UsageError(
            "predictors are measured with at least 1 training row, 2 test rows and 1 seed, "
            f"got rows={list(rows)}, {test_rows=}, {seeds=}"
        )
    if len(chosen) < most + 2:
        raise UsageError(
            f"{most} training rows leave nothing to predict: {table.name} has {len(chosen)} rows "
            f"with {name}{_said(within)}",
            hint="ask for fewer training rows",
        )
    needed = POOL * (most + test_rows)
    pool = np.random.default_rng(0).permutation(len(chosen))[:needed]
    chosen, y = chosen[pool], y[pool]
    listed = [table.genotypes[row] for row in chosen]
    space: Any = table.space if table.complete and not within else Rows(table.space, listed)
    candidates = [table.space.build(genotype) for genotype in listed]
    met = []
    earlier = [one.results([name], 0) for one in transfer]
    informed = f" with {', '.join(map(str, transfer))}" if transfer else ""
    for recipe in recipes:
        features, model = _made(str(recipe), space, earlier)
        begun = time.perf_counter()
        with one_thread():
            X = features(candidates)
            each = (time.perf_counter() - begun) / len(candidates)
            for count in rows:
                draws = [_draw(model, X, y, count, test_rows, seed) for seed in range(seeds)]
                tau, spearman, half, most_of, fit, predict = np.mean(draws, axis=0).tolist()
                met.append(
                    Measured(
                        table=table.name,
                        metric=name,
                        recipe=Path(recipe).stem.replace("_", "-") + informed,
                        rows=count,
                        test_rows=min(test_rows, len(y) - count),
                        seeds=seeds,
                        kendall_tau=tau,
                        deviation=float(np.std([draw[0] for draw in draws])),
                        spearman=spearman,
                        coverage_50=half,
                        coverage_90=most_of,
                        fit_seconds=fit,
                        predict_seconds=predict,
                        feature_seconds=each,
                    )
                )
    return met


def _made(recipe: str, space: Any, earlier: Sequence[Earlier]) -> tuple[Any, Predictor]:
    """Features and model of a recipe, informed by earlier searches where there are any."""
    make = content.load_file(content.find("predictor", recipe, "predictors")).predictor
    if not earlier:
        made: tuple[Any, Predictor] = make(space)
        return made
    if "earlier" not in inspect.signature(make).parameters:
        raise UsageError(
            f"the recipe {recipe} does not take earlier searches such as {earlier[0].name}",
            hint="Its predictor(space) would have an argument `earlier`, as that of graph-gp has.",
        )
    made = make(space, earlier=earlier)
    return made


def _draw(
    model: Predictor, X: Floats, y: Floats, count: int, test_rows: int, seed: int
) -> tuple[float, float, float, float, float, float]:
    """Correlations, coverage of both intervals, and seconds, for one draw of rows."""
    order = np.random.default_rng(seed).permutation(len(y))
    kept, held = order[:count], order[count : count + test_rows]
    scores = RankNormal(y[kept])
    begun = time.perf_counter()
    model.fit(X[kept], scores.forward(y[kept]))
    fitted = time.perf_counter()
    mean, std = model.predict(X[held])
    done = time.perf_counter()
    quality = measure(mean, y[held], "rows of the table")
    away = np.abs(scores.forward(y[held]) - mean)
    width = np.hypot(std, model.noise)
    half, most = (float((away <= ndtri(level) * width).mean()) for level in (0.75, 0.95))
    return quality.kendall_tau, quality.spearman, half, most, fitted - begun, done - fitted


def _known(
    table: Table, metric: str, fidelity: int | None, within: Mapping[str, Any]
) -> tuple[NDArray[np.int64], Floats]:
    """Rows with a result and these results."""
    at = table.fidelities[-1] if fidelity is None else fidelity
    if at not in table.results:
        raise unknown("fidelity", str(at), [str(one) for one in table.fidelities], UsageError)
    if metric not in table.results[at]:
        raise unknown(f"metric of {table.name}", metric, sorted(table.results[at]), UsageError)
    y = np.asarray(table.results[at][metric], dtype=float)[table.first]
    keep = np.isfinite(y)
    for path, value in within.items():
        values = [genotype.get(path) for genotype in table.genotypes]
        if value not in values:
            met = sorted({str(one) for one in values})
            raise unknown(f"value of {path} in {table.name}", str(value), met, UsageError)
        keep &= np.array([one == value for one in values])
    rows = np.flatnonzero(keep)
    if len(rows) and np.ptp(y[rows]) == 0:
        raise UsageError(
            f"{metric} is {y[rows[0]]:g} in every row of {table.name}{_said(within)}: nothing to order"
        )
    return rows, y[rows]


def _said(within: Mapping[str, Any] | None) -> str:
    named = ", ".join(f"{path}={value}" for path, value in (within or {}).items())
    return f" within {named}" if named else ""
