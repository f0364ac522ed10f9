"""Attentions of other forms keep the contract of ops, and do what their papers say."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from nasplat.graph.types import Image, Series, Tokens, Vector
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_forms import (
    ClusteringCrossAttention,
    ComplexAttention,
    GatedAttentionUnit,
    HashedBinaryAttention,
    MoEAttention,
    SubspaceAttention,
)
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(12, 3, 5)
TOKENS = Tokens(9, 12)
WIDE = Tokens(6, 24)


class TestComplexAttention(OpConformance):
    cases = (
        Case(ComplexAttention(mask="causal", kv_heads=2), Tokens(9, 16)),
        Case(ComplexAttention(per_head_phase=False, heads=5), SMALL),
    )
    refused = (
        Case(ComplexAttention(), Vector(4)),
        Case(ComplexAttention(mask="x"), TOKENS),
        Case(ComplexAttention(rotary_base=0.0), TOKENS),
    )
    larger = ((Case(ComplexAttention(heads=2), TOKENS), Case(ComplexAttention(), Tokens(9, 32))),)
    golden = ((Case(ComplexAttention(heads=2), TOKENS), 628, 4 * 144 * 9 + 24 * 81),)

    def test_without_adaptation_it_is_rotary_attention(self) -> None:
        """Angles are neither stretched nor shifted at first: positions alone turn them."""
        tokens = Tokens(9, 16)
        module = ComplexAttention().module(tokens)
        rotary = SelfAttention(rotary=1.0).module(tokens)
        rotary.load_state_dict(module.state_dict(), strict=False)
        x = tokens.example(2)
        torch.testing.assert_close(module(x), rotary(x), atol=1e-4, rtol=1e-4)


class TestHashedBinaryAttention(OpConformance):
    cases = (
        Case(HashedBinaryAttention(kv_heads=2), TOKENS),
        Case(HashedBinaryAttention(code_bits=5), SMALL),
    )
    refused = (
        Case(HashedBinaryAttention(), Vector(4)),
        Case(HashedBinaryAttention(code_bits=0), TOKENS),
    )
    larger = (
        (
            Case(HashedBinaryAttention(heads=2, code_bits=4), TOKENS),
            Case(HashedBinaryAttention(), Tokens(9, 32)),
        ),
    )
    golden = (
        (
            Case(HashedBinaryAttention(code_bits=8), TOKENS),
            4 * 12 * 13 + 3 * 8 + 8,
            4 * 144 * 9 + 3 * 8 * 72 + 9 * 9 * 24,
        ),
    )

    def test_agreeing_signs_weigh_values(self) -> None:
        module = HashedBinaryAttention(heads=1, code_bits=6).module(TOKENS)
        x = TOKENS.example(2)
        hashed = module.get_submodule("hash")
        query, key = (hashed(module.get_submodule(name)(x)).sign() for name in ("query", "key"))
        agree = (query.unsqueeze(2) == key.unsqueeze(1)).sum(3).float()
        value = module.get_submodule("value")(x)
        wanted = module.get_submodule("out")((agree / agree.sum(2, keepdim=True)) @ value)
        torch.testing.assert_close(module(x), wanted)


class TestSubspaceAttention(OpConformance):
    cases = (
        Case(SubspaceAttention(), TOKENS),
        Case(SubspaceAttention(subspaces=3, dim=5, step=-0.5), SMALL),
    )
    refused = (
        Case(SubspaceAttention(), Vector(4)),
        Case(SubspaceAttention(subspaces=0), TOKENS),
        Case(SubspaceAttention(dim=0), TOKENS),
        Case(SubspaceAttention(step=0.0), TOKENS),
    )
    larger = (
        (Case(SubspaceAttention(subspaces=2), TOKENS), Case(SubspaceAttention(), Tokens(9, 32))),
    )
    golden = ((Case(SubspaceAttention(), TOKENS), 2 * 144 + 12, 2 * 144 * 9 + 24 * 81),)

    def test_it_is_attention_with_one_projection(self) -> None:
        module = SubspaceAttention(step=2.0).module(TOKENS)
        whole = SelfAttention(bias=False).module(TOKENS)
        basis = module.get_parameter("basis.weight")
        state = {f"{name}.weight": basis for name in ("query", "key", "value")}
        state |= {f"out.{name}": module.get_parameter(f"out.{name}") for name in ("weight", "bias")}
        whole.load_state_dict(state)
        x = TOKENS.example(2)
        torch.testing.assert_close(module(x), 2.0 * whole(x))


class TestMoEAttention(OpConformance):
    cases = (
        Case(MoEAttention(mask="causal", rotary=1.0), TOKENS),
        Case(MoEAttention(experts=3, top_k=1, routed=("query", "output"), heads=2), TOKENS),
        Case(MoEAttention(experts=2, routed=("value",), bias=False), TOKENS),
    )
    refused = (
        Case(MoEAttention(), SMALL),
        Case(MoEAttention(experts=0), TOKENS),
        Case(MoEAttention(top_k=5), TOKENS),
        Case(MoEAttention(routed=()), TOKENS),
        Case(MoEAttention(routed=("key",)), TOKENS),
        Case(MoEAttention(kv_heads=1), TOKENS),
        Case(MoEAttention(mask="x"), TOKENS),
    )
    larger = (
        (Case(MoEAttention(heads=2, experts=2), TOKENS), Case(MoEAttention(), Tokens(9, 32))),
    )
    golden = (
        (
            Case(MoEAttention(), TOKENS),
            2 * 156 + 2 * (4 * 144 + 12 * 16),
            9 * (2 * 144 + 2 * (4 * 144 + 12 * 16)) + 24 * 81,
        ),
    )

    def test_equal_experts_with_full_weight_are_one(self) -> None:
        """All routers say one half for each of two experts, which add up to a plain projection."""
        module = MoEAttention(experts=2, routed=("value",)).module(TOKENS)
        whole = SelfAttention().module(TOKENS)
        with torch.no_grad():
            module.get_parameter("routers.value.weight").zero_()
            value = whole.get_parameter("value.weight")
            whole.get_parameter("value.bias").zero_()
            both = value.view(4, 1, 3, 12).expand(4, 2, 3, 12).reshape(24, 12)
            module.get_parameter("value.weight").copy_(both)
            for name in ("query", "key", "out"):
                module.get_submodule(name).load_state_dict(whole.get_submodule(name).state_dict())
        x = TOKENS.example(2)
        torch.testing.assert_close(module(x), whole(x))

    def test_an_expert_that_is_not_chosen_has_no_part(self) -> None:
        module = MoEAttention(experts=3, top_k=1, routed=("value",), heads=1).module(TOKENS)
        with torch.no_grad():
            module.get_parameter("routers.value.weight").zero_()
            module.get_parameter("routers.value.weight")[1].fill_(1.0)
        module(TOKENS.example(1).abs()).sum().backward()
        grad = module.get_parameter("value.weight").grad
        assert grad is not None
        assert [bool(part.any()) for part in grad.view(3, 12, 12)] == [False, True, False]


def make_scores_positive(module: torch.nn.Module) -> None:
    """A gated unit's queries and keys are above 0.7 then: no square of a score is zero."""
    with torch.no_grad():
        module.get_parameter("scale").fill_(1.0)
        module.get_parameter("shift").fill_(1.0)


