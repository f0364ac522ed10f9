"""Attention ops keep the contract of ops, at every size and number of heads."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional

from nasplat.graph.types import Image, Tokens, Vector
from nasplat.ops.attention import (
    CrossAttention,
    CrossCovarianceAttention,
    LinearAttention,
    SelfAttention,
    WindowAttention,
)
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(12, 5, 7)
EVEN = Image(16, 8, 8)
TOKENS = Tokens(9, 12)


class TestSelfAttention(OpConformance):
    cases = (
        Case(SelfAttention(), SMALL),
        Case(SelfAttention(heads=3, kv_heads=1, bias=False), TOKENS),
        Case(SelfAttention(heads=5, kv_heads=2), SMALL),
        Case(SelfAttention(heads=2, head_dim=8), Image(3, 1, 1)),
        Case(SelfAttention(heads=8), Tokens(4, 5)),
    )
    refused = (
        Case(SelfAttention(), Vector(8)),
        Case(SelfAttention(heads=0), SMALL),
        Case(SelfAttention(heads=2, kv_heads=3), SMALL),
        Case(SelfAttention(head_dim=0), SMALL),
    )
    larger = (
        (Case(SelfAttention(heads=2), SMALL), Case(SelfAttention(heads=4), EVEN)),
        (Case(SelfAttention(heads=4, kv_heads=1), SMALL), Case(SelfAttention(kv_heads=2), EVEN)),
        (Case(SelfAttention(heads=2), TOKENS), Case(SelfAttention(heads=3), Tokens(9, 24))),
    )
    # A block of ViT-Tiny at 224 pixels: 197 tokens of 192 channels, three heads.
    golden = (
        (Case(SelfAttention(heads=3), Tokens(197, 192)), 148224, 43951488),
        (Case(SelfAttention(heads=4, kv_heads=1), EVEN), 680, 172032),
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


class TestLinearAttention(OpConformance):
    cases = (
        Case(LinearAttention(), SMALL),
        Case(LinearAttention(feature_map="elu", heads=3, kv_heads=1), TOKENS),
        Case(LinearAttention(feature_map="softmax", heads=5, kv_heads=3), SMALL),
    )
    refused = (Case(LinearAttention(), Vector(8)), Case(LinearAttention(feature_map="x"), SMALL))
    larger = ((Case(LinearAttention(heads=2), SMALL), Case(LinearAttention(heads=4), EVEN)),)
    golden = ((Case(LinearAttention(), EVEN), 1088, 73728),)

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
    )
    refused = (Case(CrossCovarianceAttention(), Vector(8)),)
    larger = (
        (Case(CrossCovarianceAttention(heads=2), SMALL), Case(CrossCovarianceAttention(), EVEN)),
    )
    golden = ((Case(CrossCovarianceAttention(), EVEN), 1092, 73728),)


class TestWindowAttention(OpConformance):
    cases = (
        Case(WindowAttention(window=4), EVEN),
        Case(WindowAttention(window=4, shifted=True), EVEN),
        Case(WindowAttention(window=3, shifted=True, kv_heads=2), SMALL),
        Case(WindowAttention(window=7, shifted=True), SMALL),
        Case(WindowAttention(window=4, relative_bias=False), EVEN),
        Case(WindowAttention(window=2, shifted=True, heads=5, relative_bias=False), Image(4, 1, 3)),
    )
    refused = (
        Case(WindowAttention(), TOKENS),
        Case(WindowAttention(window=0), SMALL),
        Case(WindowAttention(heads=1, kv_heads=2), SMALL),
    )
    larger = (
        (Case(WindowAttention(window=2, heads=2), SMALL), Case(WindowAttention(window=4), EVEN)),
    )
    # A block of the first stage of Swin-T: qkv, output and 169 offsets for each of 3 heads.
    golden = ((Case(WindowAttention(heads=3), Image(96, 56, 56)), 37755, 145108992),)

    def test_a_window_as_large_as_the_image_is_global_attention(self) -> None:
        local = WindowAttention(window=9, heads=3, relative_bias=False).module(SMALL)
        everywhere = SelfAttention(heads=3).module(SMALL)
        everywhere.load_state_dict(local.state_dict())
        x = SMALL.example(2)
        torch.testing.assert_close(local(x), everywhere(x), atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("shifted", [False, True])
    @pytest.mark.parametrize("size", [(8, 8), (5, 7), (3, 9)])
    def test_a_position_sees_its_window_and_nothing_else(
        self, size: tuple[int, int], shifted: bool
    ) -> None:
        """Gradients show who sees whom; windows are counted from the upper left, or half a window off."""
        image, window = Image(4, *size), 4
        module = WindowAttention(window=window, shifted=shifted, heads=2).module(image)
        rows, columns = min(window, size[0]), min(window, size[1])
        shift = (
            rows // 2 if shifted and size[0] > rows else 0,
            columns // 2 if shifted and size[1] > columns else 0,
        )

        def home(y: int, x: int) -> tuple[int, int]:
            return (y - shift[0]) // rows, (x - shift[1]) // columns

        x = image.example(1).requires_grad_()
        output = module(x)
        for place in [(0, 0), (2, 2), (size[0] - 1, size[1] - 1), (1, size[1] - 1)]:
            (seen,) = torch.autograd.grad(output[0, :, *place].sum(), x, retain_graph=True)
            for y in range(size[0]):
                for z in range(size[1]):
                    assert bool(seen[0, :, y, z].any()) == (home(y, z) == home(*place))

    def test_it_runs_at_every_size_and_window(self) -> None:
        for height, width, window in itertools.product((1, 2, 3, 5, 8), (1, 4, 7), (1, 2, 3, 6)):
            for shifted in (False, True):
                image = Image(3, height, width)
                op = WindowAttention(window=window, shifted=shifted, heads=2)
                output = op.module(image)(image.example(2))
                assert output.shape == (2, 3, height, width)
                assert output.isfinite().all()

    def test_offsets_of_a_small_window_sit_in_the_middle_of_a_large_ones(self) -> None:
        small, large = WindowAttention(window=2), WindowAttention(window=4)
        index = small.select("relative_bias", (4, 3, 3), (4, 7, 7), large)
        assert index == (slice(0, 4), slice(2, 5), slice(2, 5))

    def test_the_bias_of_a_pair_depends_on_its_offset_alone(self) -> None:
        module = WindowAttention(window=3, heads=1).module(Image(4, 3, 3))
        table = module.get_parameter("relative_bias")
        scores = module._scores()  # type: ignore[operator]  # torch types attributes as tensors
        for i in range(9):
            for j in range(9):
                down, right = i // 3 - j // 3, i % 3 - j % 3
                assert scores[0, 0, i, j] == table[0, down + 2, right + 2]


class TestCrossAttention(OpConformance):
    cases = (
        Case(CrossAttention(), SMALL, SMALL),
        Case(CrossAttention(heads=3, kv_heads=1), SMALL, Image(6, 2, 3), Image(6, 4, 4)),
        Case(CrossAttention(residual=False), TOKENS, EVEN),
        Case(CrossAttention(), SMALL, TOKENS),
    )
    refused = (
        Case(CrossAttention(), SMALL),
        Case(CrossAttention(), SMALL, Vector(4)),
        Case(CrossAttention(), SMALL, SMALL, EVEN),
        Case(CrossAttention(), SMALL, SMALL, TOKENS),
        Case(CrossAttention(heads=0), SMALL, SMALL),
    )
    larger = ((Case(CrossAttention(heads=2), SMALL, SMALL), Case(CrossAttention(), EVEN, EVEN)),)
    golden = ((Case(CrossAttention(), EVEN, EVEN), 1088, 196608),)
