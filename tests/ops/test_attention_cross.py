"""Attention between several inputs keeps the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Presence, Tokens, Vector
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_cross import ClassAttention, CrossLayerAttention, JointAttention
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(12, 3, 5)
TOKENS = Tokens(9, 12)
WIDE = Tokens(6, 24)


class TestClassAttention(OpConformance):
    cases = (
        Case(ClassAttention(), TOKENS),
        Case(ClassAttention(count=3, kv_heads=2, key_bias=False), TOKENS),
    )
    refused = (
        Case(ClassAttention(), SMALL),
        Case(ClassAttention(), Vector(4)),
        Case(ClassAttention(count=10), TOKENS),
        Case(ClassAttention(count=0), TOKENS),
    )
    larger = ((Case(ClassAttention(heads=2), TOKENS), Case(ClassAttention(), WIDE)),)
    # A class-attention layer of XCiT-T12 at 224 pixels.
    golden = (
        (Case(ClassAttention(), Tokens(197, 192)), 148224, 192 * 192 * (2 + 2 * 197) + 384 * 197),
    )

    def test_it_is_the_first_row_of_self_attention(self) -> None:
        few, whole = ClassAttention(count=2).module(TOKENS), SelfAttention().module(TOKENS)
        whole.load_state_dict(few.state_dict())
        x = TOKENS.example(2)
        torch.testing.assert_close(few(x), whole(x)[:, :2])


class TestJointAttention(OpConformance):
    cases = (
        Case(JointAttention(kv_heads=2, qk_norm="rms"), TOKENS, Image(6, 2, 3)),
        Case(JointAttention(private_projections=False, mask="one_way"), TOKENS, Tokens(4, 12)),
        Case(JointAttention(private_projections=False, qk_norm="layer"), SMALL, SMALL),
    )
    refused = (
        Case(JointAttention(), TOKENS),
        Case(JointAttention(), TOKENS, Presence(9)),
        Case(JointAttention(mask="x"), TOKENS, TOKENS),
        Case(JointAttention(qk_norm="x"), TOKENS, TOKENS),
        Case(JointAttention(private_projections=False), TOKENS, WIDE),
    )
    larger = (
        (
            Case(JointAttention(heads=2), TOKENS, SMALL),
            Case(JointAttention(), WIDE, Image(24, 2, 2)),
        ),
    )
    golden = (
        (Case(JointAttention(), TOKENS, TOKENS), 2 * 4 * 12 * 13, 4 * 144 * 18 + 24 * 18 * 18),
    )

    def test_shared_projections_are_self_attention_of_both(self) -> None:
        joint = JointAttention(private_projections=False).module(TOKENS, TOKENS)
        whole = SelfAttention().module(Tokens(18, 12))
        whole.load_state_dict(joint.get_submodule("first").state_dict())
        x, y = TOKENS.example(2), TOKENS.example(2)
        torch.testing.assert_close(torch.cat(joint(x, y), 1), whole(torch.cat([x, y], 1)))

    def test_a_one_way_mask_hides_the_first_input_from_the_second(self) -> None:
        module = JointAttention(mask="one_way").module(TOKENS, TOKENS)
        x, y = (TOKENS.example(1).requires_grad_() for _ in range(2))
        first, second = module(x, y)
        assert all(
            grad.any() for grad in torch.autograd.grad(first.sum(), (x, y), retain_graph=True)
        )
        hidden, own = torch.autograd.grad(second.sum(), (x, y), materialize_grads=True)
        assert own.any() and not hidden.any()


class TestCrossLayerAttention(OpConformance):
    cases = (
        Case(CrossLayerAttention(), TOKENS, Tokens(4, 12), TOKENS),
        Case(CrossLayerAttention(heads=3, kv_heads=1), SMALL, Image(12, 2, 2)),
    )
    refused = (
        Case(CrossLayerAttention(), TOKENS),
        Case(CrossLayerAttention(), TOKENS, WIDE),
        Case(CrossLayerAttention(), TOKENS, SMALL),
        Case(CrossLayerAttention(heads=0), TOKENS, TOKENS),
    )
    larger = (
        (
            Case(CrossLayerAttention(heads=2), TOKENS, TOKENS),
            Case(CrossLayerAttention(), WIDE, WIDE),
        ),
    )
    golden = (
        (
            Case(CrossLayerAttention(), TOKENS, Tokens(4, 12)),
            4 * 12 * 13 + 12,
            144 * (2 * 9 + 2 * 13) + 24 * 9 * 13,
        ),
    )

    def test_an_earlier_map_scaled_by_one_is_more_of_the_same(self) -> None:
        module = CrossLayerAttention().module(TOKENS, TOKENS)
        whole = SelfAttention().module(Tokens(18, 12))
        whole.load_state_dict(module.state_dict(), strict=False)
        x, y = TOKENS.example(2), TOKENS.example(2)
        torch.testing.assert_close(module(x, y), whole(torch.cat([x, y], 1))[:, :9])
