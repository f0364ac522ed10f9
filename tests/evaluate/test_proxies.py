"""Zero-cost proxies: one pass, the same on every run, and each orders what it should order."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.base import Context, Evaluator, Job
from nasplat.evaluate.proxies import NAMES, ProxyEvaluator, measure_proxies, naswot, synflow
from nasplat.graph.cost import cost
from nasplat.graph.graph import Graph
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.tasks.digits import digits
from nasplat.tasks.load import load_task
from nasplat.testing.evaluator import EvaluatorConformance
from tests.evaluate.conftest import MakeJob, chain
from tests.tasks.nets import networks


class TestProxies(EvaluatorConformance):
    checkpoints = False
    every_rung = False

    @pytest.fixture
    def evaluator(self) -> Evaluator:
        return ProxyEvaluator(batch_size=16)

    @pytest.fixture
    def job(self, make_job: MakeJob) -> Job:
        return make_job()


def test_all_proxies_are_finite_and_costs_are_exact(graph: Graph) -> None:
    found = measure_proxies(graph, digits(), 0, batch_size=16)
    assert set(found) == set(NAMES)
    assert all(math.isfinite(value) for value in found.values())
    assert found["params"] == cost(graph).params
    assert found["macs"] == cost(graph).macs


def test_wider_networks_flow_more() -> None:
    narrow, wide = (
        chain(Conv(channels=width, activation="relu"), ClassifierHead(classes=10))
        for width in (4, 32)
    )
    small, large = (measure_proxies(g, digits(), 0, batch_size=32) for g in (narrow, wide))
    assert large["synflow"] > small["synflow"]
    assert large["naswot"] > small["naswot"]


def test_synflow_of_a_chain_of_linear_layers_is_the_product() -> None:
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 2, bias=False), torch.nn.Linear(2, 1, bias=False)
    )
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(-0.5)
    batch = next(digits().batches("train", 4))
    # Every path has weight 1/4; there are 64 x 2 of them, and each of two layers counts them once.
    assert synflow(module, digits(), batch) == pytest.approx(math.log(2 * 128 * 0.25))


def test_examples_that_look_equal_to_a_network_score_low() -> None:
    batch = next(digits().batches("train", 8))
    blind = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16))
    seeing = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16))
    with torch.no_grad():
        blind[1].weight.zero_()  # type: ignore[operator]  # it is a Linear
    assert naswot(blind, digits(), batch) < naswot(seeing, digits(), batch)


def test_unknown_proxies_list_the_known_ones(graph: Graph) -> None:
    with pytest.raises(UsageError, match="unknown proxy 'synflo'; known: synflow, "):
        measure_proxies(graph, digits(), 0, names=("synflo",))


def test_a_graph_that_does_not_fit_is_invalid(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(task=digits(size=16).spec)
    with pytest.raises(TrialFailure) as met:
        list(ProxyEvaluator().evaluate(job, Context(tmp_path)))
    assert met.value.failure is Failure.INVALID


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 2, got 1"):
        ProxyEvaluator(batch_size=1)


@pytest.mark.parametrize(
    "task",
    [
        "scenes?count=40&size=16",
        "stdlib-text?size=20000&length=16",
        "digits-rows",
        "digits-stream?stride=50",
        "digits-mixed?count=40",
        "digits-noisy",
    ],
)
def test_every_kind_of_task_has_proxies(task: str) -> None:
    loaded = load_task(task)
    small, large = (
        measure_proxies(graph, loaded, seed=0, batch_size=8) for graph in networks(loaded, width=8)
    )
    assert set(small) == set(NAMES)
    assert all(math.isfinite(value) for value in (*small.values(), *large.values()))
    assert small["params"] < large["params"]
    assert small["jacob"] != large["jacob"]
