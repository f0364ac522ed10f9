"""The flat views that people read: ``trials``, ``front``, ``architectures``, ``ledger`` and more.

They are what plain SQL, pandas and BI tools read. Each metric that was ever stored is a column of
``trials`` and ``front``, always at the end in the order of first use, so that PostgreSQL can extend
a view in place (views built on top survive). Knows the tables' names, opens nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sqlalchemy.engine import Connection

from nasplat.errors import UsageError
from nasplat.store.records import ViewColumn

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@/+ -]{0,199}")
_COLUMN_LENGTH = 60  # PostgreSQL cuts identifiers at 63 bytes
_TIMES = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%fZ', {}, 'unixepoch')",
    "postgresql": "to_char(to_timestamp({}) AT TIME ZONE 'UTC', "
    '\'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')',
}
_JSON_NUMBER = {
    "sqlite": "json_extract({}, '$.\"{}\"')",
    "postgresql": "({} ->> '{}')::double precision",
}

_TRIALS: tuple[tuple[str, str, str], ...] = (
    ("study", "s.name", "name of the study"),
    ("number", "t.number", "number of the trial within its study, from 0"),
    ("digest", "t.digest", "identity of the architecture"),
    ("space", "p.name", "name of the search space"),
    ("space_version", "p.version", "digest of the definition of the space"),
    ("task", "s.task", "the task"),
    ("state", "t.state", "waiting, running, complete, stopped (early, by a rung) or failed"),
    (
        "failure",
        "t.failure",
        "class: invalid, diverged, oom, timeout, lost, bug; null unless failed",
    ),
    ("message", "t.message", "what happened, in words"),
    ("fidelity", "t.fidelity", "highest fidelity reported, such as epochs"),
    (
        "device_seconds",
        "CAST(t.device_micros AS double precision) / 1e6",
        "device time of all attempts [s]",
    ),
    ("created", "TIME:t.created", "when it was proposed (UTC)"),
    ("started", "TIME:t.started", "when its last attempt began (UTC)"),
    ("ended", "TIME:t.ended", "when it ended (UTC)"),
    ("proposed_by", "t.proposed_by", "the strategy that proposed it"),
    ("seed", "t.seed", "seed of its training"),
    ("attempts", "t.attempt", "how many leases it has had"),
    ("worker", "t.worker", "who had the last lease"),
    ("device", "t.device", "fingerprint of the device it was evaluated on"),
    ("on_front", "t.on_front", "whether it is on the Pareto front of its study"),
    ("shared_study", "o.name", "study whose result it took over, if any"),
    ("shared_number", "t.shared_number", "number of the trial whose result it took over"),
    ("recipe_key", "t.recipe_key", "hash of the recipe: equal keys train alike"),
    ("params", "a.params", "parameters"),
    ("macs", "a.macs", "multiply-accumulates of one forward pass of one example"),
    ("flops", "a.flops", "floating-point operations of the same"),
    ("activation_bytes", "a.activation_bytes", "sum of all activations of one example [bytes]"),
    ("weight_bytes", "a.weight_bytes", "weights at the chosen bits [bytes]"),
)
_TRIALS_FROM = """FROM trial t
JOIN study s ON s.id = t.study_id
JOIN space p ON p.id = t.space_id
JOIN architecture a ON a.digest = t.digest
LEFT JOIN study o ON o.id = t.shared_study_id"""

_ARCHITECTURES: tuple[tuple[str, str, str], ...] = (
    ("digest", "a.digest", "identity of the architecture"),
    ("params", "a.params", "parameters"),
    ("macs", "a.macs", "multiply-accumulates of one forward pass of one example"),
    ("flops", "a.flops", "floating-point operations of the same"),
    ("activation_bytes", "a.activation_bytes", "sum of all activations of one example [bytes]"),
    ("weight_bytes", "a.weight_bytes", "weights at the chosen bits [bytes]"),
    (
        "trials",
        "(SELECT count(*) FROM trial t WHERE t.digest = a.digest)",
        "trials of it, any study",
    ),
    (
        "studies",
        "(SELECT count(DISTINCT t.study_id) FROM trial t WHERE t.digest = a.digest)",
        "studies that met it",
    ),
    ("created", "TIME:a.created", "when it was first stored (UTC)"),
)
_MEASUREMENTS: tuple[tuple[str, str, str], ...] = (
    ("digest", "m.digest", "identity of the architecture"),
    ("device", "m.device", "fingerprint of the device"),
    ("device_name", "d.name", "name of the device"),
    ("metric", "m.metric", "what was measured, unit in the name"),
    ("method", "m.method", "measured, predicted or analytic"),
    ("value", "m.value", "the value; the median of repeats when measured"),
    ("spread", "m.spread", "interquartile range, or standard deviation of a prediction"),
    ("at", "TIME:m.at", "when (UTC)"),
)
_LEDGER: tuple[tuple[str, str, str], ...] = (
    ("study", "s.name", "name of the study"),
    ("number", "l.number", "number of the trial; null for time of the study itself"),
    ("attempt", "l.attempt", "which lease of the trial"),
    ("unit", "l.unit", "kind of device charged: cpu, gpu"),
    (
        "reserved_seconds",
        "CAST(l.reserved_micros AS double precision) / 1e6",
        "device time set aside when the lease was taken",
    ),
    (
        "used_seconds",
        "CAST(CASE WHEN l.settled IS NULL AND l.number IS NOT NULL THEN t.attempt_micros"
        " ELSE l.used_micros END AS double precision) / 1e6",
        "device time used, so far while open",
    ),
    ("opened", "TIME:l.opened", "when the lease was taken (UTC)"),
    ("settled", "TIME:l.settled", "when the attempt ended (UTC); null while open"),
    ("note", "l.note", "what the time was spent on, if it was not a trial"),
)
_METRICS: tuple[tuple[str, str, str], ...] = (
    ("study", "s.name", "name of the study"),
    ("number", "t.number", "number of the trial"),
    ("digest", "t.digest", "identity of the architecture"),
    ("space", "p.name", "name of the search space"),
    ("task", "s.task", "the task"),
    ("state", "t.state", "state of the trial"),
    ("fidelity", "t.fidelity", "highest fidelity reported"),
    ("metric", "j.key", "name of the metric, as reported"),
    ("value", "VALUE", "its value; null when it was not finite"),
)

_PARENTS: tuple[tuple[str, str, str], ...] = (
    ("study", "s.name", "name of the study"),
    ("number", "t.number", "number of the trial"),
    ("parent", "PARENT", "number of a trial of the study that it was made from"),
)
_LISTED = {
    "sqlite": "JOIN json_each(t.origin, '$.parents') j",
    "postgresql": "CROSS JOIN LATERAL json_array_elements_text("
    "CASE json_typeof(t.origin -> 'parents') WHEN 'array' THEN t.origin -> 'parents' END) j",
}
_EACH = {
    "sqlite": "JOIN json_each(t.metrics) j",
    "postgresql": "CROSS JOIN LATERAL json_each_text(t.metrics) j",
}
_PLACES = {
    ("sqlite", "VALUE"): "j.value",
    ("postgresql", "VALUE"): "j.value::double precision",
    ("sqlite", "PARENT"): "j.value",
    ("postgresql", "PARENT"): "j.value::integer",
}

TABLES = ("trials", "front", "architectures", "measurements", "ledger", "metrics", "parents")
MEANINGS = {
    "trials": "every trial of every study, newest metrics as columns",
    "front": "the trials that are on the Pareto front of their study; columns as trials",
    "architectures": "every distinct graph",
    "measurements": "values of architectures on devices, with their method",
    "ledger": "device time reserved and used",
    "metrics": "the metrics of trials in long form, one row each",
    "parents": "what each trial was made from",
}


def column_for(name: str, taken: Iterable[str]) -> str:
    """The column of a metric: lower case, ``_`` for what is no letter or digit, unique.

    Raises:
        UsageError: The name holds a character that no view can carry.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"the metric name {name!r} cannot be stored; expected up to 200 letters, digits, "
            "spaces or any of _.@/+- and no leading sign",
            hint="Rename the metric in the task's score()",
        )
    used = set(taken) | {column for column, _, _ in _TRIALS}
    base = re.sub(r"[^a-z0-9_]", "_", name.lower())[:_COLUMN_LENGTH]
    if name in {column for column, _, _ in _TRIALS}:
        base = f"metric_{name}"
    column, count = base, 2
    while column in used:
        column, count = f"{base[: _COLUMN_LENGTH - 4]}_{count}", count + 1
    return column


