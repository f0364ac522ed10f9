"""Races: hypervolumes over time worked out by hand, and one of real training."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplat.bench import race, standings
from nasplat.bench.race import Course, Lap, run_race
from nasplat.bench.standings import (
    curves,
    frame_of,
    hypervolumes,
    on_log_scale,
    rows,
    volume_at,
)
from nasplat.errors import NotFoundError, UsageError

COURSE = Course(space="s", task="t", budget="10s", objectives=("accuracy:max", "macs:min"))
LAPS = [
    # accuracy .5 at cost 50, then at cost 0; the frame reaches to cost 100.
    Lap("a", 0, ((2.0, (-0.5, 50.0)), (4.0, (-0.5, 0.0)), (9.0, (-0.1, 100.0)))),
    Lap("b", 0, ((1.0, (-0.25, 0.0)), (8.0, (-0.75, 0.0)))),
]


LITTLE = """
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.space.decisions import Choice
from nasplat.space.space import Space


def space(task):
    body = Conv(channels=Choice(2, 4, 8), stride=2) >> ClassifierHead(classes=10)
    return Space(body, task.inputs, task.outputs, name="little")
"""


def test_all_searches_are_measured_in_one_frame() -> None:
    frame = frame_of(COURSE, LAPS)
    assert (frame.best, frame.worst) == ((-1.0, 0.0), (0.0, 100.0))
    assert hypervolumes(frame, LAPS[0]) == [(2.0, 0.25), (4.0, 0.5)]
    assert hypervolumes(frame, LAPS[1]) == [(1.0, 0.25), (8.0, 0.75)]


def test_a_score_above_one_widens_the_frame() -> None:
    frame = frame_of(COURSE, [Lap("a", 0, ((1.0, (-4.0, 5.0)),))])
    assert (frame.best, frame.worst) == ((-4.0, 0.0), (0.0, 5.0))


def test_a_row_tells_when_the_best_of_the_others_was_reached() -> None:
    best, other = rows(COURSE, LAPS)
    assert (best["strategy"], best["hypervolume"], best["models"]) == ("b", 0.75, 2)
    assert best["time_to_best_other"] == 0.8
    assert other["time_to_best_other"] is None
    assert other["hypervolumes"] == [0.5]


def test_costs_on_a_log_scale_tell_small_models_apart() -> None:
    small = Lap("small", 0, ((1.0, (-0.5, 10.0)),))
    large = Lap("large", 0, ((1.0, (-0.5, 100.0)), (2.0, (-0.75, 1000.0))))
    found = {row["strategy"]: row for row in rows(COURSE, [small, large])}
    assert found["small"]["hypervolume"] == pytest.approx(0.5 * 0.99)
    assert found["large"]["hypervolume"] == pytest.approx(0.5 * 0.9)
    assert found["small"]["hypervolume_log"] == pytest.approx(0.5)
    assert found["large"]["hypervolume_log"] == pytest.approx(0.25)


def test_a_cost_of_nothing_has_no_log_scale() -> None:
    assert [row["hypervolume_log"] for row in rows(COURSE, LAPS)] == [None, None]
    assert on_log_scale(COURSE, [Lap("a", 0, ())]) is None
    scores = Course(space="s", task="t", budget="10s", objectives=("a:max", "b:max"))
    assert on_log_scale(scores, LAPS) is None


def test_a_strategy_alone_has_nobody_to_reach() -> None:
    (row,) = rows(COURSE, LAPS[:1])
    assert row["time_to_best_other"] is None


def test_curves_rise_over_the_budget() -> None:
    moments, met = curves(COURSE, LAPS)
    assert moments[-1] == 10.0
    (a,) = met["a"]
    assert a == sorted(a)
    assert [a[standings.STEPS * second // 10 - 1] for second in (1, 2, 3, 4, 10)] == [
        0,
        0.25,
        0.25,
        0.5,
        0.5,
    ]
    assert volume_at([], 3.0) == 0.0


@pytest.mark.parametrize(
    ("budget", "unit", "length"),
    [("2min", "s", 120.0), ("6cpu-min", "device s", 360.0), ("40trials", "trials", 40.0)],
)
def test_time_is_in_the_unit_of_the_budget(budget: str, unit: str, length: float) -> None:
    course = Course(space="s", budget=budget)
    assert course.unit == unit
    assert course.length == pytest.approx(length)


def test_a_race_trains_for_real_keeps_its_laps_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "little.py"
    file.write_text(LITTLE, encoding="utf-8")
    course = Course(space=str(file), task="digits", budget="2trials", epochs=1)
    met: list[tuple[str, int]] = []

    def done(lap: Lap, number: int, total: int) -> None:
        met.append((lap.strategy, lap.seed))
        assert total == 2

    settled, laps = run_race(course, ["random", "local"], 1, out=tmp_path / "out", done=done)
    assert settled.objectives == ("accuracy:max", "macs:min")
    assert sorted(met) == [("local", 0), ("random", 0)]
    for lap in laps:
        assert [when for when, _ in lap.points] == [1.0, 2.0]
        assert all(-1 <= accuracy <= 0 < macs for _, (accuracy, macs) in lap.points)
    assert {row["strategy"] for row in rows(settled, laps)} == {"random", "local"}
    met.clear()
    again = run_race(course, ["random", "local"], 1, out=tmp_path / "out", done=done)
    assert met == []
    assert again == (settled, laps)
    assert race.read(tmp_path / "out") == [(settled, laps)]


@pytest.mark.parametrize(
    ("course", "strategies", "message"),
    [
        (COURSE, ["gided"], "unknown strategy"),
        (COURSE, [], "at least one strategy"),
        (Course(space="hybrid-vit", task="digits", budget="1s,3trials"), ["random"], "one limit"),
        (
            Course(space="hybrid-vit", task="digits", budget="1s", objectives=("macs",)),
            ["random"],
            "METRIC:max or METRIC:min",
        ),
    ],
)
def test_a_race_that_cannot_be_run_is_refused(
    course: Course, strategies: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run_race(course, strategies, 1)


def test_a_folder_without_a_race_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds no race"):
        race.read(tmp_path)
