"""Image networks of forms whose settings are given down to the last bias: stem, stages, head.

What they offer is in :class:`~nasplat.blocks.image_details.Details`; this module puts the forms in their
places. It knows no settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nasplat.blocks.image_details import (
    Details,
    Forms,
    Opening,
    StageDetails,
    Table,
    normalisation,
)
from nasplat.blocks.image_form_blocks import BLOCKS, attending_step, pooling_step
from nasplat.blocks.image_form_branches import BRANCH_BLOCKS, BRANCH_HEADS, BRANCH_STEMS
from nasplat.blocks.image_form_convolutions import CONVOLUTION_BLOCKS, CONVOLUTION_STEPS
from nasplat.blocks.image_form_tokens import TOKEN_BLOCKS, TOKEN_HEADS, TOKEN_POSITIONS, TOKEN_STEMS
from nasplat.blocks.image_forms import HEADS, POSITIONS, STEMS, STEPS
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits
from nasplat.space.designs import Preset
from nasplat.space.load import Types
from nasplat.space.repeat import Repeat
from nasplat.space.wiring import Steps

PLACES: Table = {**POSITIONS, **TOKEN_POSITIONS}
FORMS: Table = {**BLOCKS, **CONVOLUTION_BLOCKS, **TOKEN_BLOCKS, **BRANCH_BLOCKS}
DOWNS: Table = {
    **FORMS,
    **STEPS,
    **CONVOLUTION_STEPS,
    "attending": attending_step,
    "pooling": pooling_step,
}


def published(
    stem: Forms,
    stages: Sequence[StageDetails],
    head: Forms,
    position: Forms | None = None,
    where: Mapping[str, Any] | None = None,
    *,
    side: int = 224,
    classes: int = 1000,
    space: str = "hybrid-vit",
    sizes: Mapping[str, Any] | None = None,
) -> Preset:
    """A published network for square colour images.

    Args:
        stem: Its stem.
        stages: Its stages.
        head: Its head.
        position: What stands between stem and stages; None: nothing.
        where: Decisions that are not the first of their values.
        side: Side of the images.
        classes: Number of classes.
        space: Name of the space that holds it.
        sizes: Other sizes that the space asks for.
    """
    types = Types({"image": Image(3, side, side)}, {"logits": Logits(classes)})
    details = Details(stem=stem, stages=tuple(stages), head=head, position=position)
    return Preset(space, types, where or {}, {**(sizes or {}), "details": details})


def detailed(details: Details, classes: int) -> Expression:
    """The whole network for images of a number of classes."""
    whole = Opening("network")
    parts: dict[str, Expression] = {
        "stem": whole.part({**STEMS, **TOKEN_STEMS, **BRANCH_STEMS}, details.stem, "stem")
    }
    if details.position is not None:
        parts["position"] = whole.part(PLACES, details.position, "position")
    parts["stages"] = Steps(
        **{str(number): detailed_stage(number, made) for number, made in enumerate(details.stages)}
    )
    head = {form: {"classes": classes, **settings} for form, settings in details.head.items()}
    parts["head"] = whole.part({**HEADS, **TOKEN_HEADS, **BRANCH_HEADS}, head, "head")
    return Steps(**parts)


def detailed_stage(number: int, details: StageDetails) -> Expression:
    """One stage: a step that leads to it, what is added to its maps, and its blocks."""
    opening = Opening(f"stages.{number}")
    parts: dict[str, Expression] = {}
    if details.down is not None:
        parts["down"] = opening.part(DOWNS, details.down, "down")
    if details.position is not None:
        parts["position"] = opening.part(PLACES, details.position, "position")
    block = opening.part(FORMS, details.blocks, "blocks")
    depth = opening.setting("depth", details.depth)
    parts["blocks"] = Repeat(block, times=depth, common=tuple(opening.common))
    if details.norm != "none":
        parts["norm"] = normalisation(details.norm)
    return Steps(**parts)
