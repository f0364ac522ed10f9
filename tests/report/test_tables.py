"""Rows in every form."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

from nasplat.errors import Failure
from nasplat.report.tables import Format, plain, render, render_one

ROWS = [
    {"number": 0, "digest": "g1:aa", "metrics": {"accuracy": 0.5}, "failure": None},
    {
        "number": 11,
        "digest": "g1:bb",
        "metrics": {"accuracy": float("nan")},
        "failure": Failure.OOM,
    },
]


def test_json_and_yaml_hold_every_field_and_no_nan() -> None:
    from_json = json.loads(render(ROWS, Format.JSON))
    assert from_json == yaml.safe_load(render(ROWS, Format.YAML))
    assert from_json[0] == {**ROWS[0]}
    assert from_json[1]["metrics"]["accuracy"] is None
    assert from_json[1]["failure"] == "oom"


def test_csv_flattens_nested_fields_and_leaves_missing_ones_empty() -> None:
    read = list(csv.DictReader(io.StringIO(render([*ROWS, {"number": 2}], Format.CSV))))
    assert [row["metrics.accuracy"] for row in read] == ["0.5", "", ""]
    assert read[1]["failure"] == "oom"


def test_csv_without_rows_has_its_heading() -> None:
    assert render([], Format.CSV, columns=["number", "digest"]) == "number,digest"


def test_a_table_aligns_numbers_right_and_text_left_and_shows_what_is_missing() -> None:
    assert render(ROWS, Format.TABLE).splitlines() == [
        "number  digest  accuracy  failure",
        "     0  g1:aa     0.5000  -",
        "    11  g1:bb          -  oom",
    ]


def test_a_table_cannot_be_broken_by_what_a_cell_holds() -> None:
    (heading, line) = render([{"message": "two\nlines\x1b[31m"}], Format.TABLE).splitlines()
    assert heading == "message"
    assert line == "two lines [31m"


def test_headings_stay_apart_when_a_cost_and_a_metric_have_one_name() -> None:
    row = {"costs": {"params": 1}, "metrics": {"params": 2}}
    assert render([row], Format.TABLE).splitlines()[0] == "costs.params  metrics.params"


@pytest.mark.parametrize("form", list(Format))
def test_no_form_ends_with_a_newline(form: Format) -> None:
    assert not render(ROWS, form).endswith("\n")
    assert not render_one(ROWS[0], form).endswith("\n")


def test_one_record_is_an_object_and_not_a_list() -> None:
    assert json.loads(render_one({"size": 3}, Format.JSON)) == {"size": 3}


def test_plain_turns_arrays_and_tuples_into_lists() -> None:
    import numpy as np

    assert plain({"a": np.array([1.0, np.inf]), "b": (1, 2)}) == {"a": [1.0, None], "b": [1, 2]}
