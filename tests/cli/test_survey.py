"""The verbs about published designs and presets."""

from __future__ import annotations

import json

from tests.cli.conftest import Runner


def test_designs_of_a_space_are_listed(nasplat: Runner) -> None:
    rows = json.loads(nasplat("survey", "list", "--space", "cell", "-f", "json").out)
    assert {row["space"] for row in rows} == {"cell"}
    assert "darts" in {row["design"] for row in rows}


def test_designs_are_found_by_words_axis_and_option(nasplat: Runner) -> None:
    rows = json.loads(
        nasplat("survey", "find", "vision", "--option", "window_attention", "-f", "json").out
    )
    assert rows and all("window_attention" in str(row["axes"]) for row in rows)
    axis = json.loads(nasplat("survey", "find", "--axis", "cell_wiring", "-f", "json").out)
    assert {row["space"] for row in axis} == {"cell"}
    nothing = nasplat("survey", "find", "--option", "perpetual_motion")
    assert nothing.code == 3 and "nasplat survey axes" in nothing.err
    wrong = nasplat("survey", "find", "--axis", "token_mixr")
    assert wrong.code == 2 and "known: token_mixer" in wrong.err


def test_a_design_is_shown_with_what_it_leaves_of_its_space(nasplat: Runner) -> None:
    record = json.loads(nasplat("survey", "show", "darts", "-f", "json").out)
    assert 0 < record["size"] < record["size_of_space"]
    shown = nasplat("survey", "show", "darts").out
    assert "--within darts" in shown and "cell_wiring" in shown
    wrong = nasplat("survey", "show", "dart")
    assert wrong.code == 2 and "known: darts" in wrong.err


def test_axes_are_counted(nasplat: Runner) -> None:
    rows = json.loads(nasplat("survey", "axes", "--space", "cell", "-f", "json").out)
    wiring = next(row for row in rows if row["axis"] == "cell_wiring")
    assert wiring["designs"] == 7


def test_a_preset_is_shown_at_any_size(nasplat: Runner) -> None:
    words = ("space", "preset", "deit", "dim=384", "heads=6", "-f", "json")
    assert json.loads(nasplat(*words).out)["costs"]["params"] == 22_050_664
    names = {row["preset"] for row in json.loads(nasplat("space", "presets", "-f", "json").out)}
    assert {"deit", "swin", "gpt2", "crossvit"} <= names
    assert nasplat("space", "preset", "deit", "dim").code == 2
    assert "unknown setting of deit" in nasplat("space", "preset", "deit", "dm=3").err
