"""SQL and named queries from the command line."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.cli.conftest import Runner

pytestmark = pytest.mark.usefixtures("storage")


def test_sql_over_the_views_prints_rows(nasplat: Runner) -> None:
    sql = "select space, count(*) as n, max(accuracy) as best from trials group by space"
    assert json.loads(nasplat("query", sql, "--format", "json").out) == [
        {"space": "small", "n": 5, "best": 0.97}
    ]
    assert nasplat("query", sql).out.splitlines()[0].split() == ["space", "n", "best"]


def test_a_named_query_takes_its_parameters_as_options(nasplat: Runner) -> None:
    rows = json.loads(nasplat("query", "leaderboard", "--task", "digits", "-f", "json").out)
    assert [row["number"] for row in rows] == [3, 1, 0, 2]
    none = nasplat("query", "leaderboard", "--task=other", "--format", "csv")
    assert list(csv.DictReader(io.StringIO(none.out))) == []
    assert none.out.startswith("place,digest")


def test_named_queries_are_listed(nasplat: Runner) -> None:
    names = [row["query"] for row in json.loads(nasplat("query", "--format", "json").out)]
    assert "leaderboard" in names


def test_the_schema_tells_every_view_and_the_metrics_of_this_database(nasplat: Runner) -> None:
    rows = json.loads(nasplat("query", "--schema", "--format", "json").out)
    columns = {(row["view"], row["column"]) for row in rows}
    assert {("trials", "accuracy"), ("front", "digest"), ("ledger", "unit")} <= columns
    assert all(row["meaning"] for row in rows)


def test_rows_are_limited_and_the_limit_is_said(nasplat: Runner) -> None:
    result = nasplat("query", "select number from trials", "--limit", "2", "--format", "json")
    assert len(json.loads(result.out)) == 2
    assert "first 2 rows" in result.err


@pytest.mark.parametrize(
    "sql",
    ["delete from trial", "drop view trials", "update study set name = 'x'", "vacuum into 'a.db'"],
)
def test_nothing_can_be_changed(nasplat: Runner, sql: str) -> None:
    result = nasplat("query", sql)
    assert result.code == 2
    assert "only reads" in result.err
    assert json.loads(nasplat("query", "select count(*) as n from trials", "-f", "json").out) == [
        {"n": 5}
    ]


def test_a_wrong_column_is_answered_with_the_nearest(nasplat: Runner) -> None:
    result = nasplat("query", "select acuracy from trials")
    assert result.code == 2
    assert "accuracy" in result.err


def test_words_that_are_no_parameters_are_refused(nasplat: Runner) -> None:
    result = nasplat("query", "select", "*", "from", "front")
    assert result.code == 2
    assert "quotes" in result.err
