"""Published image networks of two branches as genotypes of ``dual-branch``.

Each is a family scaled by the rule of its paper; its parameters equal those of the reference implementations
to the unit.
"""

from __future__ import annotations

from collections.abc import Sequence

from nasplat.blocks.image_detailed import published
from nasplat.blocks.image_details import Of, StageDetails
from nasplat.space.designs import Preset


def crossvit(
    dims: Sequence[int] = (96, 192),
    depths: Sequence[int] = (1, 4),
    heads: Sequence[int] = (3, 3),
    ratio: float = 4,
    rounds: int = 3,
    side: int = 240,
    classes: int = 1000,
) -> Preset:
    """CrossViT: C.-F. Chen et al. ICCV 2021. Class tokens that ask the patches of the other branch.

    The image of the large patches is scaled to 14 fifteenths.
    """
    block = {
        "small": Of(dims[0]),
        "large": Of(dims[1]),
        "small_depth": Of(depths[0]),
        "large_depth": Of(depths[1]),
        "small_heads": Of(heads[0]),
        "large_heads": Of(heads[1]),
        "ratio": Of(ratio),
    }
    stem = {
        "small": Of(dims[0]),
        "large": Of(dims[1]),
        "small_patch": Of(12),
        "large_patch": Of(16),
        "large_scale": 14 / 15,
    }
    return published(
        space="dual-branch",
        stem={"two_patches": stem},
        stages=[StageDetails(blocks={"crossing": block}, depth=Of(rounds))],
        head={"two": {}},
        sizes={
            "strides": (4,),
            "patches": (12,),
            "large": (16,),
            "widths": (dims[0],),
            "large_widths": (dims[1],),
            "heads": tuple(sorted(set(heads))),
            "depths": tuple(sorted(set(depths))),
            "rounds": (rounds,),
        },
        side=side,
        classes=classes,
    )


PRESETS = {"crossvit": crossvit}
