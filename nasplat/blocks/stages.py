"""What stands in a stage of an encoder or decoder: units of a mixer and a feed-forward part, with residuals.

Everything here is a body with open decisions for maps of two or three axes; a space decides where it
stands. A unit keeps the type of its input. Families of mixers are listed for rules on genotypes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from nasplat.blocks.pyramid import counts_of
from nasplat.graph.op import Expression, Sequence
from nasplat.ops.attention import CrossCovarianceAttention, SelfAttention
from nasplat.ops.attention_sparse import TopKAttention
from nasplat.ops.attention_window import DilatedGroupAttention, StripeAttention, WindowAttention
from nasplat.ops.conv import Conv, SeparableConv
from nasplat.ops.conv_dynamic import DeformableConv
from nasplat.ops.conv_multi import LargeKernelConv, MultiDilationConv, MultiKernelConv
from nasplat.ops.dense import UpsampleTo
from nasplat.ops.ffn import MLP, DepthwiseMLP, GatedMLP
from nasplat.ops.merge import Add, Concat, Split
from nasplat.ops.mixer_context import FocalModulation
from nasplat.ops.mixer_tokens import SpatialGatingUnit
from nasplat.ops.moe import MoE
from nasplat.ops.norm import Activation, BatchNorm, InstanceNorm, LayerNorm
from nasplat.ops.resample import Pool
from nasplat.ops.ssm import XLSTM, SelectiveSSM
from nasplat.ops.warp import SpatialTransformer
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.plan import product
from nasplat.space.residual import Residual
from nasplat.space.ushape import Level, UShape
from nasplat.space.wiring import Each, Parallel, Pick, Shared, Steps

MOST_POSITIONS = 1024
"""Mixers whose cost is quadratic are offered on grids of at most this many positions."""
CONVOLUTIONS = ("conv", "large_kernel", "nested", "polar")
ATTENTIONS = ("window", "full", "topk", "spatial_channel")
HYBRIDS = ("conv_attention", "conv_ssm", "conv_xlstm")
RECURRENCES = ("ssm", "xlstm")
THROUGH = Sequence(())
"""What comes in goes on."""


@dataclass(frozen=True)
class Style:
    """Decisions that all units of a network share.

    Attributes:
        rank: Position axes of the maps, 2 or 3.
        norm: Decides between some of ``batch``, ``instance`` and ``layer``.
        residual: Decides for ``plain`` or ``none``.
        heads: Numbers of heads to decide between.
        head_dim: Width of a head; None: channels over heads.
        conv_axes: On volumes decides for kernels that are ``volumetric``, or ``planar``: flat along the
            first axis, where volumes are often coarse.
    """

    rank: int
    norm: Any
    residual: Any
    heads: tuple[int, ...]
    head_dim: int | None = None
    conv_axes: Any = "volumetric"

    def normed(self) -> Expression:
        """The normalisation of the style."""
        norms = {"batch": BatchNorm(), "instance": InstanceNorm(), "layer": LayerNorm()}
        return Match(self.norm, {form: norms[form] for form in self.norm.values})

    def around(self, body: Expression, norm: bool = True) -> Residual:
        """A body with the norm before it and, where the style says so, its input added."""
        merge = Match(self.residual, {"plain": Add(), "none": Pick(1)})
        return Residual(body, norm=self.normed() if norm else None, merge=merge)


@dataclass(frozen=True)
class Slot:
    """Where units stand.

    Attributes:
        path: Prefix of the decisions that all units of the slot share.
        style: Of the network.
        positions: Most positions of the maps that come in.
        side: Least positions along an axis of the maps that come in.
    """

    path: str
    style: Style
    positions: int
    side: int

    def named(self, name: str, *values: Any) -> Any:
        """A decision of the slot."""
        return Choice(*values, name=f"{self.path}.{name}")

    @property
    def small(self) -> bool:
        """Whether every position may meet every other one."""
        return self.positions <= MOST_POSITIONS


@dataclass(frozen=True, eq=False)
class Units(Combinator):
    """Bodies that look alike, each with weights of its own, one after the other.

    Args:
        body: What stands there so often.
        times: How often: an integer or a decision, at least 1.
        balance: Decides for one more; None: there never is.
        heavy: The value of ``balance`` with one more.
        exits: Takes what comes in and what each copy gives, of which there is then one more, and hands
            on one of these; None: what the last copy gives goes on.
    """

    body: Expression
    times: Any
    balance: Any
    heavy: str
    exits: Expression | None = None

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Copies stand below their number, their decisions here."""
        decided, times = compiler.reader(self.times, place, "times")
        either, balance = compiler.reader(self.balance, place, "balance")
        more = (self.balance is not None) + (self.exits is not None)
        most = max(counts_of(self.times, 64, "times")) + more
        parts = [
            compiler.part(self.body, replace(place, name=place.at(str(number)).name))
            for number in range(most)
        ]

        exits = None if self.exits is None else compiler.part(self.exits, place.at("exits"))

        def emit(run: Run, refs: Refs) -> Refs:
            number = times(run.values) + (balance(run.values) == self.heavy)
            number += exits is not None
            met = [refs]
            for part in parts[:number]:
                met.append(part.emit(run, met[-1]))
            if exits is None:
                return met[-1]
            return exits.emit(run, tuple(ref for refs in met for ref in refs))

        last = () if exits is None else exits.plan
        return Part(product(decided, either, parts[0].plan, last), emit)


