"""Mixtures of experts keep the contract of ops, and route as they say."""

from __future__ import annotations

import copy

import pytest
import torch

from nasplat.graph.types import Ids, Image, Series, Tokens, Vector
from nasplat.ops.moe import MoE
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)
EVEN = Image(8, 8, 8)
TOKENS = Tokens(9, 6)


class TestMoE(OpConformance):
    cases = (
        Case(MoE(), SMALL),
        Case(MoE(experts=3, top_k=2, width=1.5, shared_experts=1), TOKENS),
        Case(MoE(experts=2, top_k=2, width=1, shared_experts=2), SMALL),
        Case(MoE(gate="swiglu", bias=False, hidden=5, top_k=2), TOKENS),
        Case(MoE(gate="swiglu", shared_experts=1, activation="relu"), Series(4, 3)),
        Case(MoE(experts=3), TOKENS, Tokens(9, 3)),
        Case(MoE(router="expert_choice", capacity=2), SMALL),
        Case(MoE(router="expert_choice"), TOKENS),
        Case(MoE(router="soft", experts=2, shared_experts=1), TOKENS),
        Case(MoE(router="soft", gate="geglu", capacity=2), Image(4, 2, 3)),
        Case(MoE(router="key_similarity", top_k=2, width=1), TOKENS),
        Case(MoE(router="key_similarity", gate="glu", width=1), SMALL),
        Case(MoE(router="hashed_clusters", bits=2), TOKENS),
        Case(MoE(router="hashed_clusters", bits=1, mask="causal", shared_experts=1), TOKENS),
        Case(MoE(axis="token", width=1), TOKENS),
        Case(MoE(axis="token", experts=2, width=1), Image(4, 2, 3)),
        Case(MoE(activation="polynomial"), Vector(4)),
    )
    refused = (
        Case(MoE(), Ids(9, 6)),
        Case(MoE(experts=2, top_k=3), SMALL),
        Case(MoE(experts=0), SMALL),
        Case(MoE(balance=-1), SMALL),
        Case(MoE(router="x"), SMALL),
        Case(MoE(gate="x"), SMALL),
        Case(MoE(router="soft", mask="causal"), TOKENS),
        Case(MoE(router="expert_choice", mask="causal"), TOKENS),
        Case(MoE(router="hashed_clusters"), SMALL),
        Case(MoE(axis="token", router="soft"), TOKENS),
        Case(MoE(axis="token", mask="causal"), TOKENS),
        Case(MoE(experts=3), TOKENS, Tokens(9, 4)),
        Case(MoE(experts=3, router="soft"), TOKENS, Tokens(9, 3)),
    )
    larger = (
        (Case(MoE(experts=2, width=1), SMALL), Case(MoE(width=2, shared_experts=1), EVEN)),
        (Case(MoE(experts=2), TOKENS), Case(MoE(experts=4), Tokens(9, 8))),
        (
            Case(MoE(experts=2, gate="glu"), TOKENS),
            Case(MoE(experts=4, gate="glu"), Tokens(9, 8)),
        ),
        (Case(MoE(experts=2, axis="token"), TOKENS), Case(MoE(axis="token"), Tokens(9, 8))),
        (Case(MoE(router="soft"), TOKENS), Case(MoE(router="soft"), Tokens(9, 8))),
    )
    golden = (
        (Case(MoE(), EVEN), 1128, 67584),
        # A feed-forward part of Mixtral of width 512 with 8 experts of 1,792.
        (
            Case(MoE(experts=8, top_k=2, gate="swiglu", bias=False, hidden=1792), Tokens(1, 512)),
            22024192,
            22024192,
        ),
        (Case(MoE(router="soft", experts=2, width=1, capacity=1), Tokens(4, 2)), 33, 128),
    )

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

    def test_an_expert_takes_its_best_positions(self) -> None:
        module = MoE(router="expert_choice", experts=3, capacity=1).module(TOKENS).eval()
        x = TOKENS.example(2)
        weights = module.weights(x, None)  # type: ignore[operator]  # a method of this module
        probability = module.get_submodule("router")(x).softmax(-1)
        assert (weights > 0).sum(1).eq(3).all()
        for expert in range(3):
            taken = weights[0, :, expert] > 0
            left = probability[0, ~taken, expert]
            assert probability[0, taken, expert].min() >= left.max()

    def test_given_logits_route_as_a_router_with_the_same_would(self) -> None:
        own = MoE(experts=3).module(TOKENS).eval()
        given = MoE(experts=3).module(TOKENS, Tokens(9, 3)).eval()
        given.load_state_dict({k: v for k, v in own.state_dict().items() if "router" not in k})
        x = TOKENS.example(2)
        torch.testing.assert_close(given(x, own.get_submodule("router")(x)), own(x))

    @pytest.mark.parametrize("causal", [False, True])
    def test_positions_that_hash_alike_share_what_the_experts_give(self, causal: bool) -> None:
        op = MoE(router="hashed_clusters", bits=1, mask="causal" if causal else "none")
        module = op.module(TOKENS).eval()
        x = TOKENS.example(1)
        signs = (x[0] @ module.get_buffer("planes"))[:, 0] > 0
        shared = (module(x) - x)[0].detach()
        for one in range(9):
            for other in range(9):
                same = torch.allclose(shared[one], shared[other], atol=1e-5)
                if not causal:
                    assert same == bool(signs[one] == signs[other])
        later = x.clone()
        later[:, 6:] = 5.0
        assert torch.allclose(module(later)[:, :6], module(x)[:, :6], atol=1e-5) == causal
