"""Encoder-decoder networks that answer at every position of an image or a volume.

An encoder of several scales, alone or beside a second one that sees other patches, another operator, the
attention maps of a frozen transformer or a second input; skips of seven kinds; a decoder that climbs all
scales, fuses them, or takes one light step; pixels, or masks drawn by queries. Units are convolutions of five
kinds, large kernels, small Us, windows of five schemes, attention to all or to the best keys, over channels
too, gated MLPs, focal modulation, state spaces, xLSTM, or convolutions with one of these.

Papers (the choices are theirs; the space as a whole is ours):
    U-Net: O. Ronneberger et al. MICCAI 2015.       UNet++: Z. Zhou et al. 2018.
    nnU-Net: F. Isensee et al. Nat. Methods 2021.   U2-Net: X. Qin et al. Pattern Recognition 2020.
    DeepLabv3+: L.-C. Chen et al. ECCV 2018.        kMaX-DeepLab: Q. Yu et al. ECCV 2022.
    MAXIM: Z. Tu et al. CVPR 2022.                  Swin UNETR: A. Hatamizadeh et al. 2022.
    U-Mamba: J. Ma et al. 2024.                     PEM: N. Cavagnero et al. CVPR 2024.

Size follows from the input by one rule (:meth:`Sizes.of`):

    input        scales   channels of the finest   candidates   parameters of most random candidates
    8x8          2        8 .. 16                  4.4e+24      26 k .. 0.26 M
    32x32        2, 3     8 .. 16                  2.3e+28      44 k .. 0.58 M
    224x224      4, 5     32 .. 64                 1.1e+32      1.8 M .. 62 M
    8x8x8        2        8 .. 16                  1.6e+24      49 k .. 0.94 M
    96x96x96     4, 5     16 .. 32                 2.1e+31      1.9 M .. 99 M

Command:
    nasplat search --space unet --budget 10min
"""

from __future__ import annotations

from collections.abc import Mapping

from nasplat.blocks.decoders import decoder, heads_of
from nasplat.blocks.dense_axes import AXES
from nasplat.blocks.encoders import encoder
from nasplat.blocks.scales import Parts, Sizes
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Volume, show_types
from nasplat.ops.warp import SpatialTransformer
from nasplat.space.decisions import Choice
from nasplat.space.load import Typed, Types
from nasplat.space.skips import Paired
from nasplat.space.space import Space
from nasplat.space.wiring import Decided, Pick, Shared, Steps, Tap

TASK = "scenes?size=16&digits=2&classes=3&count=200"
"""The task that it is searched on unless told otherwise."""
EXAMPLES: Mapping[str, Types] = {
    "image": Types({"image": Image(1, 32, 32)}, {"pixels": Image(11, 32, 32)}),
    "volume": Types({"volume": Volume(1, 8, 8, 8)}, {"voxels": Volume(3, 8, 8, 8)}),
    "reference": Types(
        {"image": Image(3, 32, 32), "reference": Image(3, 32, 32)}, {"pixels": Image(3, 32, 32)}
    ),
}
SMALLEST = 8
"""Least side of an image or volume."""


def space(task: Typed, *, recipe: bool = True, sizes: Sizes | None = None) -> Space:
    """The space for the maps of a task.

    Args:
        task: One ``Image`` or ``Volume`` in, or two of one size; one of the same kind and size out.
        recipe: Whether learning rate and label smoothing are decisions, or left to the trainer.
        sizes: Domains that differ from the rule's.

    Raises:
        SpaceError: The task has other inputs or outputs.
    """
    inputs, outputs = tuple(task.inputs.values()), tuple(task.outputs.values())
    first = inputs[0] if inputs else None
    same = {(type(item), item.sizes[1:]) for item in (*inputs, *outputs)}
    if (
        not isinstance(first, Image | Volume)
        or len(inputs) > 2
        or len(outputs) != 1
        or len(same) > 1
        or min(first.sizes[1:]) < SMALLEST
    ):
        raise SpaceError(
            f"unet maps one Image or Volume of at least {SMALLEST} a side, or two of one size, to one of "
            f"that size; the task maps {show_types(inputs)} to {show_types(outputs)}"
        )
    parts = Parts.of(first, sizes or Sizes.of(first))
    whole: Expression = Steps(
        encoder=Shared("encoder", encoder(parts, inputs)),
        decoder=Shared("decoder", decoder(parts)),
        head=Shared("head", heads_of(parts, outputs[0].sizes[0])),
    )
    if parts.style.rank == 2 and len(inputs) == 1:
        grid = Choice(*SpatialTransformer.GRIDS, name="warp")
        there, back = SpatialTransformer(grid=grid), SpatialTransformer(grid=grid, inverse=True)
        whole = Paired(there, whole, back, present=Choice(False, True, name="warped"))
    style = parts.style
    shared = [*parts.widths, *parts.depths, style.norm, style.residual, parts.balance]
    if style.rank == 3:
        shared.append(style.conv_axes)
    body = Tap("input", head=Pick(0), output=False) >> Decided(whole, tuple(shared))
    decided = {
        "lr": Choice(0.002, 0.004, 0.008, default=0.004),
        "label_smoothing": Choice(0.0, 0.05, 0.1, default=0.0),
    }
    return Space(
        body,
        task.inputs,
        task.outputs,
        recipe=decided if recipe else None,
        name="unet",
        axes=AXES,
    )