def convolutions(style: Style, path: str, kernels: tuple[int, ...] = (3, 5)) -> Shared:
    """A convolution with its norm and activation that keeps the type.

    ``<path>.conv`` decides of which kind, ``<path>.kernel`` for its side.
    """
    norm = style.norm
    kernel = Choice(*kernels, name=f"{path}.kernel")
    standard: Expression = Conv(kernel=kernel, norm=norm, activation="relu")
    if style.rank == 3:
        flat = Conv(kernel=(1, kernel, kernel), norm=norm, activation="relu")
        standard = Match(style.conv_axes, {"volumetric": standard, "planar": flat})
    kinds: dict[str, Expression] = {
        "standard": standard,
        "separable": SeparableConv(kernel=kernel, norm=norm),
        "multi_kernel": MultiKernelConv(kernels=(3, 5), norm=norm, activation="relu"),
        "multi_dilation": MultiDilationConv(
            rates=(1, 2), arrangement="serial", pooled_branch=False, norm=norm
        ),
    }
    if style.rank == 2:
        kinds["deformable"] = Steps(
            conv=DeformableConv(kernel=3), norm=style.normed(), activation=Activation(form="relu")
        )
    return Shared(f"{path}.conv", Choose(**kinds))


def feed_forward(slot: Slot) -> Shared:
    """The feed-forward part of a unit; ``<path>.ffn`` decides of which kind."""
    ratio = slot.named("ffn_ratio", 2, 4)
    kinds: dict[str, Expression] = {
        "mlp": MLP(ratio=ratio),
        "depthwise_mlp": DepthwiseMLP(ratio=ratio),
        "mixed_scale_conv": DepthwiseMLP(ratio=2, kernels=(3, 5), gated=True),
        "gated": GatedMLP(),
        "soft_moe": MoE(experts=4, router="soft", width=1),
        "moe": MoE(experts=4, width=1, top_k=slot.named("ffn_top_k", 1, 2)),
    }
    return Shared(f"{slot.path}.ffn", Choose(**kinds))


def nested(slot: Slot, conv: Expression) -> Expression:
    """A small U with a residual around it: the block of U2-Net [Qin2020].

    [Qin2020] X. Qin et al. U2-Net: going deeper with nested U-structure for salient object detection.
    """
    inner = max(1, min(3, int(math.log2(max(slot.side, 4) / 2))))
    up = Parallel(UpsampleTo(), Pick(1), fuse=Concat())
    level = Level(encode=conv, down=Pool(mode="max", stride=2), up=THROUGH, merge=up, decode=conv)
    inside = Steps(enter=conv, u=UShape(levels=(level,) * inner, bottom=conv))
    return slot.style.around(inside, norm=False)


