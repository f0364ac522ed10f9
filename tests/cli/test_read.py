"""The reading verbs on a database that is known."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml

from nasplat.store.store import Store
from tests.cli.conftest import Runner, add_study

pytestmark = pytest.mark.usefixtures("storage")


def test_studies_are_listed_with_their_objectives(nasplat: Runner) -> None:
    (study,) = json.loads(nasplat("studies", "--format", "json").out)
    assert study["study"] == "flowers"
    assert study["trials"] == 5
    assert study["objectives"][0] == {"metric": "accuracy", "direction": "max"}
    assert "flowers" in nasplat("studies").out


@pytest.mark.parametrize("form", ["table", "json", "csv", "yaml"])
@pytest.mark.parametrize("verb", ["studies", "trials", "pareto"])
def test_every_reading_verb_prints_every_form_and_nothing_beside_it(
    nasplat: Runner, verb: str, form: str
) -> None:
    result = nasplat(verb, "--format", form)
    assert (result.code, result.err) == (0, "")
    if form == "json":
        assert isinstance(json.loads(result.out), list)
    if form == "yaml":
        assert isinstance(yaml.safe_load(result.out), list)
    if form == "csv":
        assert len(list(csv.DictReader(io.StringIO(result.out)))) > 0


def test_trials_have_the_promised_fields(nasplat: Runner) -> None:
    rows = json.loads(nasplat("trials", "flowers", "--format", "json").out)
    promised = (
        "number digest state failure fidelity metrics device_seconds started ended proposed_by"
    )
    assert all(set(promised.split()) <= set(row) for row in rows)
    assert rows[4]["failure"] == "diverged"
    assert rows[4]["metrics"]["accuracy"] is None
    assert rows[1]["device_seconds"] == pytest.approx(3.0)
    assert rows[1]["ended"].endswith("Z")


def test_trials_sorted_by_an_objective_come_best_first_and_unknown_values_last(
    nasplat: Runner,
) -> None:
    rows = json.loads(nasplat("trials", "--sort", "accuracy", "--format", "json").out)
    assert [row["number"] for row in rows] == [3, 1, 0, 2, 4]
    rows = json.loads(nasplat("trials", "--sort", "latency_ms", "--limit", "2", "-f", "json").out)
    assert [row["number"] for row in rows] == [4, 0]


def test_trials_can_be_chosen_by_state(nasplat: Runner) -> None:
    rows = json.loads(nasplat("trials", "--state", "failed", "--format", "json").out)
    assert [row["number"] for row in rows] == [4]
    result = nasplat("trials", "--state", "done")
    assert result.code == 2
    assert "known: waiting, running, complete, stopped, failed" in result.err


def test_a_field_that_trials_lack_is_refused_with_the_nearest(nasplat: Runner) -> None:
    result = nasplat("trials", "--sort", "acuracy")
    assert result.code == 2
    assert "they have accuracy" in result.err


def test_the_front_has_the_promised_fields_and_says_where_it_was_measured(nasplat: Runner) -> None:
    rows = json.loads(nasplat("pareto", "flowers", "--format", "json").out)
    assert [row["metrics"]["accuracy"] for row in rows] == [0.97, 0.95, 0.91]
    assert all({"digest", "metrics", "costs", "measured_on"} <= set(row) for row in rows)
    assert {"params", "macs"} <= set(rows[0]["costs"])
    assert {row["measured_on"] for row in rows} == {"cpu (onnxruntime, 1 thread)"}


@pytest.mark.parametrize("name", ["front.png", "front.html"])
def test_the_front_is_drawn_into_a_file(nasplat: Runner, tmp_path: Path, name: str) -> None:
    result = nasplat("pareto", "--plot", str(tmp_path / name), "--format", "json")
    assert result.code == 0
    assert (tmp_path / name).stat().st_size > 1000
    assert len(json.loads(result.out)) == 3
    assert name in result.err


def test_a_plot_of_what_no_trial_has_is_refused(nasplat: Runner, tmp_path: Path) -> None:
    result = nasplat("pareto", "--plot", str(tmp_path / "a.png"), "--x", "energy_mj")
    assert result.code == 2
    assert "'energy_mj'" in result.err and "latency_ms" in result.err


def test_show_draws_the_graph_with_types_and_everything_known(nasplat: Runner) -> None:
    digest = json.loads(nasplat("trials", "--format", "json").out)[1]["digest"]
    text = nasplat("show", digest[:9]).out
    assert digest in text
    assert "Image(1, 8, 8)" in text and "Logits(10)" in text
    assert "cpu (onnxruntime, 1 thread)" in text
    assert "exports/flowers" in text
    record = json.loads(nasplat("show", digest, "--format", "json").out)
    assert [row["number"] for row in record["lineage"]] == [0]
    assert [row["fidelity"] for row in record["curves"]] == [3, 9]


def test_status_has_the_promised_fields(nasplat: Runner) -> None:
    status = json.loads(nasplat("status", "flowers", "--format", "json").out)
    assert status["state"] == "waiting"
    assert status["space"] == "small" and status["task"] == "digits"
    assert status["budget"] == [{"unit": "trials", "limit": 5.0, "used": 5.0}]
    assert status["trials"] == {
        "waiting": 0, "running": 0, "complete": 4, "stopped": 0, "failed": 1
    }  # fmt: skip
    assert len(status["front"]) == 3
    assert 0 < status["hypervolume"] < 1
    assert "predictor" in status
    assert "4 complete  1 failed (diverged)" in nasplat("status").out


def test_an_unknown_digest_is_nothing_found(nasplat: Runner) -> None:
    assert nasplat("show", "g1:zzzz").code == 3


def test_the_name_of_the_study_may_be_left_out_only_where_there_is_one(
    nasplat: Runner, storage: str
) -> None:
    assert nasplat("trials").code == 0
    with Store.open(storage) as store:
        add_study(store, "trees")
    result = nasplat("trials")
    assert result.code == 2
    assert "flowers, trees" in result.err


def test_an_unknown_study_lists_the_known_ones(nasplat: Runner) -> None:
    result = nasplat("trials", "flower")
    assert result.code == 3
    assert "unknown study 'flower'; known: flowers" in result.err


def test_no_database_is_nothing_found_and_none_is_made(nasplat: Runner, tmp_path: Path) -> None:
    file = tmp_path / "none.db"
    result = nasplat("studies", "--storage", f"sqlite:///{file}")
    assert result.code == 3
    assert "nasplat search" in result.err
    assert not file.exists()
