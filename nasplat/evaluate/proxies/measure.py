"""All proxies of a candidate, with the seconds that each takes.

    params, macs   exact costs of the graph, always there
    grad_norm, snip, grasp, fisher      from the gradient of the loss on one batch (saliency.py)
    synflow, zen   without data (expressivity.py)
    jacob, naswot  how examples are told apart (examples.py)

Nothing is trained. Higher goes with better for all but the costs, which trivially go with better, too: a
proxy is worth its time where it says more than they do.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn

from nasplat.errors import UsageError, unknown
from nasplat.evaluate.jobs import check_graph
from nasplat.evaluate.proxies.common import doubled, unchanged
from nasplat.evaluate.proxies.examples import jacob, naswot
from nasplat.evaluate.proxies.expressivity import synflow, zen
from nasplat.evaluate.proxies.saliency import fisher, grad_norm, grasp, snip
from nasplat.evaluate.training import choose_device, derive_seed, seeded
from nasplat.graph.cost import cost
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.tasks.base import Batch, Task

Proxy = Callable[[nn.Module, Task, Batch], float]

PROXIES: MappingProxyType[str, Proxy] = MappingProxyType(
    {
        "grad_norm": grad_norm,
        "snip": snip,
        "grasp": grasp,
        "fisher": fisher,
        "synflow": synflow,
        "zen": zen,
        "jacob": jacob,
        "naswot": naswot,
    }
)
LOGGED = frozenset({"synflow", "zen", "naswot"})
"""Proxies that are logarithms; the others span orders of magnitude."""
COSTS = ("params", "macs")
NAMES = (*COSTS, *PROXIES)
BATCH_SIZE = 64


@dataclass(frozen=True)
class Scores:
    """What was found of a candidate.

    Attributes:
        values: Number of each proxy, costs first.
        seconds: Time of each proxy, in seconds; costs take none to speak of.
    """

    values: Mapping[str, float]
    seconds: Mapping[str, float]


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """The proxies that are measured for some names: the costs always, all of them for none.

    Raises:
        UsageError: A name is not known.
    """
    for name in names:
        if name not in NAMES:
            raise unknown("proxy", name, NAMES, UsageError)
    return tuple(dict.fromkeys((*COSTS, *(names or NAMES))))


def measure_proxies(
    graph: Graph,
    task: Task,
    seed: int,
    *,
    names: Sequence[str] = (),
    batch_size: int = BATCH_SIZE,
    device: str = "cpu",
) -> Scores:
    """All proxies of one candidate.

    Args:
        graph: The candidate.
        task: Gives the loss and one batch of its training split.
        seed: Initial weights and the batch follow from it.
        names: Which proxies, of ``NAMES``; empty: all. The costs are always there.
        batch_size: Examples in the batch, at least 2.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        UsageError: A name is not known, or the graph does not fit the task.
    """
    wanted = check_names(names)
    check_graph(graph, task)
    costs = cost(graph)
    values = {name: float(getattr(costs, name)) for name in COSTS}
    seconds: dict[str, float] = {}
    chosen = [name for name in wanted if name in PROXIES]
    if not chosen:
        return Scores(values, seconds)
    where = choose_device(device)
    module = lower(graph, seed=derive_seed(seed, "weights") % 2**32).to(where).train()
    batch = next(task.batches("train", batch_size, shuffle_seed=derive_seed(seed, "proxies")))
    batch = batch.to(where)
    for name in chosen:
        begun = time.perf_counter()
        with seeded(derive_seed(seed, name), where), unchanged(module):
            values[name] = _finite(PROXIES[name], module, task, batch)
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        seconds[name] = time.perf_counter() - begun
    return Scores(values, seconds)


def _finite(proxy: Proxy, module: nn.Module, task: Task, batch: Batch) -> float:
    """The score, in double precision where single does not hold it."""
    found = proxy(module, task, batch)
    if math.isfinite(found):
        return found
    return proxy(copy.deepcopy(module).double(), task, doubled(batch))
