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
    8x8        2       8x8 or 4x4                  4.0e+33      17 k .. 107 k
    32x32      3       16x16 or 8x8                1.7e+65      0.4 M .. 2.3 M
    224x224    4       56x56 or 28x28              2.3e+106     4 M .. 21 M

Expected numbers (measured on digits, one core): three epochs take 2 to 4 seconds; of random candidates most
are then at 0.80 to 0.93 accuracy, those without any local mixer far below.

Command:
    nasplat search --space hybrid-vit --task digits --budget 10min
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.blocks.image_blocks import stage_of_blocks
from nasplat.blocks.image_detailed import detailed
from nasplat.blocks.image_details import Details
from nasplat.blocks.image_settings import Domains, Network, Stage, ordered
from nasplat.blocks.image_stems import downsampling, position, stem
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits, show_types
from nasplat.ops.head import ClassifierHead
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice
from nasplat.space.load import Typed, Types
from nasplat.space.space import Space
from nasplat.space.wiring import Decided, Shared, Steps

SMALLEST = 4
"""Least side of an image: a stride of 2 in the stem and one between two stages."""
EXAMPLES = {
    "digits": Types({"image": Image(1, 8, 8)}, {"logits": Logits(10)}),
    "photos": Types({"image": Image(3, 32, 32)}, {"logits": Logits(10)}),
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
    """The space for images and classes of a task.

    Args:
        task: One ``Image`` of at least 4x4 in, one ``Logits`` out.
        recipe: Whether learning rate and label smoothing are decisions, or left to the trainer.
        sizes: Domains that differ from those that follow from the image.

    Raises:
        SpaceError: The task has other inputs or outputs.
    """
    inputs, outputs = tuple(task.inputs.values()), tuple(task.outputs.values())
    image, logits = inputs[0], outputs[0]
    if (
        len(inputs) != 1
        or len(outputs) != 1
        or not isinstance(image, Image)
        or not isinstance(logits, Logits)
        or min(image.height, image.width) < SMALLEST
    ):
        raise SpaceError(
            f"hybrid-vit maps one Image of at least {SMALLEST}x{SMALLEST} to one Logits; "
            f"the task maps {show_types(inputs)} to {show_types(outputs)}"
        )
    if sizes is not None and sizes.details is not None:
        body = detailed(sizes.details, logits.classes)
    else:
        body = _body(Scale(*sorted((image.height, image.width))), logits.classes)
    decided = {
        "lr": Choice(0.002, 0.004, 0.008, default=0.004),
        "label_smoothing": Choice(0.0, 0.05, 0.1, default=0.05),
    }
    return Space(
        body,
        task.inputs,
        task.outputs,
        recipe=decided if recipe else None,
        name="hybrid-vit",
    )


def _body(scale: Scale, classes: int) -> Expression:
    network = Network()
    stride = Choice(*scale.strides, name="stem.stride")
    trunk = Choose(hierarchical=_pyramid(scale, network, stride), isotropic=_row(scale, network))
    always = (*network.always, stride)
    return Steps(trunk=Decided(trunk, always), head=ClassifierHead(classes=classes))


def _pyramid(scale: Scale, network: Network, stride: Expression) -> Expression:
    """Stages, each with half the positions a side of the one before and more channels."""
    stages = []
    for number in range(scale.stages):
        width = scale.width << number
        widths = width // 2, width * 2 // 3, width, width * 4 // 3
        domains = scale.domains(
            widths, [stride << number for stride in scale.strides], range(1, scale.stages + 2)
        )
        stages.append(Stage(str(number), network, domains))
    made = {
        str(number): stage_of_blocks(stage, downsampling(stage) if number else None)
        for number, stage in enumerate(stages)
    }
    return Steps(
        stem=stem(stages[0].width, stride),
        position=position(network),
        stages=Shared("stages", Steps(**made)),
    )


def _row(scale: Scale, network: Network) -> Expression:
    """Blocks at one resolution: a few that decide for themselves, several times over."""
    width = scale.width * 2
    widths = width // 2, width * 2 // 3, width, width * 4 // 3
    stage = Stage("all", network, scale.domains(widths, scale.patches, scale.rows))
    return Steps(
        stem=stem(stage.width, ordered(scale.patches, 0.5, name="stem.patch")),
        position=position(network),
        stages=Shared("stages", Steps(all=stage_of_blocks(stage, alike=True))),
    )
