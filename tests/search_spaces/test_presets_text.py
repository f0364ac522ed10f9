"""Published text models as presets: as large as their reference implementations, at any size."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nasplat.space.designs import load_preset

REFERENCE: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("gpt2", {}, 124_439_808),
    ("gpt2", {"dim": 1024, "depth": 24, "heads": 16}, 354_823_168),
    ("gpt2", {"dim": 1600, "depth": 48, "heads": 25}, 1_557_611_200),
    ("pythia", {}, 162_322_944),
    ("pythia", {"dim": 512, "depth": 6, "heads": 8}, 70_426_624),
    ("llama", {}, 1_100_048_384),
    ("llama", {"dim": 4096, "depth": 32, "kv_heads": 32, "hidden": 11008}, 6_738_415_616),
    ("mixtral", {}, 214_213_120),
    (
        "mixtral",
        {"dim": 4096, "depth": 32, "heads": 32, "kv_heads": 8, "hidden": 14336},
        46_702_792_704,
    ),
    ("mamba", {}, 129_135_360),
    ("mamba", {"dim": 1024, "depth": 48}, 371_516_416),
    ("bert", {}, 109_482_240),
    ("bert", {"dim": 1024, "depth": 24, "heads": 16}, 335_141_888),
    ("fnet", {}, 82_861_056),
    ("albert", {}, 11_683_584),
    ("albert", {"dim": 1024, "depth": 24, "heads": 16, "hidden": 4096}, 17_683_968),
)
"""Family, settings, parameters of the reference implementation."""


@pytest.mark.parametrize(("name", "settings", "params"), REFERENCE)
def test_parameters_are_those_of_the_reference(
    name: str, settings: dict[str, Any], params: int
) -> None:
    assert load_preset(name, **settings).cost.params == params


SMALL = {"dim": 16, "depth": 2, "vocabulary": 32, "length": 16}
TINY: dict[str, dict[str, Any]] = {
    "albert": {"heads": 2, "hidden": 32, "embedding": 8},
    "bert": {"heads": 2},
    "fnet": {},
    "gpt2": {"heads": 2},
    "llama": {"heads": 4, "kv_heads": 2, "hidden": 40},
    "mamba": {},
    "mixtral": {"heads": 4, "kv_heads": 2, "hidden": 40, "experts": 4},
    "pythia": {"heads": 2},
}


@pytest.mark.parametrize("name", TINY)
def test_a_small_member_runs_with_as_many_parameters_as_it_costs(name: str) -> None:
    candidate = load_preset(name, **SMALL, **TINY[name])
    module = candidate.module(seed=0)
    assert sum(parameter.numel() for parameter in module.parameters()) == candidate.cost.params
    ids = torch.randint(32, (2, 16), generator=torch.Generator().manual_seed(0))
    out = module(ids)
    assert tuple(out.shape) == (2, 16) if name in ("albert", "bert", "fnet") else (2, 16, 32)
    out.square().mean().backward()
    grads = [weight.grad for weight in module.parameters() if weight.grad is not None]
    assert grads and all(grad.isfinite().all() for grad in grads)


def test_a_common_table_makes_the_difference_between_tied_and_untied() -> None:
    options = {**SMALL, **TINY["llama"]}
    tied, untied = (load_preset("llama", tied=tied, **options) for tied in (True, False))
    assert untied.cost.params - tied.cost.params == 32 * 16
    assert tied.digest != untied.digest


def test_one_layer_passed_many_times_costs_once_and_computes_often() -> None:
    options = {"dim": 16, "vocabulary": 32, "length": 16, **TINY["albert"]}
    once, often = (load_preset("albert", depth=depth, **options) for depth in (1, 6))
    assert once.cost.params == often.cost.params
    assert often.cost.macs > 4 * once.cost.macs
