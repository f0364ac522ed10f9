"""Earlier studies of a store, as they inform a new one: ``nasplat search --transfer STUDY``.

Which metric informs which objective is one rule. An objective is informed by the earlier study's metric of
the same name. A score that has no namesake there is informed by the earlier study's main score: its first
objective that is neither a cost nor measured on a device. Costs are computed and need nobody who informs
them. Only what had ended when the new study was planned counts, so that a resume learns the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplat.errors import UsageError
from nasplat.graph.cost import COSTS
from nasplat.graph.serialise import graph_from_json
from nasplat.ops.table import op_table
from nasplat.predict.fidelities import aligned
from nasplat.predict.rows import evenly
from nasplat.predict.transfer import LEAST, Earlier
from nasplat.search.history import objectives_of
from nasplat.search.objectives import MEASURED, Objective
from nasplat.search.settings import Settings
from nasplat.search.strategies.table import known_strategies, options_of
from nasplat.space.candidate import Candidate
from nasplat.space.genotype import Genotype
from nasplat.store.records import StudyRecord, TrialRecord, TrialState
from nasplat.store.store import Store

Floats = NDArray[np.float64]

OPTION = "transfer"
"""Name of the option of strategies that takes earlier searches."""
MOST = 400
"""Trials of an earlier study that are learned from at most, evenly over the order of their results."""


@dataclass(frozen=True)
class Informant:
    """An earlier study that informs a new one.

    Attributes:
        study: Its name.
        until: When the last of its trials that count ended.
        results: How many count.
        informs: By objective of the new study the metric that informs it.
    """

    study: str
    until: float
    results: int
    informs: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """What a plan says of it."""
        return {"study": self.study, "results": self.results, "informs": dict(self.informs)}


def informants(
    store: Store, names: Sequence[str], strategy: str, objectives: Sequence[Objective]
) -> list[Informant]:
    """Check that earlier studies can inform a new one.

    Args:
        store: Where they are.
        names: Their names.
        strategy: Name of the new study's strategy.
        objectives: What the new study optimises.

    Raises:
        NotFoundError: There is no study of a name.
        UsageError: The strategy does not take earlier searches; a study has too few results, none that
            informs an objective, or ops in a file that is gone.
    """
    if names and OPTION not in options_of(strategy):
        able = [name for name in known_strategies() if OPTION in options_of(name)]
        raise UsageError(
            f"strategy {strategy!r} does not learn from earlier studies such as {names[0]!r}",
            hint=f"Leave --transfer out, or take one that does: {', '.join(able)}",
        )
    found = []
    for name in dict.fromkeys(names):
        record = store.study(name)
        trials = _ended(store, name)
        informs = _informs(record, trials, objectives)
        if len(trials) < LEAST:
            raise UsageError(
                f"study {name!r} has {len(trials)} results, too few to learn from: at least {LEAST} are "
                "needed",
                hint=f"See how far it is: nasplat status {name}",
            )
        if not informs:
            theirs = ", ".join(str(objective) for objective in objectives_of(record))
            ours = ", ".join(str(objective) for objective in objectives)
            raise UsageError(
                f"study {name!r} has {theirs}, nothing that informs {ours}",
                hint="A score informs any score, and latency_ms informs latency_ms; costs are computed.",
            )
        _ops(record)
        until = max(trial.ended or 0.0 for trial in trials)
        metrics = {objective.metric: metric.metric for objective, metric in informs.items()}
        found.append(Informant(name, until, len(trials), metrics))
    return found


def earlier(
    store: Store, until: Mapping[str, float], objectives: Sequence[Objective]
) -> list[Earlier]:
    """Earlier studies as a strategy takes them, by name.

    Args:
        store: Where they are.
        until: By study when the last of its trials that count ended.
        objectives: What the new study optimises.
    """
    return [_earlier(store, name, until[name], objectives) for name in sorted(until)]


def _earlier(store: Store, name: str, until: float, objectives: Sequence[Objective]) -> Earlier:
    record = store.study(name)
    trials = [trial for trial in _ended(store, name) if (trial.ended or 0.0) <= until]
    numbers = [trial.number for trial in trials]
    informs = _informs(record, trials, objectives)
    values = {
        place: _results(store, name, numbers, informs[objective])
        for place, objective in enumerate(objectives)
        if objective in informs
    }
    kept = evenly(next(iter(values.values())), MOST)
    ops = _ops(record)
    graphs = store.trials(name, numbers=[numbers[row] for row in kept], graphs=True)
    candidates = [
        Candidate(
            space=record.space.name,
            version=trial.space_version,
            genotype=Genotype(trial.genotype),
            graph=graph_from_json(trial.graph, ops),
            recipe=trial.recipe or {},
        )
        for trial in graphs
    ]
    return Earlier(name, candidates, {place: column[kept] for place, column in values.items()})


def _ended(store: Store, name: str) -> list[TrialRecord]:
    """Trials with results, by number."""
    return store.trials(name, states=[TrialState.COMPLETE, TrialState.STOPPED])


def _informs(
    record: StudyRecord, trials: Sequence[TrialRecord], objectives: Sequence[Objective]
) -> dict[Objective, Objective]:
    """By objective the earlier study's metric that informs it, with the direction in which it is better."""
    known = {name for trial in trials for name in trial.metrics}
    theirs = [one for one in objectives_of(record) if one.metric in known]
    scores = [one for one in theirs if one.metric not in (*COSTS, *MEASURED)]
    found = {}
    for objective in objectives:
        if objective.metric in COSTS:
            continue
        if objective.metric in known:
            found[objective] = objective
        elif objective.metric not in MEASURED and scores:
            found[objective] = scores[0]
    return found


def _results(store: Store, name: str, numbers: Sequence[int], metric: Objective) -> Floats:
    """The last result of each trial, minimised, as it would be at the highest fidelity; NaN where none is."""
    places = {number: place for place, number in enumerate(numbers)}
    reports = [
        (places[report.number], max(report.fidelity, 1), float(report.metrics[metric.metric]))
        for report in store.reports(name)
        if report.number in places and report.metrics.get(metric.metric) is not None
    ]
    found = np.full(len(numbers), np.nan)
    reports = [report for report in reports if np.isfinite(report[2])]
    if reports:
        trials, fidelities, raw = map(np.array, zip(*reports, strict=True))
        values = np.array([[metric.minimised(value)] for value in raw.tolist()])
        # reports come by trial and fidelity: the last of a trial is what stays
        found[trials] = aligned(values, np.log2(fidelities), trials)[0][:, 0]
    return found


def _ops(record: StudyRecord) -> Mapping[str, Any]:
    """The ops of an earlier study by kind.

    Raises:
        UsageError: A file that defines some is gone.
    """
    files = Settings.from_json(record.settings).op_files
    if missing := [file for file in files if not Path(file).is_file()]:
        raise UsageError(
            f"study {record.name!r} has ops that are defined in {', '.join(missing)}, which does not exist",
            hint="Put it back, or leave the study out of --transfer.",
        )
    return op_table([Path(file) for file in files])
