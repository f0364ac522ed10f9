"""Progress on a terminal and elsewhere."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from rich.console import Console

from nasplat.errors import StoreError
from nasplat.report.live import Progress, budget_text, share_used, trials_text, watch


def make_status(used: float = 60.0, **changes: Any) -> dict[str, Any]:
    return {
        "study": "demo",
        "budget": [
            {"unit": "s", "limit": 180.0, "used": used},
            {"unit": "trials", "limit": 500, "used": 87},
        ],
        "trials": {"complete": 64, "stopped": 21, "failed": 2, "running": 0, "waiting": 0},
        "failures": {"diverged": 2},
        "front": ["g1:aa"] * 9,
        "hypervolume": 0.8712,
        "predictor": {"name": "gp", "kendall_tau": 0.71},
    } | changes


def test_the_budget_is_written_in_the_unit_that_people_gave() -> None:
    assert budget_text(make_status(180.0)) == "3.0 of 3.0 min, 87 of 500 trials"
    hours = {"budget": [{"unit": "gpu-h", "limit": 8.0, "used": 1.02}]}
    assert budget_text(hours) == "1.0 of 8.0 gpu-h"


def test_the_part_of_a_budget_that_is_spent_first_counts() -> None:
    assert share_used(make_status(60.0)) == pytest.approx(1 / 3)
    assert share_used(make_status(1.0)) == pytest.approx(87 / 500)
    assert share_used(make_status(999.0)) == 1.0


def test_failures_are_told_apart_and_empty_states_left_out() -> None:
    assert trials_text(make_status()) == "64 complete  21 stopped early  2 failed (diverged)"


def test_the_time_left_follows_the_pace_of_this_run_alone() -> None:
    now = iter([100.0, 110.0])
    progress = Progress(lambda: next(now))
    resumed = make_status(90.0)
    assert progress.left(resumed) is None
    # 10 s used 18 of 180 s: half of the budget was used before, 40 % of it is left.
    assert progress.left(make_status(108.0)) == pytest.approx(40.0)


def test_trials_that_have_only_begun_say_nothing_of_the_time_left() -> None:
    now = iter([0.0, 30.0, 40.0])
    progress = Progress(lambda: next(now))
    budget = [{"unit": "trials", "limit": 10, "used": 0}]
    assert progress.left(make_status(budget=budget, trials={"running": 0})) is None
    begun = [{"unit": "trials", "limit": 10, "used": 2}]
    assert progress.left(make_status(budget=begun, trials={"running": 2})) is None
    one = [{"unit": "trials", "limit": 10, "used": 3}]
    trials = {"complete": 1, "running": 1, "waiting": 1}
    assert progress.left(make_status(budget=one, trials=trials)) == pytest.approx(360.0)


def test_elsewhere_than_on_a_terminal_lines_are_plain_and_only_what_changed_is_printed() -> None:
    out = io.StringIO()
    with watch(lambda: make_status(), Console(file=out, width=40), line_every=0.02):
        time.sleep(0.3)
    lines = out.getvalue().splitlines()
    assert lines == [
        "budget 1.0 of 3.0 min, 87 of 500 trials  64 complete  21 stopped early  2 failed (diverged)  "
        "front 9  hypervolume 0.871  predictor gp tau 0.71"
    ]


def test_on_a_terminal_the_panel_is_drawn_and_removed() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    with watch(lambda: make_status(), console, refresh=0.02):
        time.sleep(0.3)
    assert "64 complete" in out.getvalue()
    assert "█" in out.getvalue()


def test_a_busy_database_skips_a_refresh_and_ends_nothing() -> None:
    out = io.StringIO()
    calls = iter(range(10_000))

    def read() -> dict[str, Any]:
        if next(calls) == 0:
            raise StoreError("the database is locked")
        return make_status()

    with watch(read, Console(file=out, width=200), line_every=0.02):
        time.sleep(0.3)
    assert "64 complete" in out.getvalue()
