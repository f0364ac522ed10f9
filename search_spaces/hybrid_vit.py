"""Hybrid vision networks: stages of blocks that mix positions by convolution, attention, both, or less.

Each block is a mixer and a feed-forward part, both residual. A mixer is a convolution (depthwise, inverted
bottleneck or standard, with or without squeeze-excitation), attention within windows, over all positions,
linear or over channels, a convolution and an attention side by side, pooling, or a Fourier transform. A
feed-forward part is an MLP, a gated MLP, an MLP with a depthwise convolution or a mixture of experts.
Depths, widths, kernels, heads, norms, stem, downsampling, positional encoding and bit widths are decisions
too, and so are the learning rate and label smoothing.

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
from dataclasses import dataclass
from typing import Any

from nasplat.blocks.image_detailed import detailed
from nasplat.blocks.image_details import Details
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits, show_types
from nasplat.ops.attention import (
    CrossCovarianceAttention,
    LinearAttention,
    SelfAttention,
)
from nasplat.ops.attention_window import WindowAttention
from nasplat.ops.conv import Conv, DepthwiseConv, MBConv, SqueezeGate
from nasplat.ops.ffn import MLP, DepthwiseMLP, GatedMLP
from nasplat.ops.head import ClassifierHead
from nasplat.ops.merge import Add, Concat, Gated
from nasplat.ops.mixer import ConvMixer, FourierMixer, PoolMixer
from nasplat.ops.moe import MoE
from nasplat.ops.norm import BatchNorm, LayerNorm, LayerScale, RMSNorm
from nasplat.ops.patch import ConvStem, PatchStem
from nasplat.ops.position import AbsolutePosition, ConvPosition
from nasplat.ops.resample import Identity, PatchMerging, PoolProjection, StridedConv
from nasplat.space.base import fresh
from nasplat.space.choose import Choose, Optional
from nasplat.space.decisions import Choice, Int, Largest
from nasplat.space.load import Typed
from nasplat.space.quantised import Quantised
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.space import Space
from nasplat.space.wiring import Named, Parallel, Shared, Steps

SMALLEST = 4
"""Least side of an image: a stride of 2 in the stem and one between two stages."""
MOST_POSITIONS = 1024
"""Global attention and Fourier mixers are offered where a stage has at most this many positions."""


@dataclass(frozen=True)
class Scale:
    """What the size of an image decides.

    Attributes:
        side: The shorter side of the image, in pixels.
    """

    side: int

    @property
    def strides(self) -> tuple[int, int]:
        """Strides of the stem: the smaller leaves about 8 to 16 positions a side, up to 56 of 224."""
        stride = 1 << min(2, max(0, int(math.log2(self.side / 8)) - 1))
        return stride, 2 * stride

    @property
    def stages(self) -> int:
        """Stages, 2 to 4, each with half the side of the one before; the last has about 4 to 7 a side."""
        return min(4, max(2, int(math.log2(self.side / self.strides[0] / 4)) + 1))

    def grid(self, stage: int) -> int:
        """Most positions along the shorter side in a stage."""
        return math.ceil(self.side / (self.strides[0] << stage))

    def widths(self, stage: int) -> tuple[int, ...]:
        """Channels of a stage: multiples of 24 that grow as the root of the side, doubled by a stage."""
        width = 24 * min(3, max(1, round(math.sqrt(self.side / 8)))) << stage
        return width // 2, width * 2 // 3, width, width * 4 // 3

    @property
    def depth(self) -> int:
        """Most blocks in a stage."""
        return self.stages + 1


@dataclass(frozen=True)
class Sizes:
    """Domains that differ from those that follow from the image.

    Attributes:
        details: Forms and settings of every part, as published models have them; None: the choices of
            the space.
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
    scale = Scale(min(image.height, image.width))
    widths = [
        Choice(*scale.widths(stage), default=scale.widths(stage)[2], name=f"stages.{stage}.width")
        for stage in range(scale.stages)
    ]
    body: Expression = Steps(
        stem=_stem(scale, widths[0]),
        position=Choose(
            none=Identity(),
            absolute=AbsolutePosition(form=Choice("learned", "sinusoidal")),
            conv=ConvPosition(),
        ),
        stages=Steps(
            **{str(stage): _stage(scale, stage, width) for stage, width in enumerate(widths)}
        ),
        head=ClassifierHead(classes=logits.classes),
    )
    if sizes is not None and sizes.details is not None:
        body = detailed(sizes.details, logits.classes)
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


