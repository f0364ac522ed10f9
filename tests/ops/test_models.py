"""Well-known models, written as chains of the library's ops, have exactly their published parameters.

Multiply-accumulates are those of torch's counter on the reference implementations (timm 1.0.31), within
2 %: they count padding of windows and class tokens differently. Residual sums cost nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nasplat.graph.op import Op, OpCost
from nasplat.graph.types import Image, TensorType
from nasplat.ops.attention_window import WindowAttention
from nasplat.ops.conv import Conv, DepthwiseConv, MBConv
from nasplat.ops.ffn import MLP
from nasplat.ops.head import ClassifierHead
from nasplat.ops.norm import LayerNorm, LayerScale
from nasplat.ops.patch import PatchStem
from nasplat.ops.resample import PatchMerging

PHOTO = Image(3, 224, 224)


def swin_tiny() -> Iterator[Op]:
    yield PatchStem(channels=96)
    for stage, (depth, heads) in enumerate(((2, 3), (2, 6), (6, 12), (2, 24))):
        if stage:
            yield PatchMerging()
        for block in range(depth):
            yield LayerNorm()
            yield WindowAttention(window=7, shifted=block % 2 == 1, heads=heads)
            yield LayerNorm()
            yield MLP()
    yield ClassifierHead(classes=1000)


def convnext_tiny() -> Iterator[Op]:
    yield PatchStem(channels=96)
    for stage, (depth, width) in enumerate(((3, 96), (3, 192), (9, 384), (3, 768))):
        if stage:
            yield LayerNorm()
            yield PatchStem(channels=width, patch=2, norm="none")
        for _ in range(depth):
            yield DepthwiseConv(kernel=7)
            yield LayerNorm()
            yield MLP()
            yield LayerScale()
    yield ClassifierHead(classes=1000)


def efficientnet_b0() -> Iterator[Op]:
    yield Conv(channels=32, stride=2, norm="batch", activation="silu")
    stages = (
        (1, 1, 3, 1, 16),
        (2, 6, 3, 2, 24),
        (2, 6, 5, 2, 40),
        (3, 6, 3, 2, 80),
        (3, 6, 5, 1, 112),
        (4, 6, 5, 2, 192),
        (1, 6, 3, 1, 320),
    )
    for depth, expand, kernel, stride, width in stages:
        for block in range(depth):
            step = stride if block == 0 else 1
            yield MBConv(channels=width, expand=expand, kernel=kernel, stride=step)
    yield Conv(channels=1280, kernel=1, norm="batch", activation="silu")
    yield ClassifierHead(classes=1000, norm="none")


@pytest.mark.parametrize(
    ("model", "params", "macs"),
    [
        (swin_tiny(), 28_288_354, 4_490_566_656),
        (convnext_tiny(), 28_589_128, 4_455_531_264),
        (efficientnet_b0(), 5_288_548, 385_814_752),
    ],
    ids=["swin_tiny", "convnext_tiny", "efficientnet_b0"],
)
def test_a_chain_of_ops_costs_what_its_model_costs(
    model: Iterator[Op], params: int, macs: int
) -> None:
    here: TensorType = PHOTO
    total = OpCost()
    for op in model:
        total += op.cost(here)
        output = op.infer(here)
        assert isinstance(output, TensorType)
        here = output
    assert total.params == params
    assert total.macs == pytest.approx(macs, rel=0.02)
