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
from nasplat.ops.dense import UpsampleTo
from nasplat.ops.linear import Linear
from nasplat.ops.merge import Add, Concat
from nasplat.ops.patch import ConvStem, PatchStem
from nasplat.ops.position import AbsolutePosition, ConvPosition
from nasplat.ops.resample import (
    ImageToTokens,
    PatchMerging,
    Pool,
    PoolProjection,
    StridedConv,
    TokensToImage,
)
from nasplat.ops.shift import ShiftedCopies
from nasplat.ops.warp import SpatialTransformer
from nasplat.space.arithmetic import Largest
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.wiring import Parallel, Pick, Steps


def stem(width: Any, stride: Any, *, scales: bool = False) -> Expression:
    """From the image to the first feature maps.

    Args:
        width: Channels that go out.
        stride: Pixels from one position to the next, along each side; a power of two.
        scales: Whether features at two scales may be laid out as scales by positions.
    """
    features = Steps(
        conv=ConvStem(channels=width, stride=stride, norm="batch"),
        residual=ResidualConvBlock(kernel=3),
    )
    coarse = Steps(step=StridedConv(channels=width), residual=ResidualConvBlock(kernel=3))
    laid = Steps(
        features=features,
        two=Parallel(
            fine=ImageToTokens(),
            coarse=Steps(
                up=Parallel(coarse=coarse, grid=Pick(0), fuse=UpsampleTo()), tokens=ImageToTokens()
            ),
            fuse=Concat(project=False, axis="sequence"),
        ),
        plane=TokensToImage(height=2),
    )
    more = {"cnn_scales": laid} if scales else {}
    patch = PatchStem(channels=width, patch=stride, norm="layer")
    return Choose(
        conv=ConvStem(channels=width, stride=stride, norm="batch"),
        patch=patch,
        other=Choose(
            multi_scale=MultiKernelConv(
                channels=width, kernels=(3, 5, 7), stride=stride, widths="halving"
            ),
            shifted=Steps(shifts=ShiftedCopies(shift=Largest(1, stride // 2)), patch=patch),
            warped=Steps(warp=SpatialTransformer(), first=Pick(0), patch=patch),
            cnn_features=Steps(features=features, residual=ResidualConvBlock(kernel=3)),
            **more,
        ),
    )


def position(network: Network) -> Expression:
    """What the network adds to its first maps so that they know their place."""
    made: dict[str, Expression] = {name: Steps() for name in POSITIONS}
    made["absolute"] = AbsolutePosition(form=Choice("learned", "sinusoidal", name="position_form"))
    made["conv_conditional"] = ConvPosition()
    return Match(network.position, made)


def downsampling(stage: Stage, *, fixed: bool = False) -> Expression:
    """Half as many positions along each side, at the channels of the stage.

    Args:
        stage: What the stage decides.
        fixed: Whether it always halves; otherwise a step that keeps the positions is an option too.
    """
    width = stage.width
    conv = StridedConv(channels=width)
    lower: dict[str, Expression] = {"lower": conv, "keep": Conv(channels=width, kernel=1)}
    searched = {} if fixed else {"searched_position": Choose(**lower)}
    halved = PooledAttention(
        query_stride=2, kv_stride=2, pool="depthwise", heads=2, head_dim=stage.domains.head_dims[0]
    )
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
            **searched,
        ),
    )
