"""Zero-cost proxies: figures of an untrained model that go with how well it will train.

    params, macs   exact costs of the graph
    grad_norm      norm of the gradient of the loss on one batch [Abdelfattah2021]
    synflow        log of the sum of |weight x gradient| of a positive network on ones [Tanaka2020]
    jacob          how unlike the input gradients of different examples are [Mellor2021, version 1]
    naswot         log-determinant of the agreement of sign patterns [Mellor2021]; signs are taken
                   behind every module with weights, for activations are not always modules

Nothing is trained and no weight is changed. Higher is better for all but the costs.

[Abdelfattah2021] M. Abdelfattah et al.: Zero-Cost Proxies for Lightweight NAS, ICLR.
[Tanaka2020] H. Tanaka et al.: Pruning neural networks without any data, NeurIPS.
[Mellor2021] J. Mellor et al.: Neural Architecture Search without Training, ICML.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nasplat.errors import Failure, TrialFailure, UsageError, unknown
from nasplat.evaluate.base import Context, Job, Report
from nasplat.evaluate.jobs import as_failure, check_graph, ops_of, task_of
from nasplat.evaluate.training import choose_device, derive_seed, seeded, threads
from nasplat.graph.cost import cost
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.graph.serialise import graph_from_json
from nasplat.tasks.base import Batch, Task

Proxy = Callable[[nn.Module, Task, Batch], float]


def _trained(module: nn.Module) -> list[nn.Parameter]:
    """The weights that training changes."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def grad_norm(module: nn.Module, task: Task, batch: Batch) -> float:
    """Norm of the gradient of the loss over all parameters."""
    loss = task.loss(module(*batch.inputs), batch.targets)
    gradients = _gradients(loss, _trained(module))
    return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))


def synflow(module: nn.Module, task: Task, batch: Batch) -> float:
    """Log of the synaptic flow: weights made positive, one input of ones, double precision.

    Normalisation layers are run in evaluation mode, as they are at the start: without effect.
    """
    positive = copy.deepcopy(module).double().eval()
    with torch.no_grad():
        for parameter in positive.parameters():
            parameter.abs_()
    ones = [
        torch.ones_like(x[:1]).double() if x.is_floating_point() else torch.zeros_like(x[:1])
        for x in batch.inputs
    ]
    total = sum(part.sum() for part in _tensors(positive(*ones)))
    assert isinstance(total, Tensor)
    parameters = _trained(positive)
    gradients = _gradients(total, parameters)
    flow = sum(
        float((parameter.detach() * gradient).abs().sum())
        for parameter, gradient in zip(parameters, gradients, strict=True)
    )
    return math.log(max(flow, 1e-300))


def jacob(module: nn.Module, task: Task, batch: Batch) -> float:
    """Negative entropy-like score of the correlations between the examples' input gradients."""
    inputs = [x.clone().requires_grad_(x.is_floating_point()) for x in batch.inputs]
    sources = [x for x in inputs if x.requires_grad]

    def watch(_: nn.Module, given: Any, output: Any) -> None:
        if any(isinstance(x, Tensor) and not x.is_floating_point() for x in given):
            parts = _tensors(output)
            sources.extend(x for x in parts if x.requires_grad and len(x) == len(batch))

    # Nothing is differentiable in integers: what is made of them, such as embeddings, stands for them.
    inner = [part for part in module.modules() if part is not module]
    hooks = [part.register_forward_hook(watch) for part in inner]
    try:
        total = sum(part.sum() for part in _tensors(module(*inputs)))
    finally:
        for hook in hooks:
            hook.remove()
    assert isinstance(total, Tensor)
    gradients = _gradients(total, sources)
    flat = torch.cat([gradient.flatten(1) for gradient in gradients], 1).double()
    flat = flat - flat.mean(1, keepdim=True)
    norms = flat.norm(dim=1, keepdim=True).clamp_min(1e-12)
    correlations = (flat / norms) @ (flat / norms).T
    # Rounding can leave eigenvalues of a correlation matrix just below zero.
    values = torch.linalg.eigvalsh(correlations).clamp_min(0) + 1e-5
    return -float((values.log() + 1 / values).sum())


