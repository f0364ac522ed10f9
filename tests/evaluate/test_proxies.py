"""Zero-cost proxies: true to their definitions, the same on every run, finite for every shipped space."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from nasplat import content
from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.base import Context, Evaluator, Job
from nasplat.evaluate.proxies import saliency
from nasplat.evaluate.proxies.evaluator import ProxyEvaluator
from nasplat.evaluate.proxies.examples import jacob, naswot
from nasplat.evaluate.proxies.expressivity import synflow, zen
from nasplat.evaluate.proxies.measure import COSTS, NAMES, PROXIES, measure_proxies
from nasplat.evaluate.proxies.saliency import fisher, grad_norm, grasp, snip
from nasplat.graph.cost import cost
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.space.load import examples, load_space
from nasplat.space.space import unchecked
from nasplat.tasks.base import Batch
from nasplat.tasks.digits import digits
from nasplat.tasks.load import load_task
from nasplat.testing.evaluator import EvaluatorConformance
from tests.evaluate.conftest import MakeJob, chain
from tests.evaluate.noise import Noise
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


@pytest.fixture
def batch() -> Batch:
    found = next(digits().batches("train", 6))
    return Batch(tuple(x.double() for x in found.inputs), found.targets)


@pytest.fixture
def smooth() -> nn.Sequential:
    """A small network in double precision that is twice differentiable, with every kind of weight."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 10)
    ).double()


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in module.named_parameters() if value.dim() >= 2}


def loss_of(module: nn.Module, batch: Batch) -> Tensor:
    return digits().loss(module(*batch.inputs), batch.targets)


def test_all_proxies_are_finite_and_costs_are_exact(graph: Graph) -> None:
    found = measure_proxies(graph, digits(), 0, batch_size=16)
    assert set(found.values) == set(NAMES)
    assert all(math.isfinite(value) for value in found.values.values())
    assert found.values["params"] == cost(graph).params
    assert found.values["macs"] == cost(graph).macs
    assert set(found.seconds) == set(PROXIES)
    assert all(seconds > 0 for seconds in found.seconds.values())


def test_costs_are_there_when_they_were_not_asked_for(graph: Graph, make_job: MakeJob) -> None:
    asked = ("naswot",)
    assert list(measure_proxies(graph, digits(), 0, names=asked).values) == [*COSTS, *asked]
    (report,) = ProxyEvaluator(names=asked, batch_size=8).evaluate(make_job(), Context(Path()))
    assert list(report.metrics) == [*COSTS, *asked]
    assert report.measurements["naswot"]["seconds"] > 0


def test_the_gradient_norm_is_the_sum_of_the_norms(smooth: nn.Sequential, batch: Batch) -> None:
    found = torch.autograd.grad(loss_of(smooth, batch), list(weights(smooth).values()))
    expected = sum(math.sqrt(float(gradient.square().sum())) for gradient in found)
    assert grad_norm(smooth, digits(), batch) == pytest.approx(expected)


def test_snip_is_the_gradient_of_gates_before_the_weights(
    smooth: nn.Sequential, batch: Batch
) -> None:
    gates = {name: torch.ones_like(value) for name, value in weights(smooth).items()}
    for gate in gates.values():
        gate.requires_grad_()
    gated = {name: gate * weights(smooth)[name].detach() for name, gate in gates.items()}
    loss = digits().loss(functional_call(smooth, gated, batch.inputs), batch.targets)
    found = torch.autograd.grad(loss, list(gates.values()))
    expected = sum(float(gradient.abs().sum()) for gradient in found)
    assert snip(smooth, digits(), batch) == pytest.approx(expected)


def test_grasp_is_the_hessian_times_the_gradient(smooth: nn.Sequential, batch: Batch) -> None:
    named = weights(smooth)
    flat = torch.cat([value.detach().flatten() for value in named.values()])

    def at(point: Tensor) -> Tensor:
        parts = torch.split(point, [value.numel() for value in named.values()])
        whole = {n: part.view_as(named[n]) for n, part in zip(named, parts, strict=True)}
        return digits().loss(functional_call(smooth, whole, batch.inputs), batch.targets)

    flat.requires_grad_()
    (gradient,) = torch.autograd.grad(at(flat), flat, create_graph=True)
    rows = [torch.autograd.grad(part, flat, retain_graph=True)[0] for part in gradient]
    hessian, gradient, flat = torch.stack(rows), gradient.detach(), flat.detach()
    expected = -float(flat @ (hessian @ gradient))
    assert grasp(smooth, digits(), batch) == pytest.approx(expected)
    assert saliency._grasp_by_difference(smooth, digits(), batch) == pytest.approx(expected, 1e-4)


