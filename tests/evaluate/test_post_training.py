"""Rounding after training: the function is kept where it must be, and training is not touched."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from nasplat.evaluate.post_training import PostTraining
from nasplat.evaluate.rescale import chains, equalise, fold_scales, quantised_layers
from nasplat.evaluate.training import Trainer
from nasplat.graph.fake_quant import ActivationQuantiser
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.graph.op import Bits
from nasplat.graph.types import Image
from nasplat.ops.attention import SelfAttention
from nasplat.ops.conv import Conv, MBConv
from nasplat.ops.conv_residual import ResidualConvBlock
from nasplat.ops.ffn import MLP
from nasplat.ops.head import ClassifierHead
from nasplat.ops.norm import LayerNorm, RepBatchNorm
from nasplat.tasks.digits import digits
from nasplat.tasks.recipe import CHOICES, Recipe
from tests.evaluate.conftest import chain

CPU = torch.device("cpu")
TASK = digits()
LATER = [scheme for scheme in CHOICES["quantisation"] if scheme != "qat"]
NET = (
    Conv(channels=8, stride=2, norm="batch", activation="relu"),
    MBConv(squeeze=0, activation="relu"),
    ResidualConvBlock(),
    Conv(channels=6, kernel=1, activation="relu"),
    LayerNorm(),
    MLP(ratio=2),
    SelfAttention(heads=2),
    ClassifierHead(classes=10),
)


def stirred(bits: Bits | None = None) -> nn.Module:
    """A network whose channels have very unequal ranges, in evaluation mode."""
    module = lower(chain(*NET, bits=bits), seed=0)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(torch.exp(torch.randn(len(parameter), *[1] * (parameter.dim() - 1))))
            else:
                parameter.add_(torch.rand_like(parameter))
    module.train()(Image(1, 8, 8).example(16))
    return module.eval()


def trainer(graph: Graph, **recipe: Any) -> Trainer:
    chosen = Recipe.from_mapping({"batch_size": 256, **recipe})
    return Trainer(lower(graph, seed=1), TASK, chosen, epochs=2, seed=0, device=CPU)


def test_equalisation_finds_the_chains_and_keeps_the_function() -> None:
    module = stirred()
    x = Image(1, 8, 8).example(8)
    before = module(x)
    assert equalise(module) == len(chains(module)) >= 4
    torch.testing.assert_close(module(x), before, atol=1e-4, rtol=1e-4)


def test_equalised_channels_have_equal_ranges_on_both_sides() -> None:
    first, second = nn.Linear(4, 6), nn.Linear(6, 3)
    with torch.no_grad():
        first.weight.mul_(torch.logspace(-1, 1, 6)[:, None])
    equalise(nn.Sequential(first, nn.ReLU(), second).eval())
    torch.testing.assert_close(first.weight.abs().amax(1), second.weight.abs().amax(0))


def test_scales_move_out_of_norms_and_the_function_stays() -> None:
    module = stirred()
    batches = [(Image(1, 8, 8).example(8),)]
    before = module(*batches[0])
    assert fold_scales(module, batches) >= 1
    torch.testing.assert_close(module(*batches[0]), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("scheme", LATER)
def test_while_it_is_rounded_it_rounds_and_afterwards_it_is_what_it_was(scheme: str) -> None:
    module = stirred(Bits(4, 8)).train()
    later = PostTraining(module, TASK, scheme, CPU)
    assert not any(layer.rounding for layer in quantised_layers(module))
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    with later.rounded():
        assert not any(item.training for item in module.modules())
        assert all(layer.rounding for layer in quantised_layers(module))
        for item in module.modules():
            if isinstance(item, ActivationQuantiser):
                assert item.batches > 0
    assert all(item.training for item in module.modules())
    assert not any(layer.rounding for layer in quantised_layers(module))
    assert all(torch.equal(kept[name], value) for name, value in module.state_dict().items())


@pytest.mark.parametrize("scheme", LATER)
def test_training_is_that_of_floating_point_and_the_model_that_is_kept_is_rounded(
    scheme: str,
) -> None:
    ops = (
        Conv(channels=8, stride=2, norm="batch", activation="relu"),
        Conv(channels=8, norm="batch", activation="relu"),
        ClassifierHead(classes=10),
    )
    later = trainer(chain(*ops, bits=Bits(8, 8)), quantisation=scheme)
    plain = trainer(chain(*ops))
    for _ in range(2):
        later.train_epoch()
        plain.train_epoch()
        later.validate()
    for name, value in plain.module.named_parameters():
        assert torch.equal(later.module.get_parameter(name), value)
    main = next(iter(TASK.metrics))
    assert abs(later.validate()[main] - plain.validate()[main]) < 0.1
    module = later.finish()
    assert all(layer.rounding for layer in quantised_layers(module))


def test_calibrated_ranges_beat_the_default_ones() -> None:
    """At the default range most activations of a stirred network would be cut off."""
    x = next(TASK.batches("validation", 64)).inputs
    wanted = stirred()(*x)
    errors = {}
    for scheme in ("none", "ptq"):
        module = stirred(Bits(8, 8))
        if scheme == "ptq":
            PostTraining(module, TASK, scheme, CPU).settle()
        errors[scheme] = (module(*x) - wanted).abs().mean()
    assert errors["ptq"] < errors["none"]


def test_parts_with_a_schedule_hear_how_far_training_is() -> None:
    ops = (Conv(channels=4), RepBatchNorm(end=0.5), ClassifierHead(classes=10))
    run = trainer(chain(*ops))
    (norm,) = [item for item in run.module.modules() if hasattr(item, "follow_training")]
    run.train_epoch()
    assert 0 < norm.get_buffer("share") < 0.2
    run.train_epoch()
    assert norm.get_buffer("share") == 0.0
