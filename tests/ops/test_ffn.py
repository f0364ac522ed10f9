"""Feed-forward ops keep the contract of ops."""

from __future__ import annotations

import copy

import pytest
import torch

from nasplat.graph.types import Image, Tokens, Vector
from nasplat.ops.ffn import MLP, DepthwiseMLP, GatedMLP, MoE
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)
TOKENS = Tokens(9, 6)


class TestMLP(OpConformance):
    cases = (
        Case(MLP(), SMALL),
        Case(MLP(ratio=1.5, activation="relu"), TOKENS),
        Case(MLP(ratio=0.01), SMALL),
    )
    refused = (Case(MLP(), Vector(8)), Case(MLP(ratio=0), SMALL), Case(MLP(activation="x"), SMALL))
    larger = ((Case(MLP(ratio=2), SMALL), Case(MLP(ratio=3), EVEN)),)
    # A block of ViT-Tiny.
    golden = ((Case(MLP(), Tokens(197, 192)), 295872, 58097664),)


class TestGatedMLP(OpConformance):
    cases = (
        Case(GatedMLP(), SMALL),
        Case(GatedMLP(gate="glu"), TOKENS),
        Case(GatedMLP(gate="geglu", ratio=1), SMALL),
    )
    refused = (Case(GatedMLP(), Vector(8)), Case(GatedMLP(gate="x"), SMALL))
    larger = ((Case(GatedMLP(ratio=2), SMALL), Case(GatedMLP(ratio=3), EVEN)),)
    golden = ((Case(GatedMLP(), EVEN), 528, 30720),)


class TestDepthwiseMLP(OpConformance):
    cases = (Case(DepthwiseMLP(), SMALL), Case(DepthwiseMLP(ratio=1.5, kernel=5), SMALL))
    refused = (Case(DepthwiseMLP(), TOKENS), Case(DepthwiseMLP(kernel=4), SMALL))
    larger = ((Case(DepthwiseMLP(), SMALL), Case(DepthwiseMLP(kernel=5), EVEN)),)
    golden = ((Case(DepthwiseMLP(), EVEN), 872, 51200),)


class TestMoE(OpConformance):
    cases = (
        Case(MoE(), SMALL),
        Case(MoE(experts=3, top_k=2, width=1.5, shared_experts=1), TOKENS),
        Case(MoE(experts=2, top_k=2, width=1, shared_experts=2), SMALL),
    )
    refused = (
        Case(MoE(), Vector(8)),
        Case(MoE(experts=2, top_k=3), SMALL),
        Case(MoE(experts=0), SMALL),
        Case(MoE(balance=-1), SMALL),
    )
    larger = (
        (Case(MoE(experts=2, width=1), SMALL), Case(MoE(width=2, shared_experts=1), EVEN)),
        (Case(MoE(experts=2), TOKENS), Case(MoE(experts=4), Tokens(9, 8))),
    )
    golden = ((Case(MoE(), EVEN), 1128, 67584),)

    def test_only_the_best_experts_count_and_as_much_as_the_router_says(self) -> None:
        op = MoE(experts=3, top_k=2, width=2)
        module = op.module(TOKENS).eval()
        x = TOKENS.example(2)
        router, up, down = (module.get_submodule(name) for name in ("router", "up", "down"))
        weights = router(x).softmax(-1)
        wanted = torch.zeros_like(x) + down.get_parameter("bias")
        for b in range(2):
            for n in range(9):
                best = weights[b, n].argsort(descending=True)[:2].tolist()
                for expert in best:
                    rows = slice(12 * expert, 12 * expert + 12)
                    hidden = torch.nn.functional.gelu(
                        up.get_parameter("weight")[rows] @ x[b, n] + up.get_parameter("bias")[rows]
                    )
                    share = weights[b, n, expert] / weights[b, n, best].sum()
                    wanted[b, n] += share * (down.get_parameter("weight")[:, rows] @ hidden)
        torch.testing.assert_close(module(x), wanted, atol=1e-5, rtol=1e-5)

    def test_the_loss_is_least_at_balance_and_grows_with_imbalance(self) -> None:
        module = MoE(experts=4, top_k=1, balance=0.5).module(TOKENS).train()
        module(TOKENS.example(64))
        balanced = module.auxiliary_loss
        with torch.no_grad():
            module.get_parameter("router.weight").mul_(0.0)[0] = 10.0
        module(TOKENS.example(64).abs())
        collapsed = module.auxiliary_loss
        assert isinstance(balanced, torch.Tensor) and isinstance(collapsed, torch.Tensor)
        assert balanced.item() == pytest.approx(0.5, abs=0.1)
        assert collapsed.item() == pytest.approx(2.0, abs=0.01)

    def test_the_loss_reaches_the_router_and_is_gone_in_evaluation(self) -> None:
        module = MoE(top_k=2).module(SMALL).train()
        x = SMALL.example(2)
        module(x)
        loss = module.auxiliary_loss
        assert isinstance(loss, torch.Tensor)
        torch.autograd.backward(loss)
        assert module.get_parameter("router.weight").grad.abs().sum() > 0  # type: ignore[union-attr]  # just computed
        module.eval()(x)
        assert module.auxiliary_loss is None

    def test_it_can_be_copied_between_forward_and_backward(self) -> None:
        module = MoE().module(SMALL).train()
        module(SMALL.example(2))
        again = copy.deepcopy(module)
        assert (again.auxiliary_loss is None, module.auxiliary_loss is None) == (True, False)

    def test_a_smaller_mixture_takes_the_leading_channels_of_the_leading_experts(self) -> None:
        index = MoE(experts=2).select("up.bias", (4,), (9,), MoE(experts=3))
        assert index == ([0, 1, 3, 4],)
