"""Feed-forward ops keep the contract of ops."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from nasplat.graph.types import Grid, Ids, Image, Series, TensorType, Tokens, Vector, Volume
from nasplat.ops.ffn import MLP, DepthwiseMLP, GatedMLP, SparseCodingStep
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)
TOKENS = Tokens(9, 6)
IDS = Ids(9, 6)


class TestMLP(OpConformance):
    cases = (
        Case(MLP(), SMALL),
        Case(MLP(ratio=1.5, activation="relu"), TOKENS),
        Case(MLP(ratio=0.01), SMALL),
        Case(MLP(hidden=5, depth=4, bias=False, norm="rms"), Series(6, 5)),
        Case(MLP(depth=3, activation="polynomial", norm="layer"), Volume(2, 2, 3, 2)),
        Case(MLP(activation="swoosh_r"), Grid(2, 2, 1, 2, 3)),
        Case(MLP(activation="gelu_tanh"), Vector(4)),
    )
    refused = (
        Case(MLP(), IDS),
        Case(MLP(ratio=0), SMALL),
        Case(MLP(activation="x"), SMALL),
        Case(MLP(depth=5), SMALL),
        Case(MLP(hidden=0), SMALL),
        Case(MLP(norm="x"), SMALL),
    )
    larger = (
        (Case(MLP(ratio=2), SMALL), Case(MLP(ratio=3), EVEN)),
        (Case(MLP(ratio=2), TOKENS), Case(MLP(ratio=3, depth=4), Tokens(9, 8))),
    )
    golden = (
        # A block of ViT-Tiny.
        (Case(MLP(), Tokens(197, 192)), 295872, 58097664),
        (Case(MLP(depth=3, activation="polynomial", hidden=8), Tokens(2, 4)), 156, 256),
    )


class TestGatedMLP(OpConformance):
    cases = (
        Case(GatedMLP(), SMALL),
        Case(GatedMLP(gate="glu"), TOKENS),
        Case(GatedMLP(gate="geglu", ratio=1), SMALL),
        Case(GatedMLP(hidden=7, bias=False, gate="reglu", norm="layer"), TOKENS),
        Case(GatedMLP(kernel=3, mask="causal"), TOKENS),
        Case(GatedMLP(kernel=3, mask="causal", gate="polynomial"), Series(4, 5)),
        Case(GatedMLP(kernel=3), Volume(2, 2, 3, 2)),
    )
    refused = (
        Case(GatedMLP(), IDS),
        Case(GatedMLP(gate="x"), SMALL),
        Case(GatedMLP(kernel=2), SMALL),
        Case(GatedMLP(kernel=3), Vector(4)),
        Case(GatedMLP(kernel=3, mask="causal"), SMALL),
        Case(GatedMLP(mask="sliding"), TOKENS),
    )
    larger = (
        (Case(GatedMLP(ratio=2), SMALL), Case(GatedMLP(ratio=3), EVEN)),
        (Case(GatedMLP(ratio=2, kernel=3), SMALL), Case(GatedMLP(ratio=3, kernel=5), EVEN)),
    )
    golden = (
        (Case(GatedMLP(), EVEN), 528, 30720),
        # A feed-forward part of TinyLlama.
        (Case(GatedMLP(hidden=5632, bias=False), Tokens(1, 2048)), 34603008, 34603008),
    )

    def test_a_causal_gate_sees_no_later_token(self) -> None:
        module = GatedMLP(kernel=3, mask="causal").module(TOKENS)
        assert_causal(module, TOKENS)


def assert_causal(module: torch.nn.Module, features: TensorType) -> None:
    """What comes out at a position does not change with later tokens."""
    x = features.example(2, torch.Generator().manual_seed(0))
    other = x.clone()
    other[:, 5:] = torch.randn_like(other[:, 5:])
    with torch.no_grad():
        one, two = module.eval()(x), module(other)
    torch.testing.assert_close(one[:, :5], two[:, :5])
    assert not torch.equal(one[:, 5:], two[:, 5:])


class TestDepthwiseMLP(OpConformance):
    cases = (
        Case(DepthwiseMLP(), SMALL),
        Case(DepthwiseMLP(ratio=1.5, kernel=5), SMALL),
        Case(DepthwiseMLP(kernels=(3, 5), hidden=3), Series(4, 6)),
        Case(DepthwiseMLP(gated=True, ratio=1, activation="polynomial"), Volume(2, 3, 2, 3)),
        Case(DepthwiseMLP(kernels=(3, 1), gated=True, ratio=1), Grid(3, 4)),
    )
    refused = (
        Case(DepthwiseMLP(), TOKENS),
        Case(DepthwiseMLP(kernel=4), SMALL),
        Case(DepthwiseMLP(kernels=(3, 4)), SMALL),
        Case(DepthwiseMLP(kernels=()), SMALL),
        Case(DepthwiseMLP(), Grid(2, 2, 2, 2, 2)),
    )
    larger = (
        (Case(DepthwiseMLP(), SMALL), Case(DepthwiseMLP(kernel=5), EVEN)),
        (Case(DepthwiseMLP(kernels=(3, 5)), SMALL), Case(DepthwiseMLP(kernels=(5, 7)), EVEN)),
    )
    golden = (
        (Case(DepthwiseMLP(), EVEN), 872, 51200),
        (Case(DepthwiseMLP(kernels=(3, 5), gated=True, ratio=1), Series(2, 4)), 62, 192),
    )


class TestSparseCodingStep(OpConformance):
    cases = (Case(SparseCodingStep(), TOKENS), Case(SparseCodingStep(step=0.5, threshold=0), SMALL))
    refused = (
        Case(SparseCodingStep(), IDS),
        Case(SparseCodingStep(step=0), TOKENS),
        Case(SparseCodingStep(threshold=-1), TOKENS),
    )
    larger = ((Case(SparseCodingStep(), TOKENS), Case(SparseCodingStep(), Tokens(9, 8))),)
    golden = ((Case(SparseCodingStep(), TOKENS), 36, 648),)

    def test_it_is_the_step_of_the_paper(self) -> None:
        module = SparseCodingStep(step=0.2, threshold=0.3).module(TOKENS)
        x = TOKENS.example(2)
        dictionary = module.get_parameter("dictionary.weight")
        gradient = (x @ dictionary.T) @ dictionary - x @ dictionary
        wanted = functional.relu(x - 0.2 * gradient - 0.06)
        torch.testing.assert_close(module(x), wanted)


def test_polynomial_activation_is_the_weighted_sum_of_powers_of_relu() -> None:
    module = MLP(activation="polynomial").module(TOKENS)
    activation = module.get_submodule("activation")
    with torch.no_grad():
        activation.get_parameter("weight").copy_(torch.tensor([1.0, 2.0, 3.0]))
        activation.get_parameter("shift").fill_(0.5)
        found = activation(torch.tensor([-1.0, 0.0, 2.0]))
    assert found.tolist() == pytest.approx([0.5, 0.5, 0.5 + 2 + 8 + 24])
