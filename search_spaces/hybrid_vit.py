"""Hybrid vision networks: blocks that mix positions by convolution, attention, both, or less.

A network is a pyramid of stages, or a row of blocks at one resolution. Each block is a mixer and a
feed-forward part. Kinds and settings of both, what runs along depth beside them, stems, steps between
stages, norms, positions, bit widths and what pruning leaves are decisions, and so are the learning rate and
label smoothing. Which published designs lie inside is in ``designs/hybrid_vit.toml``.

Papers (the choices are theirs; the space as a whole is ours):
    ViT: A. Dosovitskiy et al. ICLR 2021.          Swin: Z. Liu et al. ICCV 2021.
    CoAtNet: Z. Dai et al. NeurIPS 2021.           MetaFormer: W. Yu et al. CVPR 2022, TPAMI 2024.
    XCiT: A. El-Nouby et al. NeurIPS 2021.         EfficientViT: H. Cai et al. ICCV 2023.
    MobileNetV2: M. Sandler et al. CVPR 2018.      FNet: J. Lee-Thorp et al. NAACL 2022.
    iFormer: C. Si et al. NeurIPS 2022.            Switch transformers: W. Fedus et al. JMLR 2022.

Size and cost follow from the image by one rule (:class:`Scale`):

    image      stages  positions after the stem   candidates   parameters of most random candidates
    8x8        2       8x8 or 4x4                  4.3e+79      12 k .. 129 k
    32x32      3       16x16 or 8x8                9.8e+151     81 k .. 1.5 M
    224x224    4       56x56 or 28x28              8.2e+246     226 k .. 8.3 M

Expected numbers (measured on digits, one core): three epochs of most random candidates take 1 to 5
seconds, of long rows of blocks on single pixels half a minute; the median then has 0.87 accuracy, the
default 0.97.

Command:
    nasplat search --space hybrid-vit --task digits --budget 10min
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasplat.blocks.image_axes import axes
from nasplat.blocks.image_blocks import stage_of_blocks
from nasplat.blocks.image_detailed import detailed
from nasplat.blocks.image_details import Details
from nasplat.blocks.image_heads import IMAGE, classes, pixels
from nasplat.blocks.image_settings import Domains, Network, Stage, ordered
from nasplat.blocks.image_stems import downsampling, position, stem
from nasplat.blocks.image_tokens import Reduction, extra_tokens, layers, nested
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits, TensorType, show_types
from nasplat.ops.head import ClassifierHead
from nasplat.ops.merge import Take
from nasplat.ops.resample import ImageToTokens
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Case, Choice, Int
from nasplat.space.load import Typed, Types
from nasplat.space.space import Space
from nasplat.space.wiring import Decided, Shared, Steps, Tap

AFTER_TRAINING = ("ptq", "reparameterised", "data_free")
"""Ways to round a network that has learned in floating point."""
SMALLEST = 4
"""Least side of an image: a stride of 2 in the stem and one between two stages."""
EXAMPLES = {
    "digits": Types({"image": Image(1, 8, 8)}, {"logits": Logits(10)}),
    "photos": Types({"image": Image(3, 32, 32)}, {"logits": Logits(10)}),
    "denoising": Types({"noisy": Image(1, 8, 8)}, {"image": Image(1, 8, 8)}),
    "enlarging": Types({"small": Image(1, 8, 8)}, {"image": Image(1, 16, 16)}),
}


@dataclass(frozen=True)
class Scale:
    """What the size of an image decides.

    Attributes:
        side: The shorter side of the image, in pixels.
        other_side: The longer one.
    """

    side: int
    other_side: int

    @property
    def strides(self) -> tuple[int, int]:
        """Strides of the stem: the smaller leaves about 8 to 16 positions a side, up to 56 of 224."""
        stride = 1 << min(2, max(0, int(math.log2(self.side / 8)) - 1))
        return stride, 2 * stride

    @property
    def stages(self) -> int:
        """Stages, 2 to 4, each with half the side of the one before; the last has about 4 to 7 a side."""
        return min(4, max(2, int(math.log2(self.side / self.strides[0] / 4)) + 1))

    def grid(self, stride: int) -> int:
        """Most positions along the shorter side, so many pixels apart."""
        return math.ceil(self.side / stride)

    @property
    def width(self) -> int:
        """Channels of the first stage: a multiple of 24 that grows as the root of the side."""
        return 24 * min(3, max(1, round(math.sqrt(self.side / 8))))

    @property
    def patches(self) -> tuple[int, ...]:
        """Sides of the patches of a network of one resolution: 16 of 224 pixels, half and twice that."""
        side = 1 << max(0, round(math.log2(self.side / 10)))
        return tuple(sorted({max(1, side // 2), side, 2 * side}))

    @property
    def nested_patches(self) -> tuple[int, ...]:
        """Sides of patches that hold 4x4 parts: at most 28 of them along a side."""
        sides = (4, 8, 16, 32)
        return tuple(s for s in sides if s <= self.side and self.side <= 28 * s)

    @property
    def rows(self) -> tuple[int, ...]:
        """How often a network of one resolution repeats its blocks."""
        return (1, 2, 3, 4) if self.stages == 2 else (2, 4, 6, 8, 13)

    def domains(
        self, widths: Sequence[int], strides: Sequence[int], depths: Sequence[int]
    ) -> Domains:
        """The domains of a stage whose positions may be so many pixels apart."""
        grid = self.grid(min(strides))
        return Domains(
            widths=widths,
            depths=depths,
            heads=(1, 2, 4) if self.stages == 2 else (2, 4, 8),
            head_dims=(self.width // 3, self.width * 2 // 3),
            windows=[side for side in (2, 4, 7, 14) if side < grid] or [grid],
            experts=(2, 4) if self.stages == 2 else (2, 4, 8),
            side=grid,
            even=all(
                side % (2 * stride) == 0
                for side in (self.side, self.other_side)
                for stride in strides
            ),
        )


@dataclass(frozen=True)
class Sizes:
    """Domains that differ from those that follow from the image.

    Attributes:
        details: The settings of one published family: the space holds its members and nothing else.
    """

    details: Details | None = None


def space(task: Typed, *, recipe: bool = True, sizes: Sizes | None = None) -> Space:
    """The space for images of a task, and for its classes or the images it wants.

    Args:
        task: One ``Image`` of at least 4x4 in; out one ``Logits``, or an ``Image`` whose sides are those
            of the input or a whole multiple.
        recipe: Whether learning rate, label smoothing and how weights begin are decisions, or left to the
            trainer.
        sizes: Domains that differ from those that follow from the image.

    Raises:
        SpaceError: The task has other inputs or outputs.
    """
    inputs, outputs = tuple(task.inputs.values()), tuple(task.outputs.values())
    image = inputs[0]
    if (
        len(inputs) != 1
        or len(outputs) != 1
        or not isinstance(image, Image)
        or min(image.height, image.width) < SMALLEST
        or not (isinstance(outputs[0], Logits) or _multiple(image, outputs[0]))
    ):
        raise SpaceError(
            f"hybrid-vit maps one Image of at least {SMALLEST}x{SMALLEST} to one Logits, or to one Image "
            f"of the same sides or a whole multiple; "
            f"the task maps {show_types(inputs)} to {show_types(outputs)}",
            hint="`nasplat space list` shows which types the spaces take.",
        )
    scale = Scale(*sorted((image.height, image.width)))
    if sizes is not None and sizes.details is not None and isinstance(outputs[0], Logits):
        body = detailed(sizes.details, outputs[0].classes)
    else:
        body = Trunks(scale, image, outputs[0]).body()
    decided = {
        "lr": Choice(0.002, 0.004, 0.008, default=0.004),
        "label_smoothing": Choice(0.0, 0.05, 0.1, default=0.05),
        # What a bank gives early is no measure of what is trained from scratch: never both in one search.
        "weights": Choice("own", "bank", on_demand=("bank",)),
        "quantisation": Case(
            Choice("in_training", "after_training", name="recipe.rounding"),
            {
                "in_training": "qat",
                "after_training": Choice(*AFTER_TRAINING, name="recipe.quantisation"),
            },
        ),
    }
    return Space(
        body,
        task.inputs,
        task.outputs,
        recipe=decided if recipe else None,
        name="hybrid-vit",
        axes=axes(scale.stages, image=isinstance(outputs[0], Image)) if sizes is None else None,
    )


def _multiple(image: Image, output: TensorType) -> bool:
    """Whether an output is an image whose sides are the same whole multiple of the input's."""
    if not isinstance(output, Image) or output.height % image.height:
        return False
    return output.width * image.height == output.height * image.width


