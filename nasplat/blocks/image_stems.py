"""Where an image becomes feature maps, and where maps become coarser."""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_settings import POSITIONS, Network, Stage
from nasplat.graph.op import Expression
from nasplat.ops.patch import ConvStem, PatchStem
from nasplat.ops.position import AbsolutePosition, ConvPosition
from nasplat.ops.resample import PatchMerging, PoolProjection, StridedConv
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.wiring import Steps


def stem(width: Any, stride: Any) -> Expression:
    """From the image to the first feature maps.

    Args:
        width: Channels that go out.
        stride: Pixels from one position to the next, along each side.
    """
    return Choose(
        conv=ConvStem(channels=width, stride=stride, norm="batch"),
        patch=PatchStem(channels=width, patch=stride, norm="layer"),
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
    return Choose(
        strided_conv=StridedConv(channels=width),
        patch_merge=PatchMerging(channels=width),
        pool=PoolProjection(channels=width, mode=Choice("max", "avg")),
    )
