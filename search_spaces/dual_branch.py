"""Networks of two or more branches that see one input in several ways, or several inputs.

A branch is a stream of maps or of tokens. Streams differ in what they see (patch sizes, frequencies,
colours, planes, views, modalities), in their mixers, or in the task that they serve; they run in rounds,
read each other early, time and again, at every scale or late, by cross-attention one way or both, gates,
attention, sums or concatenation, and end in classes, pixels, matches, votes or a head for each task. Two
views may share all weights. One stream alone is in the space too.

Papers (the choices are theirs; the space as a whole is ours):
    CrossViT: C.-F. Chen et al. ICCV 2021.          UniMatch: H. Xu et al. TPAMI 2023.
    ParaFormer: X. Lu et al. AAAI 2023.             CRAFT: A. Li et al. ICCV 2023.
    UMIFormer: Z. Zhu et al. ICCV 2023.             SSMA: A. Valada et al. IJCV 2020.
    RegFormer: J. Liu et al. ICCV 2023.             HIT: G. J. Faure et al. WACV 2023.
    LYT-Net: A. Brateanu et al. 2024.               RTNet: S. Huang et al. TMI 2022.

Size follows from the inputs by one rule (:meth:`Sizes.of`):

    input                   output       candidates   parameters of most random candidates
    8x8                     classes      4.0e+13      10 k .. 0.11 M
    32x32                   classes      5.9e+13      42 k .. 0.43 M
    32x32                   32x32        7.9e+13      29 k .. 0.54 M
    224x224                 classes      5.9e+13      0.25 M .. 1.9 M

Command:
    nasplat search --space dual-branch --task digits --budget 10min
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nasplat.blocks.branch_axes import AXES
from nasplat.blocks.branch_ends import end
from nasplat.blocks.image_detailed import detailed
from nasplat.blocks.image_details import Details
from nasplat.blocks.stages import THROUGH, Style
from nasplat.blocks.streams import NAMES, Group, Stream, trunk
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import (
    Image,
    Logits,
    Points,
    Scores,
    TensorType,
    Tokens,
    Vector,
    Volume,
    show_types,
)
from nasplat.ops.attention import CrossAttention
from nasplat.ops.learned_tokens import LearnedTokens
from nasplat.ops.linear import Linear
from nasplat.ops.merge import Concat
from nasplat.ops.patch import ConvStem, PatchEmbed, PatchStem
from nasplat.ops.position import AbsolutePosition
from nasplat.ops.views import ColourSplit, FrequencySplit, FromAbove, PhasePosition, PointEmbed
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.load import Typed, Types
from nasplat.space.space import Space
from nasplat.space.wiring import Decided, Each, Parallel, Pick, Steps, Tap, Tied

IMAGE = Image(3, 16, 16)
EXAMPLES: Mapping[str, Types] = {
    "image": Types({"image": Image(1, 8, 8)}, {"logits": Logits(10)}),
    "pixels": Types({"image": IMAGE}, {"pixels": IMAGE}),
    "voxels": Types({"volume": Volume(2, 4, 8, 8)}, {"voxels": Volume(3, 4, 8, 8)}),
    "views": Types({"left": IMAGE, "right": IMAGE}, {"logits": Logits(10)}),
    "modalities": Types({"colour": IMAGE, "depth": Image(1, 16, 16)}, {"pixels": Image(4, 16, 16)}),
    "motion": Types(
        {"before": IMAGE, "after": IMAGE},
        {"flow": Image(2, 16, 16), "depth": Image(1, 16, 16)},
    ),
    "tasks": Types({"image": IMAGE}, {"lesions": Image(3, 16, 16), "vessels": Image(2, 16, 16)}),
    "keypoints": Types(
        {"left": Tokens(16, 8), "right": Tokens(16, 8)}, {"match": Scores(1, 16, 16)}
    ),
    "pose": Types({"image": IMAGE, "points": Points(32)}, {"keypoints": Points(4)}),
    "clouds": Types({"source": Points(32), "target": Points(32)}, {"motion": Vector(7)}),
    "streams": Types(
        {"colour": IMAGE, "pose": Image(1, 16, 16), "hands": Image(2, 16, 16)},
        {"logits": Logits(10)},
    ),
}
TASK = "digits"


@dataclass(frozen=True)
class Sizes:
    """The domains that follow from the size of the inputs; by default from one rule.

    Attributes:
        strides: From an input to the positions of a stream of maps.
        patches: Sides of small patches.
        large: Sides of large patches, each at least as large as any small one.
        widths: Channels of a stream.
        large_widths: Channels of the stream of large patches.
        heads: Of attention.
        head_dim: Width of a head; None: channels over heads.
        depths: Units of a stream in a round.
        rounds: Numbers of rounds.
        details: The settings of one published family: the space holds its members and nothing else.
    """

    strides: tuple[int, ...]
    patches: tuple[int, ...]
    large: tuple[int, ...]
    widths: tuple[int, ...]
    large_widths: tuple[int, ...]
    heads: tuple[int, ...] = (2, 4)
    head_dim: int | None = None
    depths: tuple[int, ...] = (1, 2)
    rounds: tuple[int, ...] = (1, 2, 3)
    details: Details | None = None

    @classmethod
    def of(cls, inputs: tuple[TensorType, ...]) -> Sizes:
        """The rule: streams of about 8 positions a side, more for large inputs; channels as their root."""
        sides = [min(item.sizes[-2:]) for item in inputs if isinstance(item, Image | Volume)]
        side = min(sides, default=16)
        stride = max(1, 1 << max(0, int(math.log2(side / 8)) - 1))
        width = 8 * min(12, max(2, round(math.sqrt(side))))
        patch = max(1, stride)
        return cls(
            (stride, 2 * stride) if side // (2 * stride) >= 4 else (stride,),
            (patch, 2 * patch),
            (2 * patch, 4 * patch),
            (width // 2, width * 3 // 4, width),
            (width, width * 3 // 2),
        )


def space(task: Typed, *, recipe: bool = True, sizes: Sizes | None = None) -> Space:
    """The space for the inputs and outputs of a task.

    Args:
        task: See :data:`EXAMPLES` for what may come in and go out.
        recipe: Whether learning rate and label smoothing are decisions, or left to the trainer.
        sizes: Domains that differ from the rule's.

    Raises:
        SpaceError: The task has other inputs or outputs.
    """
    inputs, outputs = tuple(task.inputs.values()), tuple(task.outputs.values())
    chosen = sizes or Sizes.of(inputs)
    decided = {
        "lr": Choice(0.002, 0.004, 0.008, default=0.004),
        "label_smoothing": Choice(0.0, 0.05, 0.1, default=0.0),
    }
    if chosen.details is not None and isinstance(outputs[0], Logits):
        return Space(
            detailed(chosen.details, outputs[0].classes),
            task.inputs,
            task.outputs,
            recipe=decided if recipe else None,
            name="dual-branch",
        )
    style = Style(
        rank=2,
        norm=Choice("layer", "batch", name="norm"),
        residual=Choice("plain", "none", name="residual"),
        heads=chosen.heads,
        head_dim=chosen.head_dim,
        conv_axes=Choice("volumetric", "planar", name="conv_axes"),
    )
    views = _views(inputs, outputs, chosen, style)
    if not views:
        takes = "; ".join(str(types) for types in EXAMPLES.values())
        raise SpaceError(
            f"dual-branch has no branches for {show_types(inputs)} to {show_types(outputs)}",
            hint=f"It takes tasks like these, at other sizes: {takes}.",
        )
    contrast = Choice(*views, name="contrast")
    behind: dict[tuple[Any, ...], Expression] = {}
    for _, group in views.values():
        if group.key not in behind:
            behind[group.key] = Steps(trunk=trunk(group), end=end(group, inputs, outputs))
    whole = Steps(
        views=Match(contrast, {name: seen for name, (seen, _) in views.items()}),
        rest=Match(contrast, {name: behind[group.key] for name, (_, group) in views.items()}),
    )
    taps = [Tap(f"input{at}", head=Pick(at), output=False) for at in range(len(inputs))]
    body: Expression = Steps(**{f"tap{at}": tap for at, tap in enumerate(taps)})
    shared = [style.norm, style.residual]
    if any(isinstance(item, Volume) for item in inputs):
        shared.append(style.conv_axes)
    return Space(
        body >> Decided(THROUGH, tuple(shared)) >> whole,
        task.inputs,
        task.outputs,
        recipe=decided if recipe else None,
        name="dual-branch",
        axes=AXES,
    )


View = tuple[Expression, Group]


def _views(
    inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...], sizes: Sizes, style: Style
) -> dict[str, View]:
    """The ways in which a task is seen by several streams, by what tells these apart."""
    kinds = tuple(type(item) for item in inputs)
    ends = {type(item) for item in outputs}
    maps = ends <= {Image} or ends <= {Volume}
    same = len({item.sizes[1:] for item in inputs}) == 1
    fits = maps and all(item.sizes[1:] == inputs[0].sizes[1:] for item in outputs)
    width = Choice(*sizes.widths, default=sizes.widths[-1], name="widths.first")
    stride = Choice(*sizes.strides, name="embed.stride")
    tied = Choice("across_branches", "none", name="sharing")

    met: dict[str, Any] = {}

    def group(streams: list[Stream], alike: bool = True, tied: Any = None) -> Group:
        whole = bool(ends & {Scores, Points})
        sets = (sizes.depths, sizes.rounds)
        return Group(tuple(streams), style, alike, tied, *sets, width, whole, met)

    def mapped(item: TensorType, at: int) -> Stream:
        places = 1
        for length in item.sizes[1:]:
            places *= math.ceil(length / sizes.strides[0])
        return Stream(NAMES[at], len(item.sizes) - 1, places)

    def stem() -> Expression:
        return Choose(
            conv=ConvStem(channels=width, stride=stride, norm=style.norm),
            patch=PatchStem(channels=width, patch=stride),
        )

    made: dict[str, View] = {}
    one_map = kinds in ((Image,), (Volume,)) and ((fits and len(outputs) <= 2) or ends == {Logits})
    if kinds == (Image,) and one_map:
        streams = [mapped(inputs[0], 0), mapped(inputs[0], 1)]
        two = Parallel(first=stem(), second=stem())
        if len(outputs) == 2:
            made["task"] = (two, group(streams))
            return made | {"single": (stem(), group(streams[:1]))}
        split = FrequencySplit() >> Each(first=stem(), second=stem())
        if ends == {Logits}:
            made["patch_size"] = _patches(inputs[0], sizes, group, width)
        made |= {"operator": (two, group(streams)), "frequency": (split, group(streams))}
        if inputs[0].sizes[0] == 3:
            colours = ColourSplit() >> Each(first=stem(), second=stem())
            made["colour"] = (colours, group(streams))
        made["single"] = (stem(), group(streams[:1]))
    elif kinds == (Volume,) and one_map and len(outputs) == 1 and ends == {Volume}:
        above = Image(*(inputs[0].sizes[0], *inputs[0].sizes[2:]))
        seen = Parallel(first=stem(), second=Steps(stem=stem(), above=FromAbove()))
        streams = [
            replace(mapped(inputs[0], 0), name="volume"),
            replace(mapped(above, 1), name="above"),
        ]
        made["planes"] = (seen, group(streams, alike=False))
        flat = Parallel(first=stem(), second=stem())
        made["operator"] = (flat, group([mapped(inputs[0], at) for at in range(2)]))
        made["single"] = (stem(), group([mapped(inputs[0], 0)]))
    elif (
        set(kinds) in ({Image}, {Volume}) and same and (fits or ends == {Logits}) and len(kinds) < 4
    ):
        streams = [mapped(item, at) for at, item in enumerate(inputs)]
        own = Each(**{stream.name: stem() for stream in streams})
        if len(set(inputs)) == 1:
            shared = Tied("embed", Steps(stem=stem()))
            made["view"] = (
                Each(**{stream.name: shared for stream in streams}),
                group(streams, tied=tied),
            )
        if len(outputs) == 1:
            made["modality" if len(inputs) == 2 else "modalities"] = (own, group(streams))
        made["single"] = (Concat(project=False) >> stem(), group(streams[:1]))
    elif kinds == (Tokens, Tokens) and ends == {Scores} and len(outputs) == 1:
        position = Choose(
            none=THROUGH, phase_amplitude=PhasePosition(), absolute=AbsolutePosition()
        )
        embed = Tied("embed", Steps(widen=Linear(dim=width), position=position))
        streams = [Stream(NAMES[at], 0, item.sizes[0]) for at, item in enumerate(inputs)]
        alike = inputs[0] == inputs[1]
        made["view"] = (
            Each(first=embed, second=embed),
            group(streams, alike, tied if alike else None),
        )
        both = Stream("both", 0, sum(stream.positions for stream in streams))
        if alike:
            met_once = Each(first=embed, second=embed) >> Concat(axis="sequence", project=False)
            made["single"] = (met_once, group([both]))
    elif kinds == (Image, Points) and ends == {Points}:
        near = Choice(4, 8, name="embed.neighbours")
        points = PointEmbed(dim=width, neighbours=near)
        streams = [mapped(inputs[0], 0), Stream(NAMES[1], 0, inputs[1].sizes[0])]
        made["modality"] = (Each(first=stem(), second=points), group(streams, alike=False))
        looked = Each(first=stem(), second=points) >> Pick(1, 0) >> CrossAttention(heads=2)
        made["single"] = (looked, group(streams[1:]))
    elif kinds == (Points, Points) and ends == {Vector} and inputs[0] == inputs[1]:
        count = inputs[0].sizes[0]
        for name, form, rank in (("view", "group", 0), ("view_projection", "projection", 2)):
            embed = Tied("embed", Steps(points=PointEmbed(dim=width, form=form)))
            places = count if rank == 0 else 128
            streams = [Stream(f"{form}_{at}", rank, places) for at in range(2)]
            made[name] = (Each(first=embed, second=embed), group(streams, tied=tied))
        embed = Tied("embed", Steps(points=PointEmbed(dim=width)))
        met_once = Each(first=embed, second=embed) >> Concat(axis="sequence", project=False)
        made["single"] = (met_once, group([Stream("both", 0, 2 * count)]))
    return made


def _patches(image: TensorType, sizes: Sizes, group: Any, width: Any) -> View:
    """Small and large patches as tokens, each with a class token and learned positions."""
    small = Choice(*sizes.patches, name="embed.patch")
    large = Choice(*sizes.large, name="embed.large_patch")
    wide = Choice(*sizes.large_widths, name="widths.second")
    embeds = {}
    streams = []
    for name, patch, dim, least in (
        ("small", small, width, sizes.patches[0]),
        ("large", large, wide, sizes.large[0]),
    ):
        embeds[name] = Steps(
            patches=PatchEmbed(dim=dim, patch=patch),
            token=LearnedTokens(),
            position=AbsolutePosition(),
        )
        places = math.prod(math.ceil(length / least) for length in image.sizes[1:]) + 1
        streams.append(Stream(name, 0, places, classed=True))
    return Parallel(**embeds), group(streams, alike=False)
