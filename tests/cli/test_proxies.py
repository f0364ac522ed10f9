"""The verb about zero-cost proxies."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Runner

WORDS = ("space", "proxies", "nasbench201", "-n", "2", "--batch-size", "4")


def test_costs_stand_beside_what_was_asked_for_and_so_do_seconds(nasplat: Runner) -> None:
    first, again, other = (
        json.loads(nasplat(*WORDS, "--proxy", "synflow", "--seed", seed, "-f", "json").out)
        for seed in ("1", "1", "2")
    )
    assert [row["proxies"] for row in first] == [row["proxies"] for row in again]
    assert [row["digest"] for row in first] != [row["digest"] for row in other]
    for row in first:
        assert list(row["proxies"]) == ["params", "macs", "synflow"]
        assert row["seconds"]["synflow"] > 0


def test_a_table_shows_every_proxy_and_its_mean_time(nasplat: Runner) -> None:
    head, *rows = nasplat(*WORDS).out.splitlines()
    assert {"params", "grad_norm", "snip", "grasp", "fisher", "zen"} <= set(head.split())
    assert len(rows) == 3
    assert rows[-1].startswith("mean time") and rows[-1].endswith(" s")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--proxy", "synflo"), "unknown proxy 'synflo'; known: synflow, "),
        (("--batch-size", "1"), "Invalid value for '--batch-size'"),
    ],
)
def test_what_cannot_be_computed_is_refused(
    nasplat: Runner, words: tuple[str, ...], said: str
) -> None:
    result = nasplat("space", "proxies", "nasbench201", *words)
    assert result.code == 2
    assert said in result.err