def naswot(module: nn.Module, task: Task, batch: Batch) -> float:
    """Log-determinant of the kernel that counts equal signs between examples."""
    count = len(batch)
    kernel = torch.zeros(count, count, dtype=torch.double)

    def watch(_: nn.Module, __: Any, output: Any) -> None:
        for part in _tensors(output):
            if part.shape[0] == count and part.is_floating_point():
                signs = (part.detach().flatten(1) > 0).double().cpu()
                kernel.add_(signs @ signs.T + (1 - signs) @ (1 - signs).T)

    hooks = [
        part.register_forward_hook(watch)
        for part in module.modules()
        if any(True for _ in part.parameters(recurse=False))
    ]
    try:
        with torch.no_grad():
            module(*batch.inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return float(torch.linalg.slogdet(kernel + 1e-6 * torch.eye(count).double()).logabsdet)


PROXIES: MappingProxyType[str, Proxy] = MappingProxyType(
    {"grad_norm": grad_norm, "synflow": synflow, "jacob": jacob, "naswot": naswot}
)
COSTS = ("params", "macs")
NAMES = (*COSTS, *PROXIES)


def measure_proxies(
    graph: Graph,
    task: Task,
    seed: int,
    *,
    names: Sequence[str] = NAMES,
    batch_size: int = 64,
    device: str = "cpu",
) -> dict[str, float]:
    """All proxies of one candidate.

    Args:
        graph: The candidate.
        task: Gives the loss and one batch of its training split.
        seed: Initial weights and the batch follow from it.
        names: Which proxies, of ``NAMES``.
        batch_size: Examples in the batch, at least 2.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        UsageError: A name is not known, or the graph does not fit the task.
    """
    for name in names:
        if name not in NAMES:
            raise unknown("proxy", name, NAMES, UsageError)
    check_graph(graph, task)
    where = choose_device(device)
    module = lower(graph, seed=derive_seed(seed, "weights") % 2**32).to(where).train()
    batch = next(task.batches("train", batch_size, shuffle_seed=derive_seed(seed, "proxies")))
    batch = batch.to(where)
    costs = cost(graph)
    found = {name: float(getattr(costs, name)) for name in names if name in COSTS}
    for name in names:
        if name in PROXIES:
            with seeded(derive_seed(seed, name), where), _unchanged(module):
                found[name] = PROXIES[name](module, task, batch)
    return found


class ProxyEvaluator:
    """Reports zero-cost proxies once, as the job's last rung; nothing is trained.

    Args:
        names: Which proxies; empty: all.
        batch_size: Examples in the one batch, at least 2.
        device: ``cpu``, ``cuda`` or ``auto``.
        threads: Threads of torch on the processor; None: as many as torch has.
    """

    kind: ClassVar[str] = "proxies"

    def __init__(
        self,
        *,
        names: Sequence[str] = (),
        batch_size: int = 64,
        device: str = "cpu",
        threads: int | None = 1,
    ) -> None:
        if batch_size < 2:
            raise UsageError(f"batch_size must be at least 2, got {batch_size}")
        self.names = tuple(names) or NAMES
        self.batch_size = batch_size
        self.device = device
        self.threads = threads

    @property
    def spec(self) -> dict[str, Any]:
        """JSON from which the same evaluator is made."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "batch_size": self.batch_size,
            "device": self.device,
            "threads": self.threads,
        }

    def evaluate(self, job: Job, context: Context) -> Generator[Report, None, None]:
        """Yield one report with every proxy, final."""
        begun = time.perf_counter()
        context.heartbeat()
        try:
            with threads(self.threads):
                metrics = measure_proxies(
                    graph_from_json(job.graph, ops_of(job.op_files)),
                    task_of(job),
                    job.seed,
                    names=self.names,
                    batch_size=self.batch_size,
                    device=self.device,
                )
            if bad := [name for name, value in metrics.items() if not math.isfinite(value)]:
                raise TrialFailure(Failure.DIVERGED, f"no number: {', '.join(bad)}")
        except TrialFailure:
            raise
        except Exception as error:
            raise as_failure(error) from error
        yield Report(
            fidelity=job.fidelities[-1],
            metrics=metrics,
            seconds=time.perf_counter() - begun,
            final=True,
        )


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    parts = output.values() if isinstance(output, dict) else output
    return [part for part in parts if isinstance(part, Tensor)]


def _gradients(total: Tensor, of: list[Any]) -> list[Tensor]:
    """Gradients, zeros where ``total`` does not depend on a tensor."""
    gradients = torch.autograd.grad(total, of, allow_unused=True)
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(of, gradients, strict=True)
    ]


@contextmanager
def _unchanged(module: nn.Module) -> Iterator[None]:
    """Put buffers (running statistics) back afterwards."""
    kept = [buffer.clone() for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(module.buffers(), kept, strict=True):
                buffer.copy_(value)
