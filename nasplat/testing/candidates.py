"""What random candidates of a space must do: type-check, run without data, run forward and backward."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any

import torch

from nasplat.graph.lower import lower
from nasplat.space.candidate import Candidate
from nasplat.space.load import examples, load_space
from nasplat.space.space import Space


@lru_cache(maxsize=16)
def space_of(name: str, example: str = "") -> Space:
    """A shipped space for one of its examples; empty: the first."""
    types = examples(name)
    return load_space(name, types[example or next(iter(types))])


def type_check(space: Space, count: int, seed: int) -> None:
    """Build the graphs of random genotypes.

    Raises:
        AssertionError: One has other outputs than the space.
        GraphTypeError: One does not type-check.
    """
    rng = random.Random(seed)
    for _ in range(count):
        graph = space.graph(space.sample(rng))
        assert space.outputs is None or dict(graph.output_types) == space.outputs


def run_on_meta(space: Space, count: int, seed: int) -> None:
    """Run random candidates forward without numbers.

    Raises:
        AssertionError: A module has other parameters, or an output another shape, than the graph says.
    """
    rng = random.Random(seed)
    for _ in range(count):
        candidate = space.build(space.sample(rng))
        with torch.device("meta"):
            module = candidate.module()
            inputs = [
                torch.empty_like(kind.example(2), device="meta") for kind in space.inputs.values()
            ]
            made = module(*inputs)
        assert sum(weight.numel() for weight in module.parameters()) == candidate.cost.params
        _shapes(candidate, made, 2)


def run(candidate: Candidate, batch: int = 2) -> None:
    """Run a candidate forward and backward on real numbers.

    Raises:
        AssertionError: An output has another shape, or is not finite, or no gradient reaches a weight.
    """
    graph = candidate.graph
    module = lower(graph, seed=0).train()
    generator = torch.Generator().manual_seed(0)
    inputs = [kind.example(batch, generator) for kind in graph.inputs.values()]
    outputs = _shapes(candidate, module(*inputs), batch)
    total = torch.zeros(())
    for name, output in outputs.items():
        assert output.isfinite().all(), f"{name} is not finite"
        total = total + (output * torch.randn(output.shape, generator=generator)).sum()
    total.backward()  # type: ignore[no-untyped-call]  # torch has no types here
    grads = [weight.grad for weight in module.parameters() if weight.grad is not None]
    assert grads and all(grad.isfinite().all() for grad in grads), "a gradient is not finite"


def run_for_real(space: Space, count: int, seed: int) -> None:
    """Run random candidates forward and backward; raises as :func:`run`."""
    rng = random.Random(seed)
    for _ in range(count):
        run(space.build(space.sample(rng)))


def _shapes(candidate: Candidate, made: Any, batch: int) -> dict[str, torch.Tensor]:
    outputs: dict[str, torch.Tensor] = (
        made if isinstance(made, dict) else {next(iter(candidate.graph.outputs)): made}
    )
    for name, output in outputs.items():
        shape = (batch, *candidate.graph.output_types[name].shape)
        assert tuple(output.shape) == shape, f"{name} is {tuple(output.shape)}, expected {shape}"
    return outputs
