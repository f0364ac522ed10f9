"""Attention within groups keeps the contract of ops, at every size of axis and group."""

from __future__ import annotations

import itertools

import pytest
import torch

from nasplat.graph.op import Op
from nasplat.graph.types import Grid, Image, Series, Tokens, Vector, Volume
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_window import (
    AxisAttention,
    DilatedGroupAttention,
    SlidingWindowAttention,
    StripeAttention,
    WindowAttention,
)
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(12, 5, 7)
EVEN = Image(16, 8, 8)
TOKENS = Tokens(9, 12)


def seen(op: Op, image: Image, row: int, column: int) -> list[str]:
    """Which positions one position sees, by gradients: a text for each row."""
    x = image.example(1).requires_grad_()
    (found,) = torch.autograd.grad(op.module(image)(x)[0, :, row, column].sum(), x)
    return ["".join("x" if item.any() else "." for item in line.T) for line in found[0].unbind(1)]


class TestWindowAttention(OpConformance):
    cases = (
        Case(WindowAttention(window=4), EVEN),
        Case(WindowAttention(window=4, shifted=True), EVEN),
        Case(WindowAttention(window=3, shifted=True, kv_heads=2), SMALL),
        Case(WindowAttention(window=7, shifted=True), SMALL),
        Case(WindowAttention(window=4, relative_bias="none"), EVEN),
        Case(
            WindowAttention(window=2, shifted=True, heads=5, relative_bias="none"), Image(4, 1, 3)
        ),
        Case(WindowAttention(window=(2, 5), relative_bias="mlp", out_bias=False), SMALL),
        Case(WindowAttention(window=4, overlap=0.5, shifted=True, heads=2), SMALL),
        Case(WindowAttention(window=3, shifted=True, relative_bias="alibi"), Volume(4, 5, 3, 4)),
        Case(WindowAttention(window=4, mask="causal", overlap=2.0, kv_heads=2), TOKENS),
        Case(WindowAttention(window=4, mask="causal", shifted=True, rotary=1.0), Series(8, 6)),
    )
    refused = (
        Case(WindowAttention(), Vector(4)),
        Case(WindowAttention(window=(2, 2, 2)), SMALL),
        Case(WindowAttention(relative_bias="x"), SMALL),
        Case(WindowAttention(overlap=3.0), SMALL),
        Case(WindowAttention(mask="causal"), SMALL),
        Case(WindowAttention(window=0), SMALL),
        Case(WindowAttention(heads=1, kv_heads=2), SMALL),
    )
    larger = (
        (Case(WindowAttention(window=2, heads=2), SMALL), Case(WindowAttention(window=4), EVEN)),
    )
    # A block of the first stage of Swin-T: qkv, output and 169 offsets for each of 3 heads.
    golden = ((Case(WindowAttention(heads=3), Image(96, 56, 56)), 37755, 145108992),)

    def test_a_window_as_large_as_the_image_is_global_attention(self) -> None:
        local = WindowAttention(window=9, heads=3, relative_bias="none").module(SMALL)
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
        index = small.select("relative_bias.table", (4, 3, 3), (4, 7, 7), large)
        assert index == (slice(0, 4), slice(2, 5), slice(2, 5))

    def test_keys_of_an_overlapping_window_reach_beyond_it(self) -> None:
        series = Series(4, 12)
        op = WindowAttention(window=4, overlap=1.0, heads=2, relative_bias="none")
        x = series.example(1).requires_grad_()
        (found,) = torch.autograd.grad(op.module(series)(x)[0, :, 5].sum(), x)
        assert [bool(item.any()) for item in found[0].T] == [False] * 2 + [True] * 8 + [False] * 2

    def test_a_causal_window_does_not_see_what_comes_later(self) -> None:
        op = WindowAttention(window=4, overlap=1.0, heads=2, mask="causal")
        x = TOKENS.example(1).requires_grad_()
        (found,) = torch.autograd.grad(op.module(TOKENS)(x)[0, 5].sum(), x)
        assert [bool(item.any()) for item in found[0]] == [False] * 2 + [True] * 4 + [False] * 3

    def test_a_head_of_two_axes_prefers_what_is_near(self) -> None:
        op = WindowAttention(window=3, heads=1, relative_bias="alibi")
        scores = op.module(Image(4, 3, 3)).get_submodule("relative_bias")()
        distance = [
            [(i // 3 - j // 3) ** 2 + (i % 3 - j % 3) ** 2 for j in range(9)] for i in range(9)
        ]
        wanted = -(2.0**-8) * torch.tensor(distance).sqrt()
        torch.testing.assert_close(scores[0], wanted)

    def test_the_bias_of_a_pair_depends_on_its_offset_alone(self) -> None:
        module = WindowAttention(window=3, heads=1).module(Image(4, 3, 3))
        table = module.get_parameter("relative_bias.table")
        scores = module.get_submodule("relative_bias")().unsqueeze(0)
        for i in range(9):
            for j in range(9):
                down, right = i // 3 - j // 3, i % 3 - j % 3
                assert scores[0, 0, i, j] == table[0, down + 2, right + 2]


class TestDilatedGroupAttention(OpConformance):
    cases = (
        Case(DilatedGroupAttention(relative_bias="mlp"), EVEN),
        Case(DilatedGroupAttention(stride=3, heads=3, kv_heads=1), SMALL),
        Case(DilatedGroupAttention(stride=None, group=3, rotary=1.0), SMALL),
        Case(DilatedGroupAttention(stride=(1, 2, 2), group=2), Volume(4, 3, 5, 4)),
        Case(DilatedGroupAttention(stride=20), TOKENS),
    )
    refused = (
        Case(DilatedGroupAttention(), Vector(4)),
        Case(DilatedGroupAttention(stride=0), SMALL),
        Case(DilatedGroupAttention(group=(2, 2, 2)), SMALL),
        Case(DilatedGroupAttention(stride=None), SMALL),
    )
    larger = (
        (
            Case(DilatedGroupAttention(heads=2, group=2), EVEN),
            Case(DilatedGroupAttention(), EVEN),
        ),
    )
    golden = (
        (
            Case(DilatedGroupAttention(stride=None, group=4), EVEN),
            1284,
            4 * 256 * 64 + 32 * 16 * 64,
        ),
    )

    def test_members_are_a_stride_apart(self) -> None:
        op = DilatedGroupAttention(stride=2, heads=2)
        assert seen(op, Image(4, 3, 5), 1, 2) == [".....", "x.x.x", "....."]

    def test_regions_stand_side_by_side(self) -> None:
        op = DilatedGroupAttention(stride=(1, 2), group=(3, 2), heads=2)
        assert seen(op, Image(4, 1, 8), 0, 5) == [".....x.x"]

    def test_members_of_a_whole_axis_are_as_far_apart_as_it_allows(self) -> None:
        op = DilatedGroupAttention(stride=None, group=(1, 3), heads=2)
        assert seen(op, Image(4, 2, 8), 1, 1) == ["........", ".x..x..x"]


class TestAxisAttention(OpConformance):
    cases = (
        Case(AxisAttention(), SMALL),
        Case(AxisAttention(axis=1, mask="causal", relative_bias="table"), SMALL),
        Case(AxisAttention(axis=2, heads=2), Grid(4, 2, 3, 2, 2)),
        Case(AxisAttention(mask="causal", rotary=1.0), TOKENS),
    )
    refused = (
        Case(AxisAttention(), Vector(4)),
        Case(AxisAttention(axis=2), SMALL),
        Case(AxisAttention(axis=-1), SMALL),
        Case(AxisAttention(mask="x"), SMALL),
    )
    larger = ((Case(AxisAttention(heads=2), SMALL), Case(AxisAttention(), EVEN)),)
    golden = ((Case(AxisAttention(), EVEN), 1088, 4 * 256 * 64 + 32 * 8 * 64),)

    def test_it_sees_its_line_alone(self) -> None:
        assert seen(AxisAttention(heads=2), Image(4, 3, 3), 1, 2) == ["..x"] * 3
        causal = AxisAttention(axis=1, heads=2, mask="causal")
        assert seen(causal, Image(4, 2, 4), 1, 2) == ["....", "xxx."]


class TestSlidingWindowAttention(OpConformance):
    cases = (
        Case(SlidingWindowAttention(radius=2), TOKENS),
        Case(SlidingWindowAttention(radius=2, mask="causal", rotary=1.0, kv_heads=1), TOKENS),
        Case(SlidingWindowAttention(radius=1, heads=2), SMALL),
        Case(SlidingWindowAttention(radius=(1, 6), heads=2), SMALL),
    )
    refused = (
        Case(SlidingWindowAttention(), Vector(4)),
        Case(SlidingWindowAttention(radius=0), TOKENS),
        Case(SlidingWindowAttention(mask="causal"), SMALL),
    )
    larger = ((Case(SlidingWindowAttention(heads=2), SMALL), Case(SlidingWindowAttention(), EVEN)),)
    golden = (
        (Case(SlidingWindowAttention(radius=1), EVEN), 1088, 4 * 256 * 64 + 32 * 9 * 64),
        (Case(SlidingWindowAttention(radius=8), Tokens(64, 16)), 1088, 16384 * 4 + 32 * 24 * 64),
    )

    @pytest.mark.parametrize("radius", [1, 2, 3, 8])
    def test_it_sees_what_is_near_at_every_radius(self, radius: int) -> None:
        op = SlidingWindowAttention(radius=radius, heads=2)
        for place in range(9):
            wanted = "".join("x" if abs(place - other) <= radius else "." for other in range(9))
            assert seen(op, Image(4, 1, 9), 0, place) == [wanted]

    def test_a_causal_one_looks_back(self) -> None:
        op = SlidingWindowAttention(radius=2, heads=2, mask="causal")
        x = TOKENS.example(1).requires_grad_()
        (found,) = torch.autograd.grad(op.module(TOKENS)(x)[0, 5].sum(), x)
        assert [bool(item.any()) for item in found[0]] == [False] * 3 + [True] * 3 + [False] * 3


class TestStripeAttention(OpConformance):
    cases = (
        Case(StripeAttention(stripe=2), SMALL),
        Case(StripeAttention(heads=5, kv_heads=2, enhanced=False), EVEN),
        Case(StripeAttention(heads=4, stripe=9), Volume(4, 2, 3, 2)),
    )
    refused = (
        Case(StripeAttention(), TOKENS),
        Case(StripeAttention(heads=1), SMALL),
        Case(StripeAttention(stripe=0), SMALL),
    )
    larger = ((Case(StripeAttention(heads=2), SMALL), Case(StripeAttention(), EVEN)),)
    golden = (
        (Case(StripeAttention(stripe=2), EVEN), 1248, 4 * 256 * 64 + 32 * 16 * 64 + 144 * 64),
    )

    def test_half_of_the_heads_see_rows_the_others_columns(self) -> None:
        op = StripeAttention(heads=2, enhanced=False)
        assert seen(op, Image(4, 3, 4), 1, 2) == ["..x.", "xxxx", "..x."]