class Trunks:
    """The shapes that a network may have, each with its head.

    Args:
        scale: What the size of the image decides.
        image: What comes in.
        output: What goes out.
    """

    def __init__(self, scale: Scale, image: Image, output: TensorType) -> None:
        self.scale, self.image, self.output = scale, image, output
        self.network = Network()
        self.stride = Choice(*scale.strides, name="stem.stride")
        self.patch = ordered(scale.patches, 0.5, name="stem.patch")
        self.position = position(self.network)
        self.class_token = Choice("none", "first", "last", name="class_token")

    def body(self) -> Expression:
        """One of all."""
        trunk = Choose(hierarchical=self.pyramid(), isotropic=self.row(), tokens=self.tokens())
        always = (*self.network.always, self.stride)
        parts: dict[str, Expression] = {"trunk": Decided(trunk, always)}
        if isinstance(self.output, Image):
            parts = {"image": Tap(IMAGE, output=False), **parts}
        return Steps(**parts)

    def head(
        self, label: str, stride: Any, plain: Expression | None = None, *, plane: bool = True
    ) -> Expression:
        """What stands behind a trunk whose positions are so many pixels apart."""
        if isinstance(self.output, Logits):
            body = classes(self.output.classes, plain, plane=plane)
        else:
            assert isinstance(self.output, Image)
            factor = self.output.height // self.image.height
            body = pixels(self.output, factor, stride, plane=plane)
        return Shared(label, body)

    def pyramid(self) -> Expression:
        """Stages, each with half the positions a side of the one before and more channels."""
        scale, stages = self.scale, []
        rule = Choice("per_stage", "curve_over_depth", name="width_rule")
        first, slope = None, Choice(8, 16, 24, default=16, name="width_slope")
        for number in range(scale.stages):
            width = scale.width << number
            widths = width // 2, width * 2 // 3, width, width * 4 // 3
            strides = [stride << number for stride in scale.strides]
            domains = scale.domains(widths, strides, range(1, scale.stages + 2))
            own = ordered(widths, 0.7, name=f"stages.{number}.width")
            first = own if first is None else first
            curve = first + number * slope
            given = (
                own if number == 0 else Case(rule, {"per_stage": own, "curve_over_depth": curve})
            )
            stages.append(Stage(str(number), self.network, domains, given))
        fixed = isinstance(self.output, Image)
        made = {
            str(number): stage_of_blocks(
                stage, downsampling(stage, fixed=fixed) if number else None
            )
            for number, stage in enumerate(stages)
        }
        return Steps(
            stem=Shared("map_stem", stem(stages[0].width, self.stride)),
            position=self.position,
            stages=Shared("stages", Steps(**made)),
            head=self.head("map_head", self.stride * (1 << (scale.stages - 1))),
        )

    def alone(self, label: str, **options: Any) -> Stage:
        """The settings of the only stage of a network of one resolution."""
        width = self.scale.width * 2
        widths = width // 2, width * 2 // 3, width, width * 4 // 3
        domains = self.scale.domains(widths, self.scale.patches, self.scale.rows)
        return Stage(label, self.network, domains, **options)

    def row(self) -> Expression:
        """Blocks at one resolution: a few that decide for themselves, several times over."""
        stage = self.alone("all")
        scales = isinstance(self.output, Logits)
        return Steps(
            stem=Shared("row_stem", stem(stage.width, self.patch, scales=scales)),
            position=self.position,
            stages=Shared("stages", Steps(all=stage_of_blocks(stage, alike=True))),
            head=self.head("row_head", self.patch),
        )

    def tokens(self) -> Expression:
        """Tokens of patches, beside a class token or not; transformers inside patches."""
        row = self.alone("tokens")
        given = row.given_width
        looped = self.alone("loop", width=given, looped=True)
        pool = self.alone("pool", width=given, looped=True)
        made: dict[str, Expression] = {
            "stem": Shared("token_stem", stem(row.width, self.patch)),
            "position": self.position,
            "tokens": ImageToTokens(),
        }
        plain: Expression | None = None
        reduction = None
        if isinstance(self.output, Logits):
            count = self.output.classes
            first = Case(self.class_token, {"none": 0, "first": 1, "last": 0})
            reduction = Reduction(first)
            made["extra"] = extra_tokens(self.class_token)
            last = Take(start=-1, count=1) >> ClassifierHead(classes=count)
            read = {
                "none": ClassifierHead(classes=count),
                "first": ClassifierHead(classes=count, pool="class_token"),
                "last": last,
            }
            plain = Match(self.class_token, read)
        code = isinstance(self.output, Image)
        made["layers"] = Shared("layers", layers(row, looped, pool, reduction, code=code))
        made["head"] = self.head("token_head", self.patch, plain, plane=False)
        settled = (self.class_token, *(() if reduction is None else reduction.always), self.patch)
        flat = Decided(Steps(**made), settled)
        patch = ordered(self.scale.nested_patches, 0.5, name="nested.patch")
        inside = nested(
            Choice(self.scale.width, self.scale.width * 2, name="nested.width"),
            Choice(8, 12, name="nested.inner_width"),
            patch,
            Int(1, 3, default=2, name="nested.depth"),
        )
        within = Steps(patches=inside, head=self.head("nested_head", patch, plane=False))
        return Choose(flat=flat, nested=within)
