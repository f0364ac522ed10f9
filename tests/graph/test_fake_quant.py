"""Fake quantisation rounds what it says, learns through the rounding, and exports."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from nasplat.graph.fake_quant import (
    ActivationQuantiser,
    QuantConv2d,
    QuantLayer,
    QuantLinear,
    fake_quantise,
    quantised_weight,
)
from nasplat.graph.op import Bits


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1, dilation=1, groups=3, bias=False),
        nn.BatchNorm2d(6),
        nn.Sequential(nn.ReLU(), nn.Flatten()),
        nn.Linear(96, 5),
    )


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_each_output_channel_has_at_most_so_many_levels_symmetric_about_zero(bits: int) -> None:
    weight = torch.randn(4, 40, 9, 9) * torch.tensor([0.01, 1.0, 5.0, 100.0]).view(4, 1, 1, 1)
    rounded = quantised_weight(weight, bits)
    for channel in rounded:
        levels = channel.unique()
        step = levels.diff().min()
        assert len(levels) <= 2**bits - 1
        torch.testing.assert_close(levels / step, torch.round(levels / step), atol=1e-2, rtol=0)


@pytest.mark.parametrize(("bits", "error"), [(8, 0.5 / 127), (4, 0.5 / 7)])
def test_a_weight_moves_by_at_most_half_a_step(bits: int, error: float) -> None:
    weight = torch.randn(4, 30)
    moved = (quantised_weight(weight, bits) - weight).abs().amax(1)
    assert (moved <= error * weight.abs().amax(1) + 1e-6).all()


def test_two_bits_leave_three_levels_at_the_mean_magnitude() -> None:
    weight = torch.tensor([[0.1, -0.4, 1.0, -2.5]])
    assert quantised_weight(weight, 2).tolist() == [[0.0, 0.0, 1.0, -1.0]]


def test_one_bit_leaves_the_sign_and_1_58_bits_leave_three_levels() -> None:
    weight = torch.tensor([[0.1, -0.4, 1.0, -2.5]], requires_grad=True)
    binary = quantised_weight(weight, 1)
    assert binary.tolist() == [[1.0, -1.0, 1.0, -1.0]]
    torch.autograd.backward(binary.sum())
    assert weight.grad is not None and weight.grad.tolist() == [[1.0] * 4]
    assert torch.equal(quantised_weight(weight, 1.58), quantised_weight(weight, 2))


def test_sixteen_bits_round_finely() -> None:
    weight = torch.randn(2, 30)
    moved = (quantised_weight(weight, 16) - weight).abs().amax()
    assert 0 < moved < 1e-4 * weight.abs().amax()


def test_a_channel_of_zeros_stays_zero() -> None:
    assert not quantised_weight(torch.zeros(2, 3), 4).any()


def test_thirty_two_bits_change_nothing() -> None:
    weight = torch.randn(2, 3)
    assert quantised_weight(weight, 32) is weight


def test_activations_have_so_many_levels_and_zero_is_one_of_them() -> None:
    quantiser = ActivationQuantiser(4).train()
    x = torch.rand(1000) * 3 - 1
    x[0] = 0.0
    y = quantiser(x)
    assert len(y.unique()) <= 16
    assert y[0] == 0.0
    assert (y - x).abs().max() <= 0.51 * 3 / 15


def test_one_bit_of_activations_leaves_two_levels_about_their_mean() -> None:
    quantiser = ActivationQuantiser(1).train()
    assert quantiser(torch.tensor([0.0, 0.0, 4.0, 4.0, 7.0])).unique().tolist() == pytest.approx(
        [0.6, 5.4]
    )


def test_the_range_is_the_first_batchs_then_moves_slowly_and_stands_still_in_evaluation() -> None:
    quantiser = ActivationQuantiser(8).train()
    quantiser(torch.tensor([-1.0, 2.0]))
    assert (quantiser.low.item(), quantiser.high.item()) == (-1.0, 2.0)
    quantiser(torch.tensor([1.0, 12.0]))
    assert quantiser.low.item() == pytest.approx(-0.9)
    assert quantiser.high.item() == pytest.approx(3.0)
    quantiser.eval()(torch.tensor([-50.0, 50.0]))
    assert quantiser.high.item() == pytest.approx(3.0)


def test_gradients_pass_the_rounding_and_stop_at_the_range() -> None:
    quantiser = ActivationQuantiser(8).eval()
    x = torch.tensor([0.123, -9.0, 9.0], requires_grad=True)
    torch.autograd.backward(quantiser(x).sum())
    assert x.grad is not None and x.grad.tolist() == [1.0, 0.0, 0.0]


def test_every_linear_and_convolution_is_replaced_and_keeps_its_parameters() -> None:
    net = _net()
    before = dict(net.named_parameters())
    wide = copy.deepcopy(net)
    narrow = fake_quantise(net, Bits(8, 8))
    assert [type(layer) for layer in (narrow.get_submodule("0"), narrow.get_submodule("3"))] == [
        QuantConv2d,
        QuantLinear,
    ]
    after = dict(narrow.named_parameters())
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    x = torch.randn(4, 3, 8, 8)
    narrow.train()(x)
    wide.train()(x)
    difference = (narrow.eval()(x) - wide.eval()(x)).abs().max()
    assert 0 < difference < 0.05


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(4, 3), (2, 4)),
        (nn.Conv1d(4, 6, 3, 2, 1, groups=2, bias=False), (2, 4, 7)),
        (nn.Conv2d(4, 3, (1, 3), dilation=2), (2, 4, 5, 7)),
        (nn.Conv3d(4, 3, 3, padding=1), (2, 4, 3, 4, 5)),
        (nn.Embedding(5, 4), ()),
    ],
    ids=lambda item: type(item).__name__,
)
def test_a_layer_by_itself_is_replaced_and_rounds_or_not(
    layer: nn.Module, shape: tuple[int, ...]
) -> None:
    x = torch.randn(*shape) if shape else torch.tensor([[0, 4, 2]])
    wanted = layer(x)
    twin = fake_quantise(layer, Bits(4, 8))
    assert isinstance(twin, QuantLayer)
    assert not torch.allclose(twin(x), wanted)
    twin.rounding = False
    assert torch.equal(twin(x), wanted)


def test_it_draws_no_random_numbers() -> None:
    net = _net()
    state = torch.get_rng_state()
    fake_quantise(net, Bits(2, 2))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_layer_used_twice_can_be_trained() -> None:
    layer = fake_quantise(nn.Linear(4, 4), Bits(4, 4)).train()
    torch.autograd.backward(layer(layer(torch.randn(8, 4))).sum())
    gradient = layer.get_parameter("weight").grad
    assert gradient is not None and gradient.isfinite().all() and gradient.any()


@pytest.mark.parametrize(
    "bits", [Bits(2, 2), Bits(4, 8), Bits(8, 32), Bits(32, 4), Bits(1, 32), Bits(1.58, 1)]
)
def test_a_narrow_net_learns(bits: Bits) -> None:
    net = fake_quantise(_net(), bits).train()
    x = torch.randn(16, 3, 8, 8)
    target = torch.arange(16) % 5
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(net(x), target)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_it_exports_with_a_dynamic_batch() -> None:
    net = fake_quantise(_net(), Bits(4, 4)).train()
    net(torch.randn(4, 3, 8, 8))
    net.eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(net, (torch.randn(2, 3, 8, 8),), dynamic_shapes=({0: batch},))
    x = torch.randn(5, 3, 8, 8)
    torch.testing.assert_close(program.module()(x), net(x))