def _select(columns: Iterable[tuple[str, str, str]], dialect: str) -> str:
    parts = []
    for name, source, _ in columns:
        if source.startswith("TIME:"):
            source = _TIMES[dialect].format(source.removeprefix("TIME:"))
        source = _PLACES.get((dialect, source), source)
        parts.append(f'{source} AS "{name}"')
    return "SELECT " + ",\n  ".join(parts)


def definitions(metrics: Mapping[str, str], dialect: str) -> dict[str, str]:
    """The SELECT of each view.

    Args:
        metrics: Metric name to column, in the order of first use.
        dialect: ``sqlite`` or ``postgresql``.
    """
    number = _JSON_NUMBER[dialect]
    extra = [(column, number.format("t.metrics", name), "") for name, column in metrics.items()]
    trials = f"{_select([*_TRIALS, *extra], dialect)}\n{_TRIALS_FROM}"
    return {
        "trials": trials,
        "front": f"{trials}\nWHERE t.on_front",
        "architectures": f"{_select(_ARCHITECTURES, dialect)}\nFROM architecture a",
        "measurements": f"{_select(_MEASUREMENTS, dialect)}\n"
        "FROM measurement m JOIN device d ON d.fingerprint = m.device",
        "ledger": f"{_select(_LEDGER, dialect)}\nFROM ledger_entry l\n"
        "JOIN study s ON s.id = l.study_id\n"
        "LEFT JOIN trial t ON t.study_id = l.study_id AND t.number = l.number",
        "metrics": f"{_select(_METRICS, dialect)}\nFROM trial t\n"
        "JOIN study s ON s.id = t.study_id JOIN space p ON p.id = t.space_id\n"
        f"{_EACH[dialect]}",
        "parents": f"{_select(_PARENTS, dialect)}\nFROM trial t\n"
        f"JOIN study s ON s.id = t.study_id\n{_LISTED[dialect]}",
    }


