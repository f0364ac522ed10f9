"""Norms, activations and scales keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Grid, Image, Logits, Series, Tokens, Vector, Volume
from nasplat.ops.checks import ACTIVATIONS, NORMS
from nasplat.ops.conv import Conv
from nasplat.ops.modules import norm as modules
from nasplat.ops.norm import (
    Activation,
    Affine,
    BatchInstanceNorm,
    BatchNorm,
    BiasNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LayerScale,
    RepBatchNorm,
    RMSNorm,
    SpikingNeurons,
    UnifiedNorm,
    UnitNorm,
)
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
TOKENS = Tokens(9, 6)
VECTOR = Vector(6)
SERIES = Series(6, 9)
VOLUME = Volume(6, 2, 3, 4)
GRID = Grid(6, 2, 2, 2, 2)


class TestLayerNorm(OpConformance):
    cases = (
        Case(LayerNorm(), SMALL),
        Case(LayerNorm(), TOKENS),
        Case(LayerNorm(), VECTOR),
        Case(LayerNorm(), SERIES),
        Case(LayerNorm(), GRID),
        Case(LayerNorm(affine=False), VOLUME),
        Case(LayerNorm(shift=False), SMALL),
        Case(LayerNorm(shift=False), TOKENS),
    )
    refused = (Case(LayerNorm(), Logits(4)), Case(LayerNorm(), SMALL, SMALL))
    larger = ((Case(LayerNorm(), SMALL), Case(LayerNorm(), Image(8, 5, 7))),)
    golden = ((Case(LayerNorm(), SMALL), 12, 0),)

    def test_each_position_of_an_image_has_zero_mean_and_unit_variance(self) -> None:
        y = LayerNorm().module(SMALL)(SMALL.example(2))
        torch.testing.assert_close(y.mean(1), torch.zeros(2, 5, 7), atol=1e-5, rtol=0)
        torch.testing.assert_close(y.var(1, correction=0), torch.ones(2, 5, 7), atol=1e-3, rtol=0)


class TestRMSNorm(OpConformance):
    cases = (
        Case(RMSNorm(), SMALL),
        Case(RMSNorm(), TOKENS),
        Case(RMSNorm(), VECTOR),
        Case(RMSNorm(), SERIES),
        Case(RMSNorm(), GRID),
        Case(RMSNorm(compressed=True), SERIES),
        Case(RMSNorm(affine=False), TOKENS),
    )
    refused = (Case(RMSNorm(), Logits(4)),)
    larger = ((Case(RMSNorm(), SMALL), Case(RMSNorm(), Image(8, 5, 7))),)
    golden = ((Case(RMSNorm(), SMALL), 6, 0),)

    def test_each_position_has_unit_mean_square(self) -> None:
        for features, axis in ((SMALL, 1), (TOKENS, -1)):
            y = RMSNorm().module(features)(features.example(2))
            power = y.square().mean(axis)
            torch.testing.assert_close(power, torch.ones_like(power), atol=1e-4, rtol=0)


class TestBatchNorm(OpConformance):
    cases = (
        Case(BatchNorm(), SMALL),
        Case(BatchNorm(), TOKENS),
        Case(BatchNorm(), VECTOR),
        Case(BatchNorm(), SERIES),
        Case(BatchNorm(), GRID),
        Case(BatchNorm(), VOLUME),
    )
    refused = (Case(BatchNorm(), Logits(4)),)
    larger = ((Case(BatchNorm(), SMALL), Case(BatchNorm(), Image(8, 5, 7))),)
    golden = ((Case(BatchNorm(), SMALL), 12, 0),)

    def test_each_channel_of_tokens_has_zero_mean_over_batch_and_positions(self) -> None:
        y = BatchNorm().module(TOKENS).train()(TOKENS.example(4))
        torch.testing.assert_close(y.mean((0, 1)), torch.zeros(6), atol=1e-5, rtol=0)


class TestGroupNorm(OpConformance):
    cases = (
        Case(GroupNorm(), SMALL),
        Case(GroupNorm(groups=3), TOKENS),
        Case(GroupNorm(groups=6, affine=False), GRID),
    )
    refused = (Case(GroupNorm(groups=4), SMALL), Case(GroupNorm(groups=0), SMALL))
    larger = ((Case(GroupNorm(), SMALL), Case(GroupNorm(), Image(8, 5, 7))),)
    golden = ((Case(GroupNorm(), SMALL), 12, 0),)


class TestInstanceNorm(OpConformance):
    cases = (
        Case(InstanceNorm(), SMALL),
        Case(InstanceNorm(affine=False), VOLUME),
        Case(InstanceNorm(), TOKENS),
        Case(InstanceNorm(), Image(6, 1, 1)),
    )
    refused = (Case(InstanceNorm(), Logits(4)),)
    larger = ((Case(InstanceNorm(), SMALL), Case(InstanceNorm(), Image(8, 5, 7))),)
    golden = ((Case(InstanceNorm(), SMALL), 12, 0),)

    def test_each_channel_of_an_example_has_zero_mean(self) -> None:
        for item in (VOLUME, TOKENS):
            y = InstanceNorm().module(item)(item.example(2))
            means = y.mean((2, 3, 4)) if item is VOLUME else y.mean(1)
            torch.testing.assert_close(means, torch.zeros(2, 6), atol=1e-5, rtol=0)


class TestBatchInstanceNorm(OpConformance):
    cases = tuple(Case(BatchInstanceNorm(), item) for item in (SMALL, TOKENS, VOLUME))
    refused = (Case(BatchInstanceNorm(), Logits(4)),)
    larger = ((Case(BatchInstanceNorm(), SMALL), Case(BatchInstanceNorm(), Image(8, 5, 7))),)
    golden = ((Case(BatchInstanceNorm(), SMALL), 18, 0),)


class TestUnifiedNorm(OpConformance):
    cases = tuple(Case(UnifiedNorm(), item) for item in (SMALL, TOKENS, VECTOR, GRID))
    refused = (Case(UnifiedNorm(window=0), SMALL),)
    larger = ((Case(UnifiedNorm(), SMALL), Case(UnifiedNorm(), Image(8, 5, 7))),)
    golden = ((Case(UnifiedNorm(), SMALL), 12, 0),)

    def test_it_divides_by_the_geometric_mean_of_the_last_mean_squares(self) -> None:
        module = UnifiedNorm(window=2).module(VECTOR).train()
        first, second = torch.full((4, 6), 2.0), torch.full((4, 6), 8.0)
        torch.testing.assert_close(module(first), torch.ones(4, 6), atol=1e-4, rtol=0)
        torch.testing.assert_close(module(second), torch.full((4, 6), 2.0), atol=1e-4, rtol=0)
        torch.testing.assert_close(module(second), torch.ones(4, 6), atol=1e-4, rtol=0)

    def test_evaluation_is_one_scale_and_one_shift(self) -> None:
        module = UnifiedNorm().module(VECTOR).train()
        module(VECTOR.example(8))
        module.eval()
        x, y = VECTOR.example(1), VECTOR.example(1)
        torch.testing.assert_close(module(x + y) + module(0 * x), module(x) + module(y))


class TestRepBatchNorm(OpConformance):
    cases = tuple(Case(RepBatchNorm(), item) for item in (SMALL, TOKENS, VECTOR, GRID))
    refused = (Case(RepBatchNorm(end=0.0), SMALL), Case(RepBatchNorm(end=2.0), SMALL))
    larger = ((Case(RepBatchNorm(), SMALL), Case(RepBatchNorm(), Image(8, 5, 7))),)
    golden = ((Case(RepBatchNorm(), SMALL), 25, 0),)

    def test_it_is_a_layer_norm_at_first_and_one_scale_and_shift_at_the_end(self) -> None:
        module = RepBatchNorm(end=0.5).module(TOKENS)
        assert isinstance(module, modules.RepBatchNorm)
        x = TOKENS.example(2)
        torch.testing.assert_close(module.eval()(x), LayerNorm().module(TOKENS)(x))
        module.train()
        for progress, share in ((0.25, 0.5), (0.5, 0.0), (1.0, 0.0)):
            module.follow_training(progress)
            assert module.share.item() == share
        module(x)
        again = RepBatchNorm(end=0.5).module(TOKENS).eval()
        again.load_state_dict(module.state_dict())
        for turned in (module.eval(), again):
            torch.testing.assert_close(turned(2 * x) + turned(0 * x), 2 * turned(x))


class TestBiasNorm(OpConformance):
    cases = tuple(Case(BiasNorm(), item) for item in (SMALL, TOKENS, VECTOR, GRID))
    refused = (Case(BiasNorm(), Logits(4)),)
    larger = ((Case(BiasNorm(), SMALL), Case(BiasNorm(), Image(8, 5, 7))),)
    golden = ((Case(BiasNorm(), SMALL), 7, 0),)


class TestUnitNorm(OpConformance):
    cases = tuple(Case(UnitNorm(), item) for item in (SMALL, TOKENS, VECTOR, GRID))
    refused = (Case(UnitNorm(), Logits(4)),)
    golden = ((Case(UnitNorm(), SMALL), 0, 0),)

    def test_each_position_has_unit_length(self) -> None:
        for item, axis in ((SMALL, 1), (TOKENS, -1)):
            length = UnitNorm().module(item)(item.example(2)).norm(dim=axis)
            torch.testing.assert_close(length, torch.ones_like(length))


class TestActivation(OpConformance):
    cases = (
        *(Case(Activation(form=form), SMALL) for form in ACTIVATIONS),
        Case(Activation(form="polynomial", degree=4), VECTOR),
        Case(Activation(), GRID),
    )
    refused = (
        Case(Activation(form="tanh"), SMALL),
        Case(Activation(), Logits(4)),
        Case(Activation(degree=4), SMALL),
        Case(Activation(form="polynomial", degree=5), SMALL),
    )
    golden = ((Case(Activation(), SMALL), 0, 0), (Case(Activation(form="polynomial"), SMALL), 4, 0))


class TestSpikingNeurons(OpConformance):
    cases = (Case(SpikingNeurons(), SERIES), Case(SpikingNeurons(decay=0.5), TOKENS))
    refused = (Case(SpikingNeurons(), SMALL), Case(SpikingNeurons(decay=2.0), SERIES))
    golden = ((Case(SpikingNeurons(), SERIES), 0, 0),)

    def test_they_gather_fire_and_start_again(self) -> None:
        x = torch.full((1, 6, 6), 0.6)
        fired = SpikingNeurons(decay=1.0).module(Series(6, 6))(x)
        assert fired[0, 0].tolist() == [0, 1, 0, 1, 0, 1]


class TestAffine(OpConformance):
    cases = (Case(Affine(), Image(6, 5, 7)), Case(Affine(), Tokens(9, 6)))
    refused = (Case(Affine(), Logits(4)),)
    larger = ((Case(Affine(), Image(6, 5, 7)), Case(Affine(), Image(8, 5, 7))),)
    golden = ((Case(Affine(), Image(6, 5, 7)), 12, 0),)


class TestLayerScale(OpConformance):
    cases = (
        Case(LayerScale(), SMALL),
        Case(LayerScale(initial=1e-5), TOKENS),
        Case(LayerScale(initial=1), VECTOR),
    )
    refused = (Case(LayerScale(), Logits(4)),)
    larger = ((Case(LayerScale(), SMALL), Case(LayerScale(), Image(8, 5, 7))),)
    golden = ((Case(LayerScale(), SMALL), 6, 0),)


def test_every_norm_form_costs_what_its_module_has_wherever_it_stands() -> None:
    for form in NORMS:
        for item in (SMALL, SERIES, VOLUME):
            op = Conv(kernel=1, norm=form)
            module = op.module(item)
            assert op.cost(item).params == sum(p.numel() for p in module.parameters()), form
            assert module.eval()(item.example(2)).shape == (2, *item.shape)


def test_a_group_norm_is_exact_however_its_input_lies_in_memory() -> None:
    torch.manual_seed(0)
    x = 1 + 0.03 * torch.randn(2, 4, 8, 8)
    norm = modules.GroupNorm(4, 4, rank=2)
    with torch.no_grad():
        expected = torch.nn.functional.instance_norm(x.double())
        for form in (torch.contiguous_format, torch.channels_last):
            met = norm(x.contiguous(memory_format=form))
            torch.testing.assert_close(met.double(), expected, atol=5e-5, rtol=0)