class TestGatedAttentionUnit(OpConformance):
    cases = (
        Case(GatedAttentionUnit(chunk=4, key_dim=5, mask="causal"), TOKENS),
        Case(GatedAttentionUnit(expand=1.5, linear_branch=False), SMALL),
        Case(GatedAttentionUnit(chunk=4, key_dim=5), Series(6, 10)),
    )
    refused = (
        Case(GatedAttentionUnit(), Vector(4)),
        Case(GatedAttentionUnit(expand=0.0), TOKENS),
        Case(GatedAttentionUnit(key_dim=0), TOKENS),
        Case(GatedAttentionUnit(chunk=0), TOKENS),
        Case(GatedAttentionUnit(mask="x"), TOKENS),
    )
    larger = (
        (
            Case(GatedAttentionUnit(key_dim=4), TOKENS),
            Case(GatedAttentionUnit(key_dim=6), Tokens(9, 16)),
        ),
    )
    golden = (
        (
            Case(GatedAttentionUnit(chunk=4, key_dim=5), TOKENS),
            2 * 12 * 24 + 48 + 65 + 24 * 12 + 12 + 40,
            9 * (3 * 288 + 60) + 3 * 16 * 29 + 2 * 3 * 4 * 5 * 24,
        ),
    )

    def test_a_causal_one_does_not_see_what_comes_later(self) -> None:
        module = GatedAttentionUnit(chunk=4, mask="causal").module(TOKENS)
        make_scores_positive(module)
        x = TOKENS.example(1).requires_grad_()
        (found,) = torch.autograd.grad(module(x)[0, 5].sum(), x)
        assert [bool(item.any()) for item in found[0]] == [True] * 6 + [False] * 3

    @pytest.mark.parametrize(("linear", "wanted"), [(True, 9), (False, 4)])
    def test_the_linear_branch_reaches_other_chunks(self, linear: bool, wanted: int) -> None:
        module = GatedAttentionUnit(chunk=4, linear_branch=linear).module(TOKENS)
        make_scores_positive(module)
        x = TOKENS.example(1).requires_grad_()
        (found,) = torch.autograd.grad(module(x)[0, 5].sum(), x)
        assert int(found[0].any(1).sum()) == wanted