def stored_metrics(connection: Connection) -> dict[str, str]:
    """Metric name to view column, in the order of first use."""
    rows = connection.exec_driver_sql('SELECT name, "column" FROM metric ORDER BY id')
    return {name: column for name, column in rows}


def create_views(connection: Connection) -> None:
    """Create the views, or extend them by the metrics that are new."""
    dialect = connection.dialect.name
    for view, select in definitions(stored_metrics(connection), dialect).items():
        if dialect == "sqlite":
            connection.exec_driver_sql(f'DROP VIEW IF EXISTS "{view}"')
            connection.exec_driver_sql(f'CREATE VIEW "{view}" AS {select}')
        else:
            connection.exec_driver_sql(f'CREATE OR REPLACE VIEW "{view}" AS {select}')


def drop_views(connection: Connection) -> None:
    """Drop the views, so that a migration may change the tables under them."""
    for view in TABLES:
        connection.exec_driver_sql(f'DROP VIEW IF EXISTS "{view}"')


def describe(metrics: Mapping[str, str]) -> list[ViewColumn]:
    """Every column of every view with its meaning."""
    extra = [(column, "", f"metric {name} at that fidelity") for name, column in metrics.items()]
    columns = {
        "trials": [*_TRIALS, *extra],
        "front": [*_TRIALS, *extra],
        "architectures": _ARCHITECTURES,
        "measurements": _MEASUREMENTS,
        "ledger": _LEDGER,
        "metrics": _METRICS,
        "parents": _PARENTS,
    }
    return [
        ViewColumn(view, name, meaning) for view in TABLES for name, _, meaning in columns[view]
    ]
