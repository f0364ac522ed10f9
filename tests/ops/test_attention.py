"""Attention ops keep the contract of ops, at every size and number of heads."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from nasplat.graph.types import Grid, Image, Presence, Series, Tokens, Vector, Volume
from nasplat.ops.attention import (
    CrossAttention,
    CrossCovarianceAttention,
    LinearAttention,
    SelfAttention,
)
from nasplat.ops.modules.heads import Rotary, sparsemax
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(12, 5, 7)
EVEN = Image(16, 8, 8)
TOKENS = Tokens(9, 12)


class TestSelfAttention(OpConformance):
    cases = (
        Case(SelfAttention(heads=2, channels=12, relative_bias="table"), SMALL),
        Case(SelfAttention(heads=3, channels=5), TOKENS),
        Case(SelfAttention(), SMALL),
        Case(SelfAttention(heads=3, kv_heads=1, bias=False), TOKENS),
        Case(SelfAttention(heads=5, kv_heads=2), SMALL),
        Case(SelfAttention(heads=2, head_dim=8), Image(3, 1, 1)),
        Case(SelfAttention(heads=8), Tokens(4, 5)),
        Case(SelfAttention(mask="causal", rotary=0.5, head_dim=4, key_bias=False), Series(8, 6)),
        Case(SelfAttention(mask="soft_causal", relative_bias="alibi"), TOKENS),
        Case(SelfAttention(mask="semi_causal", prefix=3, kv_heads=2, rotary=1.0), TOKENS),
        Case(SelfAttention(mask="causal_blocks", segment=4, qk_norm="layer"), TOKENS),
        Case(SelfAttention(mask="candidate_isolating", prefix=3, segment=2, qk_norm="rms"), TOKENS),
        Case(SelfAttention(relative_bias="table", rotary=1.0, out_bias=False), SMALL),
        Case(SelfAttention(relative_bias="mlp", bias_width=5), Volume(4, 2, 3, 2)),
        Case(SelfAttention(relative_bias="alibi", heads=2), Grid(4, 2, 2, 1, 2)),
        Case(SelfAttention(), TOKENS, Presence(9)),
        Case(SelfAttention(mask="causal", relative_bias="table"), TOKENS, Presence(9)),
        Case(SelfAttention(normaliser="sparsemax", mask="causal"), TOKENS, Presence(9)),
        Case(SelfAttention(normaliser="relu"), SMALL),
    )
    refused = (
        Case(SelfAttention(), Vector(8)),
        Case(SelfAttention(heads=0), SMALL),
        Case(SelfAttention(heads=2, kv_heads=3), SMALL),
        Case(SelfAttention(head_dim=0), SMALL),
        Case(SelfAttention(), TOKENS, Presence(8)),
        Case(SelfAttention(), TOKENS, Presence(9), Presence(9)),
        Case(SelfAttention(mask="x"), TOKENS),
        Case(SelfAttention(rotary=1.5), TOKENS),
        Case(SelfAttention(rotary_base=0.0), TOKENS),
        Case(SelfAttention(relative_bias="x"), TOKENS),
        Case(SelfAttention(segment=0), TOKENS),
        Case(SelfAttention(normaliser="x"), TOKENS),
        Case(SelfAttention(qk_norm="x"), TOKENS),
    )
    larger = (
        (Case(SelfAttention(heads=2), SMALL), Case(SelfAttention(heads=4), EVEN)),
        (Case(SelfAttention(heads=4, kv_heads=1), SMALL), Case(SelfAttention(kv_heads=2), EVEN)),
        (Case(SelfAttention(heads=2), TOKENS), Case(SelfAttention(heads=3), Tokens(9, 24))),
        (
            Case(SelfAttention(heads=2, relative_bias="table", qk_norm="rms"), SMALL),
            Case(SelfAttention(relative_bias="table", qk_norm="rms"), Image(24, 7, 7)),
        ),
        (
            Case(SelfAttention(heads=2, relative_bias="mlp"), SMALL),
            Case(SelfAttention(relative_bias="mlp"), Image(24, 7, 7)),
        ),
    )
    # A block of ViT-Tiny at 224 pixels: 197 tokens of 192 channels, three heads.
    golden = (
        (Case(SelfAttention(heads=3), Tokens(197, 192)), 148224, 43951488),
        (Case(SelfAttention(heads=4, kv_heads=1), EVEN), 680, 172032),
        # A block of the third stage of CoAtNet-0: 729 offsets for each of 12 heads.
        (
            Case(SelfAttention(heads=12, relative_bias="table"), Image(384, 14, 14)),
            4 * 384 * 385 + 27 * 27 * 12,
            4 * 384 * 384 * 196 + 2 * 384 * 196 * 196,
        ),
    )

    def test_it_equals_torchs_own_multi_head_attention(self) -> None:
        module = SelfAttention(heads=3).module(TOKENS)
        parts = [module.get_submodule(name) for name in ("query", "key", "value")]
        x = TOKENS.example(2)
        wanted, _ = functional.multi_head_attention_forward(
            query=x.transpose(0, 1),
            key=x.transpose(0, 1),
            value=x.transpose(0, 1),
            embed_dim_to_check=12,
            num_heads=3,
            in_proj_weight=torch.cat([part.get_parameter("weight") for part in parts]),
            in_proj_bias=torch.cat([part.get_parameter("bias") for part in parts]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=module.get_parameter("out.weight"),
            out_proj_bias=module.get_parameter("out.bias"),
        )
        torch.testing.assert_close(module(x), wanted.transpose(0, 1), atol=1e-5, rtol=1e-5)

    def test_a_smaller_head_takes_the_leading_channels_of_each_head(self) -> None:
        small, large = SelfAttention(heads=2), SelfAttention(heads=2)
        index = small.select("query.weight", (4, 4, 1, 1), (6, 6, 1, 1), large)
        assert index == ([0, 1, 3, 4], slice(0, 4), slice(0, 1), slice(0, 1))

    def test_images_and_tokens_are_treated_alike(self) -> None:
        op, image, tokens = SelfAttention(heads=3, kv_heads=1), Image(12, 3, 3), TOKENS
        planar, linear = op.module(image), op.module(tokens)
        planar.load_state_dict(
            {
                name: value.view(planar.state_dict()[name].shape)
                for name, value in linear.state_dict().items()
            }
        )
        x = image.example(2)
        torch.testing.assert_close(
            planar(x).flatten(2).transpose(1, 2),
            linear(x.flatten(2).transpose(1, 2)),
            atol=1e-5,
            rtol=1e-5,
        )

    @pytest.mark.parametrize(
        ("mask", "seen"),
        [
            ("causal", ["1000", "1100", "1110", "1111"]),
            ("semi_causal", ["1100", "1100", "1110", "1111"]),
            ("causal_blocks", ["1100", "1100", "1111", "1111"]),
            ("candidate_isolating", ["1100", "1100", "1111", "1111"]),
        ],
    )
    def test_a_mask_closes_what_it_says(self, mask: str, seen: list[str]) -> None:
        """Gradients show who sees whom."""
        tokens = Tokens(4, 8)
        module = SelfAttention(mask=mask, prefix=2, segment=2).module(tokens)
        x = tokens.example(1).requires_grad_()
        output = module(x)
        for query, row in enumerate(seen):
            (found,) = torch.autograd.grad(output[0, query].sum(), x, retain_graph=True)
            assert "".join(str(int(bool(item.any()))) for item in found[0]) == row

    def test_candidates_do_not_see_each_other(self) -> None:
        tokens = Tokens(5, 8)
        module = SelfAttention(mask="candidate_isolating", prefix=1, segment=2).module(tokens)
        x = tokens.example(1).requires_grad_()
        (found,) = torch.autograd.grad(module(x)[0, 4].sum(), x)
        assert [bool(item.any()) for item in found[0]] == [True, False, False, True, True]

    def test_what_is_not_present_is_not_seen(self) -> None:
        module = SelfAttention().module(TOKENS, Presence(9))
        alone = SelfAttention().module(Tokens(4, 12))
        alone.load_state_dict(module.state_dict())
        x, presence = TOKENS.example(2), torch.zeros(2, 9)
        presence[:, :4] = 1.0
        torch.testing.assert_close(module(x, presence)[:, :4], alone(x[:, :4]))

    def test_a_soft_mask_begins_open_and_ends_causal(self) -> None:
        soft = SelfAttention(mask="soft_causal", soft_steps=2).module(TOKENS)
        x = TOKENS.example(2)
        for op in (SelfAttention(), SelfAttention(mask="causal")):
            hard = op.module(TOKENS)
            hard.load_state_dict(soft.state_dict(), strict=False)
            torch.testing.assert_close(soft.eval()(x), hard(x), atol=1e-5, rtol=1e-5)
            soft.train()
            soft(x), soft(x), soft(x)

    def test_rotation_depends_on_offsets_alone(self) -> None:
        """Scores of equal tokens are equal along every diagonal."""
        rotary = Rotary((2, 3), 8, 10.0)
        x, y = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
        scores = rotary(x.expand(1, 1, 6, 8)) @ rotary(y.expand(1, 1, 6, 8)).transpose(2, 3)
        scores = scores.view(2, 3, 2, 3)
        torch.testing.assert_close(scores[0, 0, 0, 1], scores[1, 1, 1, 2])
        torch.testing.assert_close(scores[0, 1, 1, 0], scores[0, 2, 1, 1])
        assert not torch.isclose(scores[0, 0, 0, 1], scores[0, 0, 1, 0])

    def test_sparsemax_is_the_nearest_point_of_the_simplex(self) -> None:
        scores = torch.tensor([[2.0, 1.5, -1.0], [0.1, 0.1, 0.1], [5.0, 0.0, float("-inf")]])
        wanted = torch.tensor([[0.75, 0.25, 0.0], [1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]])
        torch.testing.assert_close(sparsemax(scores), wanted)


class TestLinearAttention(OpConformance):
    cases = (
        Case(LinearAttention(), SMALL),
        Case(LinearAttention(feature_map="elu", heads=3, kv_heads=1), TOKENS),
        Case(LinearAttention(feature_map="softmax", heads=5, kv_heads=3), SMALL),
        Case(LinearAttention(feature_map="random", features=7, kv_heads=2), TOKENS),
        Case(LinearAttention(feature_map="learned", kv_heads=2, mask="causal"), TOKENS),
        Case(LinearAttention(mask="causal"), Tokens(150, 8)),
        Case(LinearAttention(mask="causal", offset_weight="decay"), Tokens(130, 8)),
        Case(LinearAttention(feature_map="elu", offset_weight="decay", heads=2), Image(6, 9, 8)),
        Case(LinearAttention(feature_map="random", offset_weight="toeplitz"), SMALL),
        Case(LinearAttention(offset_weight="toeplitz", mask="causal"), TOKENS),
    )
    refused = (
        Case(LinearAttention(), Vector(8)),
        Case(LinearAttention(feature_map="x"), SMALL),
        Case(LinearAttention(offset_weight="x"), SMALL),
        Case(LinearAttention(mask="x"), SMALL),
        Case(LinearAttention(features=0), SMALL),
        Case(LinearAttention(feature_map="softmax", mask="causal"), SMALL),
    )
    larger = (
        (Case(LinearAttention(heads=2), SMALL), Case(LinearAttention(heads=4), EVEN)),
        (
            Case(LinearAttention(heads=2, feature_map="learned", offset_weight="decay"), SMALL),
            Case(LinearAttention(feature_map="learned", offset_weight="decay"), Image(32, 8, 8)),
        ),
        (
            Case(LinearAttention(feature_map="random", offset_weight="toeplitz"), SMALL),
            Case(LinearAttention(feature_map="random", offset_weight="toeplitz"), EVEN),
        ),
    )
    golden = ((Case(LinearAttention(), EVEN), 1088, 73728),)

    @pytest.mark.parametrize("offset_weight", ["none", "decay"])
    @pytest.mark.parametrize("mask", ["none", "causal"])
    def test_chunks_and_states_equal_the_weights_of_all_pairs(
        self, mask: str, offset_weight: str
    ) -> None:
        tokens = Tokens(150, 6)
        op = LinearAttention(heads=2, feature_map="elu", mask=mask, offset_weight=offset_weight)
        module, x = op.module(tokens), tokens.example(2)
        query, key, value = (
            part.unflatten(2, (2, 3)).transpose(1, 2)
            for part in (module.get_submodule(name)(x) for name in ("query", "key", "value"))
        )
        scores = (functional.elu(query) + 1) @ (functional.elu(key) + 1).transpose(2, 3)
        if offset_weight == "decay":
            place = torch.arange(150)
            rate = module.get_parameter("decay").sigmoid().view(-1, 1, 1)
            scores = scores * rate ** (place[:, None] - place[None]).abs()
        if mask == "causal":
            scores = scores.tril()
        mixed = (scores / scores.sum(3, keepdim=True)) @ value
        wanted = module.get_submodule("out")(mixed.transpose(1, 2).flatten(2))
        torch.testing.assert_close(module(x), wanted, atol=1e-4, rtol=1e-4)

    def test_random_features_estimate_softmax(self) -> None:
        torch.manual_seed(0)
        estimate = LinearAttention(heads=1, feature_map="random", features=8192).module(TOKENS)
        exact = SelfAttention(heads=1).module(TOKENS)
        exact.load_state_dict(estimate.state_dict(), strict=False)
        x = 0.5 * TOKENS.example(2)
        torch.testing.assert_close(estimate(x), exact(x), atol=0.02, rtol=0.0)

    @pytest.mark.parametrize("form", ["relu", "elu"])
    def test_its_weights_over_positions_sum_to_one(self, form: str) -> None:
        """Values that are one everywhere come out as the output map of ones."""
        module = LinearAttention(feature_map=form, heads=2).module(TOKENS)
        with torch.no_grad():
            module.get_parameter("value.weight").zero_()
            module.get_parameter("value.bias").fill_(1.0)
            module.get_parameter("key.bias").fill_(1.0)
            module.get_parameter("query.bias").fill_(1.0)
        wanted = module.get_submodule("out")(torch.ones(2, 9, 12))
        torch.testing.assert_close(module(TOKENS.example(2)), wanted, atol=1e-4, rtol=1e-4)


class TestCrossCovarianceAttention(OpConformance):
    cases = (
        Case(CrossCovarianceAttention(), SMALL),
        Case(CrossCovarianceAttention(heads=3, kv_heads=1, head_dim=5), TOKENS),
        Case(CrossCovarianceAttention(heads=2, temperature=False), SMALL),
    )
    refused = (Case(CrossCovarianceAttention(), Vector(8)),)
    larger = (
        (Case(CrossCovarianceAttention(heads=2), SMALL), Case(CrossCovarianceAttention(), EVEN)),
    )
    golden = ((Case(CrossCovarianceAttention(), EVEN), 1092, 73728),)


class TestCrossAttention(OpConformance):
    cases = (
        Case(CrossAttention(), SMALL, SMALL),
        Case(CrossAttention(heads=3, kv_heads=1), SMALL, Image(6, 2, 3), Image(6, 4, 4)),
        Case(CrossAttention(residual=False), TOKENS, EVEN),
        Case(CrossAttention(), SMALL, TOKENS),
        Case(CrossAttention(queries="class_token"), TOKENS, TOKENS),
        Case(CrossAttention(queries="class_token", residual=False), TOKENS, SMALL, Presence(35)),
        Case(
            CrossAttention(mask="causal", kv_heads=2), TOKENS, TOKENS, Tokens(9, 12), Presence(18)
        ),
        Case(CrossAttention(mask="causal"), Tokens(15, 4), Image(8, 3, 5)),
        Case(CrossAttention(mask="causal", queries="class_token"), TOKENS, TOKENS),
    )
    refused = (
        Case(CrossAttention(), SMALL),
        Case(CrossAttention(), SMALL, Vector(4)),
        Case(CrossAttention(), SMALL, SMALL, EVEN),
        Case(CrossAttention(), SMALL, SMALL, TOKENS),
        Case(CrossAttention(heads=0), SMALL, SMALL),
        Case(CrossAttention(queries="x"), TOKENS, SMALL),
        Case(CrossAttention(queries="class_token"), SMALL, TOKENS),
        Case(CrossAttention(mask="causal"), TOKENS, SMALL),
        Case(CrossAttention(), TOKENS, SMALL, Presence(34)),
        Case(CrossAttention(), TOKENS, Presence(9)),
    )
    larger = ((Case(CrossAttention(heads=2), SMALL, SMALL), Case(CrossAttention(), EVEN, EVEN)),)
    golden = ((Case(CrossAttention(), EVEN, EVEN), 1088, 196608),)

    def test_a_class_token_alone_gains(self) -> None:
        op, x, y = CrossAttention(queries="class_token"), TOKENS.example(2), SMALL.example(2, None)
        module, alone = op.module(TOKENS, SMALL), CrossAttention().module(TOKENS, SMALL)
        alone.load_state_dict(module.state_dict())
        torch.testing.assert_close(module(x, y)[:, 0], alone(x, y)[:, 0])
        assert torch.equal(module(x, y)[:, 1:], x[:, 1:])

    def test_what_is_not_present_is_not_seen(self) -> None:
        module = CrossAttention().module(TOKENS, TOKENS, Presence(9))
        alone = CrossAttention().module(TOKENS, Tokens(4, 12))
        alone.load_state_dict(module.state_dict())
        x, y, presence = TOKENS.example(2), TOKENS.example(2), torch.zeros(2, 9)
        presence[:, :4] = 1.0
        torch.testing.assert_close(module(x, y, presence), alone(x, y[:, :4]))

    def test_a_causal_mask_closes_later_keys_of_every_source(self) -> None:
        module = CrossAttention(mask="causal", residual=False).module(TOKENS, TOKENS, TOKENS)
        x = TOKENS.example(1)
        others = [TOKENS.example(1).requires_grad_() for _ in range(2)]
        for found in torch.autograd.grad(module(x, *others)[0, 3].sum(), others):
            assert [bool(item.any()) for item in found[0]] == [True] * 4 + [False] * 5
