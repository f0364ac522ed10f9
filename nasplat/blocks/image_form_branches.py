"""Forms of image networks of two branches that differ in the size of their patches.

Each is a function of settings that may be decisions (:mod:`nasplat.blocks.image_details`). They know no
network.

References:
    [Chen2021] C.-F. Chen et al. CrossViT: cross-attention multi-scale vision transformer. ICCV 2021.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_details import Table
from nasplat.blocks.image_form_tokens import class_token
from nasplat.graph.op import Expression
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_cross import ClassAttention
from nasplat.ops.ffn import MLP
from nasplat.ops.head import ClassifierHead
from nasplat.ops.linear import Linear
from nasplat.ops.merge import Add, Concat, Take
from nasplat.ops.norm import Activation, LayerNorm
from nasplat.ops.patch import PatchStem
from nasplat.ops.resample import Upsample
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.wiring import Each, Parallel, Pick, Steps


def two_patches(
    small: Any,
    large: Any,
    small_patch: Any = 12,
    large_patch: Any = 16,
    large_scale: float = 1.0,
) -> Expression:
    """An image as small and as large patches, each behind a class token of its own [Chen2021].

    Args:
        small: Channels of the small patches.
        large: Channels of the large patches.
        small_patch: Side of a small patch.
        large_patch: Side of a large patch.
        large_scale: By what the image is scaled for the large patches.
    """
    scaled = Upsample(factor=large_scale, mode="bilinear") if large_scale != 1.0 else Steps()
    return Parallel(
        small=Steps(
            patches=PatchStem(channels=small, patch=small_patch, norm="none"),
            tokens=class_token(),
        ),
        large=Steps(
            scale=scaled,
            patches=PatchStem(channels=large, patch=large_patch, norm="none"),
            tokens=class_token(),
        ),
    )


def crossing(
    small: Any,
    large: Any,
    small_depth: Any = 1,
    large_depth: Any = 4,
    small_heads: Any = 3,
    large_heads: Any = 3,
    ratio: Any = 4,
) -> Expression:
    """Transformers side by side, then the class token of each asks the patches of the other [Chen2021].

    Args:
        small: Channels of the first branch.
        large: Channels of the second.
        small_depth: Blocks of the first branch.
        large_depth: Blocks of the second.
        small_heads: Heads of the first branch.
        large_heads: Heads of the second.
        ratio: Hidden over outer channels of the MLPs.
    """

    def transformer(heads: Any, depth: Any) -> Expression:
        block = Steps(
            attention=Residual(SelfAttention(heads=heads), norm=LayerNorm()),
            ffn=Residual(MLP(ratio=ratio), norm=LayerNorm()),
        )
        return Repeat(block, times=depth, share="decisions")

    def mapped(channels: Any) -> Expression:
        return Steps(norm=LayerNorm(), activation=Activation(), map=Linear(dim=channels))

    def asking(own: int, channels: Any, other_channels: Any, heads: Any) -> Expression:
        token = Steps(pick=Pick(own), token=Take(count=1), to=mapped(other_channels))
        rest = Steps(pick=Pick(1 - own), rest=Take(start=1))
        asked = Steps(
            both=Parallel(token, rest, fuse=Concat(project=False, axis="sequence")),
            attend=Parallel(
                token=Take(count=1),
                found=Steps(norm=LayerNorm(), attention=ClassAttention(heads=heads)),
                fuse=Add(),
            ),
            back=mapped(channels),
        )
        kept = Steps(pick=Pick(own), rest=Take(start=1))
        return Parallel(asked=asked, kept=kept, fuse=Concat(project=False, axis="sequence"))

    return Steps(
        branches=Each(
            small=transformer(small_heads, small_depth),
            large=transformer(large_heads, large_depth),
        ),
        cross=Parallel(
            small=asking(0, small, large, large_heads), large=asking(1, large, small, small_heads)
        ),
    )


def two_heads(classes: int) -> Expression:
    """The sum of what the class tokens of both branches say."""

    def head() -> Expression:
        return ClassifierHead(classes=classes, pool="class_token")

    return Steps(each=Each(small=head(), large=head()), add=Add())


BRANCH_STEMS: Table = {"two_patches": two_patches}
BRANCH_BLOCKS: Table = {"crossing": crossing}
BRANCH_HEADS: Table = {"two": two_heads}