def units(slot: Slot, conv: Expression) -> dict[str, Expression]:
    """The units that a slot may hold, by the name of their mixer.

    Args:
        slot: Where they stand.
        conv: A convolution that keeps the type.
    """
    style = slot.style
    ffn = feed_forward(slot)
    heads: dict[str, Any] = {
        "heads": slot.named("heads", *style.heads),
        "head_dim": style.head_dim,
    }

    stripes = heads["heads"] if style.rank == 2 else heads["heads"] * 3 // 2

    def unit(mixer: Expression) -> Expression:
        return Steps(mix=style.around(mixer), ffn=style.around(ffn))

    def one_of(name: str, options: dict[str, Expression]) -> Expression:
        return Match(slot.named(name, *options), options)

    window, shifted = (WindowAttention(window=4, shifted=on, **heads) for on in (False, True))
    sides = (2, 8) if style.rank == 2 else (2, 2, 8)
    wide, moved = (WindowAttention(window=sides, shifted=on, **heads) for on in (False, True))
    channel = CrossCovarianceAttention(**heads)
    attentions: dict[str, Expression] = {"channel": channel, "window": window}
    if slot.small:
        attentions = {"full": SelfAttention(**heads), **attentions}
    ssm = SelectiveSSM(
        scans=slot.named("scans", "two_way", "four_way", "forward"),
        state=slot.named("state", 4, 8),
    )
    memory = XLSTM(
        memory=slot.named("memory", "matrix", "scalar"), directions=2, heads=heads["heads"]
    )
    convs = Steps(
        body=style.around(Steps(first=conv, second=conv), norm=False), activation=Activation()
    )
    made: dict[str, Expression] = {
        "conv": convs,
        "large_kernel": unit(
            LargeKernelConv(kernel=slot.named("large_kernel", 9, 13), norm="none", gate_input=True)
        ),
        "nested": nested(slot, conv),
        "window": one_of(
            "scheme",
            {
                "shifted": Steps(regular=unit(window), shifted=unit(shifted)),
                "regular": unit(window),
                "dilated": Steps(
                    regular=unit(window),
                    dilated=unit(DilatedGroupAttention(group=4, stride=None, **heads)),
                ),
                "rectangular": Steps(regular=unit(wide), shifted=unit(moved)),
                "cross_shaped": unit(StripeAttention(stripe=2, heads=stripes)),
            },
        ),
        "spatial_channel": unit(Parallel(spatial=window, channel=channel, fuse=Concat())),
        "conv_attention": Steps(convs=convs, attend=unit(one_of("attention", attentions))),
        "focal": unit(FocalModulation(levels=slot.named("focal_levels", 2, 3))),
        "gated_mlp": Steps(
            gates=style.around(
                Split()
                >> Each(
                    block=SpatialGatingUnit(axis="block", size=4, split=False),
                    grid=SpatialGatingUnit(axis="grid", size=4, split=False),
                )
                >> Concat(project=False)
            ),
            ffn=style.around(ffn),
        ),
        "ssm": style.around(ssm),
        "conv_ssm": Steps(convs=convs, scan=style.around(ssm)),
    }
    if style.rank == 2:
        there = SpatialTransformer(grid="polar")
        back = SpatialTransformer(grid="polar", inverse=True)
        both = Parallel(here=conv, polar=Steps(there=there, conv=conv, back=back), fuse=Concat())
        made["polar"] = style.around(both, norm=False)
    if slot.small:
        made["full"] = unit(attentions["full"])
        made["topk"] = unit(TopKAttention(keep=slot.named("keep", 0.25, 0.5), **heads))
        made["xlstm"] = style.around(memory)
        made["conv_xlstm"] = Steps(convs=convs, remember=style.around(memory))
    return made