class Once(torch.autograd.Function):
    """The hyperbolic tangent, with a derivative that has none."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x.tanh())
        return x.tanh()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradient * (1 - y * y)  # type: ignore[no-any-return]  # saved tensors are Any


class OnceTanh(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Once.apply(x)  # type: ignore[no-any-return, no-untyped-call]  # torch's


def test_grasp_of_what_is_differentiable_once_is_a_difference(
    smooth: nn.Sequential, batch: Batch
) -> None:
    rough = nn.Sequential(*(OnceTanh() if isinstance(p, nn.Tanh) else p for p in smooth))
    before = {name: value.clone() for name, value in rough.state_dict().items()}
    assert grasp(rough, digits(), batch) == pytest.approx(grasp(smooth, digits(), batch), 1e-4)
    assert all(torch.equal(value, before[name]) for name, value in rough.state_dict().items())


def test_fisher_is_the_mean_squared_saliency_of_channels(
    smooth: nn.Sequential, batch: Batch
) -> None:
    convolution, tanh, flatten, linear = smooth
    expected = 0.0
    (images,) = batch.inputs
    for image, target in zip(images, batch.targets, strict=True):
        maps = convolution(image[None])
        scores = linear(flatten(tanh(maps)))
        loss = functional.cross_entropy(scores, target[None])
        of_maps, of_scores = torch.autograd.grad(loss, [maps, scores])
        for channel in range(3):
            expected += float((maps * of_maps).detach()[0, channel].sum()) ** 2
        for channel in range(10):
            expected += float((scores * of_scores).detach()[0, channel]) ** 2
    assert fisher(smooth, digits(), batch) == pytest.approx(expected / (2 * len(batch)))


def test_jacob_is_that_of_the_correlations_of_gradients(
    smooth: nn.Sequential, batch: Batch
) -> None:
    (images,) = batch.inputs
    rows = []
    for image in images:
        rows.append(torch.func.jacrev(smooth)(image[None]).sum((0, 1)).flatten().detach())
    values = torch.linalg.eigvalsh(torch.corrcoef(torch.stack(rows))).clamp_min(0) + 1e-5
    assert jacob(smooth, digits(), batch) == pytest.approx(
        -float((values.log() + 1 / values).sum())
    )


def test_naswot_counts_equal_signs(smooth: nn.Sequential, batch: Batch) -> None:
    convolution, tanh, flatten, linear = smooth
    maps = convolution(*batch.inputs)
    scores = linear(flatten(tanh(maps)))
    codes = torch.cat([maps.flatten(1), scores], 1) > 0
    kernel = torch.tensor([[float((a == b).sum()) for a in codes] for b in codes])
    expected = float(torch.linalg.slogdet(kernel.double()).logabsdet)
    assert naswot(smooth, digits(), batch) == pytest.approx(expected, abs=1e-3)


def test_synflow_of_a_chain_of_linear_layers_is_the_product() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 2, bias=False), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(-0.5)
    batch = next(digits().batches("train", 4))
    # Every path has weight 1/4; there are 64 x 2 of them, and each of two layers counts them once.
    assert synflow(module, digits(), batch) == pytest.approx(math.log(2 * 128 * 0.25))


def test_synflow_passes_batch_normalisation_by() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(64, 8, bias=False), nn.Linear(8, 10, bias=False)
    plain = nn.Sequential(nn.Flatten(), *linear)
    norm = nn.BatchNorm1d(8)
    nn.init.normal_(norm.running_mean)  # type: ignore[arg-type]  # it tracks statistics
    batch = next(digits().batches("train", 4))
    with_norm = nn.Sequential(nn.Flatten(), linear[0], norm, linear[1])
    assert synflow(with_norm, digits(), batch) == pytest.approx(synflow(plain, digits(), batch))


def test_a_flow_beyond_double_precision_is_the_largest(batch: Batch) -> None:
    deep = nn.Sequential(nn.Flatten(), *(nn.Linear(64, 64) for _ in range(600)))
    assert synflow(deep, digits(), batch) == pytest.approx(math.log(torch.finfo(torch.double).max))


def linear_zen(*between: nn.Module) -> float:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 512), *between, nn.Linear(512, 10))
    torch.manual_seed(1)
    return zen(module, digits(), next(digits().batches("train", 64)))


def test_zen_of_a_linear_map_is_the_length_of_its_weights() -> None:
    assert linear_zen() == pytest.approx(math.log(0.01 * math.sqrt(64 * 512)), abs=0.02)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(512), nn.LayerNorm(512), nn.RMSNorm(512)])
def test_zen_puts_back_what_normalisations_divide_out(norm: nn.Module) -> None:
    assert linear_zen(norm) == pytest.approx(linear_zen(), abs=0.05)


def test_zen_without_any_weights_before_the_head_is_the_noise() -> None:
    batch = next(digits().batches("train", 16))
    found = zen(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), digits(), batch)
    assert found == pytest.approx(math.log(0.01 * 8), abs=0.05)


def test_a_network_without_weights_has_proxies() -> None:
    batch = next(digits().batches("train", 4))
    module = nn.Sequential(nn.Flatten(), nn.AvgPool1d(6))
    assert all(math.isfinite(proxy(module, digits(), batch)) for proxy in PROXIES.values())


def test_wider_networks_flow_more() -> None:
    narrow, wide = (
        chain(Conv(channels=width, activation="relu"), ClassifierHead(classes=10))
        for width in (4, 32)
    )
    small, large = (measure_proxies(g, digits(), 0, batch_size=32).values for g in (narrow, wide))
    assert large["synflow"] > small["synflow"]
    assert large["naswot"] > small["naswot"]
    assert large["zen"] > small["zen"]


def test_examples_that_look_equal_to_a_network_score_low() -> None:
    batch = next(digits().batches("train", 8))
    blind = nn.Sequential(nn.Flatten(), nn.Linear(64, 16))
    seeing = nn.Sequential(nn.Flatten(), nn.Linear(64, 16))
    with torch.no_grad():
        blind[1].weight.zero_()  # type: ignore[operator]  # it is a Linear
    assert naswot(blind, digits(), batch) < naswot(seeing, digits(), batch)


@pytest.mark.parametrize("name", PROXIES)
def test_the_order_of_a_batch_does_not_matter(graph: Graph, name: str) -> None:
    module = lower(graph, seed=0).train()
    batch = next(digits().batches("train", 12, shuffle_seed=0))
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    turned = Batch(tuple(x[order] for x in batch.inputs), batch.targets[order])
    proxy = PROXIES[name]
    assert proxy(module, digits(), turned) == pytest.approx(proxy(module, digits(), batch), 1e-3)


@pytest.mark.parametrize("name", PROXIES)
def test_weights_and_modes_and_chance_stay_as_they_are(graph: Graph, name: str) -> None:
    module = lower(graph, seed=0).train()
    batch = next(digits().batches("train", 8))
    before = {key: value.clone() for key, value in module.named_parameters()}
    state = torch.get_rng_state()
    PROXIES[name](module, digits(), batch)
    assert all(torch.equal(value, before[key]) for key, value in module.named_parameters())
    assert all(value.grad is None for value in module.parameters())
    assert all(part.training and not part._forward_hooks for part in module.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_measuring_leaves_chance_and_buffers_to_the_next_proxy(graph: Graph) -> None:
    state = torch.get_rng_state()
    every = measure_proxies(graph, digits(), 0, batch_size=8).values
    assert torch.equal(torch.get_rng_state(), state)
    for name in PROXIES:
        alone = measure_proxies(graph, digits(), 0, names=(name,), batch_size=8).values
        assert alone[name] == every[name]


def finite_and_the_same(name: str, example: str, seeds: Sequence[int]) -> None:
    """Random candidates of a space have every proxy, the same when they are measured again."""
    types = examples(name)[example]
    with unchecked():
        space = load_space(name, types)
    task = Noise(types)
    for seed in seeds:
        graph = space.graph(space.sample(random.Random(seed)))
        found = measure_proxies(graph, task, seed, batch_size=2)
        wrong = {key: value for key, value in found.values.items() if not math.isfinite(value)}
        assert not wrong, f"candidate {seed} has {wrong}"
        again = measure_proxies(graph, task, seed, names=("naswot", "fisher"), batch_size=2)
        assert {**found.values, **again.values} == found.values


SPACES = [name for name in content.names("search_spaces") if examples(name)]


@pytest.mark.parametrize("name", SPACES)
def test_candidates_of_a_space_have_finite_proxies(name: str) -> None:
    finite_and_the_same(name, next(iter(examples(name))), range(3))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "example"), [(name, example) for name in SPACES for example in examples(name)]
)
def test_many_candidates_on_every_problem_of_a_space_have_finite_proxies(
    name: str, example: str
) -> None:
    finite_and_the_same(name, example, range(10, 13))


def test_unknown_proxies_list_the_known_ones(graph: Graph) -> None:
    with pytest.raises(UsageError, match="unknown proxy 'synflo'; known: synflow, "):
        measure_proxies(graph, digits(), 0, names=("synflo",))
    with pytest.raises(UsageError, match="unknown proxy 'synflo'"):
        ProxyEvaluator(names=("synflo",))


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
        measure_proxies(graph, loaded, seed=0, batch_size=8).values
        for graph in networks(loaded, width=8)
    )
    assert set(small) == set(NAMES)
    assert all(math.isfinite(value) for value in (*small.values(), *large.values()))
    assert small["params"] < large["params"]
    assert small["jacob"] != large["jacob"]