class TestClusteringCrossAttention(OpConformance):
    cases = (
        Case(ClusteringCrossAttention(), Tokens(4, 12), SMALL),
        Case(ClusteringCrossAttention(assign="prototype_per_query", heads=3), Tokens(4, 6), TOKENS),
    )
    refused = (
        Case(ClusteringCrossAttention(), TOKENS),
        Case(ClusteringCrossAttention(), SMALL, TOKENS),
        Case(ClusteringCrossAttention(assign="x"), TOKENS, SMALL),
        Case(ClusteringCrossAttention(heads=0), TOKENS, SMALL),
        Case(ClusteringCrossAttention(head_dim=0), TOKENS, SMALL),
    )
    larger = (
        (
            Case(ClusteringCrossAttention(heads=2), TOKENS, SMALL),
            Case(ClusteringCrossAttention(heads=2), WIDE, Image(16, 2, 2)),
        ),
    )
    golden = (
        (
            Case(ClusteringCrossAttention(), Tokens(4, 12), SMALL),
            4 * 156,
            144 * (2 * 4 + 2 * 15) + 24 * 60,
        ),
        (
            Case(ClusteringCrossAttention(assign="prototype_per_query"), Tokens(4, 12), SMALL),
            3 * 156 + 12,
            144 * (2 * 4 + 15) + 12 * 60,
        ),
    )

    def test_a_query_takes_the_mean_of_its_positions(self) -> None:
        queries = Tokens(4, 12)
        module = ClusteringCrossAttention().module(queries, TOKENS)
        x, y = queries.example(1), TOKENS.example(1)
        query, key, value = (
            module.get_submodule(name)(z)[0] for name, z in (("query", x), ("key", y), ("value", y))
        )
        owner = (query @ key.T).argmax(0)
        means = torch.stack(
            [value[owner == i].sum(0) / max(1, int((owner == i).sum())) for i in range(4)]
        )
        torch.testing.assert_close(module(x, y)[0], module.get_submodule("out")(means))

    def test_a_query_multiplies_its_prototype(self) -> None:
        queries = Tokens(4, 12)
        op = ClusteringCrossAttention(assign="prototype_per_query")
        module, x, y = op.module(queries, TOKENS), queries.example(1), TOKENS.example(1)
        query, key = module.get_submodule("query")(x)[0], module.get_submodule("key")(y)[0]
        found = functional.normalize(query, dim=1) * key[(query @ key.T).argmax(1)]
        torch.testing.assert_close(module(x, y)[0], module.get_submodule("out")(found))
