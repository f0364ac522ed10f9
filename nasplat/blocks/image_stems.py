"""Where an image becomes feature maps, and where maps become coarser."""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_settings import POSITIONS, Network, Stage
from nasplat.graph.op import Expression
from nasplat.ops.attention_pooled import PooledAttention
from nasplat.ops.conv import Conv
from nasplat.ops.conv_dynamic import DeformableConv
from nasplat.ops.conv_multi import MultiKernelConv
from nasplat.ops.conv_residual import ResidualConvBlock
from nasplat.ops.linear import Linear
from nasplat.ops.merge import Add
from nasplat.ops.patch import ConvStem, PatchStem
from nasplat.ops.position import AbsolutePosition, ConvPosition
from nasplat.ops.resample import PatchMerging, Pool, PoolProjection, StridedConv
from nasplat.ops.warp import SpatialTransformer
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.wiring import Parallel, Pick, Steps


def stem(width: Any, stride: Any) -> Expression:
    """From the image to the first feature maps.

    Args:
        width: Channels that go out.
        stride: Pixels from one position to the next, along each side; a power of two.
    """
    patch = PatchStem(channels=width, patch=stride, norm="layer")
    return Choose(
        conv=ConvStem(channels=width, stride=stride, norm="batch"),
        patch=patch,
        other=Choose(
            multi_scale=MultiKernelConv(
                channels=width, kernels=(3, 5, 7), stride=stride, widths="halving"
            ),
            warped=Steps(warp=SpatialTransformer(), first=Pick(0), patch=patch),
            cnn_features=Steps(
                conv=ConvStem(channels=width, stride=stride, norm="batch"),
                residual=ResidualConvBlock(kernel=3),
                residual_2=ResidualConvBlock(kernel=3),
            ),
        ),
    )


def position(network: Network) -> Expression:
    """What the network adds to its first maps so that they know their place."""
    made: dict[str, Expression] = {name: Steps() for name in POSITIONS}
    made["absolute"] = AbsolutePosition(form=Choice("learned", "sinusoidal", name="position_form"))
    made["conv_conditional"] = ConvPosition()
    return Match(network.position, made)


def downsampling(stage: Stage) -> Expression:
    """Half as many positions along each side, at the channels of the stage."""
    width = stage.width
    conv = StridedConv(channels=width)
    halved = PooledAttention(query_stride=2, kv_stride=2, pool="depthwise", **stage.headed)
    return Choose(
        strided_conv=conv,
        patch_merge=PatchMerging(channels=width),
        pool=PoolProjection(channels=width, mode=Choice("max", "avg")),
        other=Choose(
            residual_reduction=Parallel(
                learned=conv,
                skip=PoolProjection(channels=width, mode="avg", norm="none"),
                fuse=Add(),
            ),
            pooled_query=Steps(
                widen=Linear(dim=width),
                attend=Parallel(
                    learned=halved, skip=Pool(mode="max", kernel=3, stride=2), fuse=Add()
                ),
            ),
            block_aggregate=Steps(
                conv=Conv(channels=width, kernel=3, norm="layer"),
                pool=Pool(mode="max", kernel=3, stride=2),
            ),
            deformable=DeformableConv(channels=width, stride=2, norm="batch"),
        ),
    )