def _stem(scale: Scale, width: Any) -> Expression:
    stride = Choice(*scale.strides, name="stem.stride")
    return Choose(
        conv=ConvStem(channels=width, stride=stride, norm="batch"),
        patch=PatchStem(channels=width, patch=stride, norm="layer"),
    )


def _stage(scale: Scale, stage: int, width: Any) -> Expression:
    """One stage: a step down except in the first, then blocks, all at one bit width."""
    norm = Shared(
        f"stages.{stage}.norm", Choose(layer=LayerNorm(), rms=RMSNorm(), batch=BatchNorm())
    )
    placement = Choice("pre", "post", "sandwich", name=f"stages.{stage}.norm_placement")
    layer_scale = Shared(f"stages.{stage}.layer_scale", Optional(LayerScale()))
    bits = Choice(32, 8, 4, name=f"stages.{stage}.bits")

    def residual(body: Expression) -> Residual:
        return Residual(body, norm=norm, placement=placement, scale=layer_scale)

    blocks: Expression = Repeat(
        Steps(mixer=residual(_mixer(scale, stage)), ffn=residual(_ffn(scale))),
        times=Int(1, scale.depth, name=f"stages.{stage}.depth"),
        common=(norm, placement, layer_scale),
    )
    if stage == 0:
        return Quantised(Steps(blocks=blocks), weight=bits, activation=Largest(bits, 8))
    down = Choose(
        conv=StridedConv(channels=width),
        merge=PatchMerging(channels=width),
        pool=PoolProjection(channels=width, mode=Choice("max", "avg")),
    )
    return Quantised(Steps(down=down, blocks=blocks), weight=bits, activation=Largest(bits, 8))


def _heads(scale: Scale) -> dict[str, Any]:
    """Heads, their width, and whether all queries share one head of keys and values."""
    width = scale.widths(0)[2]
    few = scale.stages == 2
    return {
        "heads": Choice(1, 2, 4) if few else Choice(2, 4, 8),
        "head_dim": Choice(width // 3, width * 2 // 3),
        "kv_heads": Choice(None, 1),
    }


def _mixer(scale: Scale, stage: int) -> Expression:
    """The mixers that make sense on the positions of a stage."""
    grid = scale.grid(stage)
    kernels = [kernel for kernel in (3, 5, 7) if kernel < 2 * grid]
    windows = [window for window in (4, 7, 14) if window < grid]
    everywhere = grid * grid <= MOST_POSITIONS
    convolution = Choose(
        depthwise=ConvMixer(kernel=Choice(*kernels), ratio=Choice(1, 2)),
        mbconv=MBConv(kernel=Choice(*kernels[:2]), expand=Choice(2, 4), squeeze=0),
        standard=Conv(kernel=3, norm="batch", activation="gelu"),
    )
    squeeze = Optional(SqueezeGate(reduction=Choice(4, 8)))
    options: dict[str, Expression] = {"conv": Steps(kind=convolution, squeeze=squeeze)}
    attentions: dict[str, Expression] = {}
    if windows:
        attentions["local"] = WindowAttention(
            window=Choice(*windows), shifted=Choice(False, True), **_heads(scale)
        )
    if everywhere:
        attentions["full"] = SelfAttention(**_heads(scale))
    attentions["linear"] = LinearAttention(feature_map=Choice("relu", "elu"), **_heads(scale))
    attentions["channel"] = CrossCovarianceAttention(heads=_heads(scale)["heads"])
    options |= attentions
    options["dual"] = Parallel(
        Named("conv", DepthwiseConv(kernel=Choice(*kernels))),
        Named("attention", Choose(**{name: fresh(body) for name, body in attentions.items()})),
        fuse=Choose(add=Add(), cat=Concat(), gate=Gated()),
    )
    options["pool"] = PoolMixer(kernel=Choice(3, 5))
    if everywhere:
        options["fourier"] = FourierMixer(axes=Choice("sequence", "sequence_and_channel"))
    return Choose(**options)


def _ffn(scale: Scale) -> Expression:
    experts = Choice(2, 4) if scale.stages == 2 else Choice(2, 4, 8)
    return Choose(
        mlp=MLP(ratio=Choice(1, 2, 3, 4, default=2)),
        glu=GatedMLP(ratio=Choice(1, 2, 3, default=2), gate=Choice("swiglu", "geglu")),
        conv=DepthwiseMLP(ratio=Choice(1, 2, 3, default=2), kernel=3),
        moe=MoE(
            experts=experts,
            top_k=Choice(1, 2),
            width=Choice(0.5, 1, 2),
            shared_experts=Choice(0, 1),
        ),
    )
