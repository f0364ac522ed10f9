"""What stands in a stage of an encoder or decoder: units of a mixer and a feed-forward part, with residuals.

Everything here is a body with open decisions for maps of two or three axes; a space decides where it
stands. A unit keeps the type of its input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplat.errors import GraphTypeError
from nasplat.graph.op import Expression, Op
from nasplat.graph.types import Image, TensorType, Volume
from nasplat.ops.attention import CrossCovarianceAttention, SelfAttention
from nasplat.ops.attention_window import WindowAttention
from nasplat.ops.conv import Conv, SeparableConv
from nasplat.ops.ffn import MLP, DepthwiseMLP
from nasplat.ops.merge import Add, Concat
from nasplat.ops.norm import Activation, BatchNorm, LayerNorm
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.residual import Residual
from nasplat.space.wiring import Parallel, Pick, Shared, Steps

MOST_POSITIONS = 1024
"""Attention over all positions is offered on grids of at most this many."""


def takes(op: Op, *inputs: TensorType) -> bool:
    """Whether an op with closed fields takes inputs of these types."""
    try:
        op.infer(*inputs)
    except GraphTypeError:
        return False
    return True


@dataclass(frozen=True)
class Style:
    """Decisions that all units of a network share.

    Attributes:
        rank: Position axes of the maps, 2 or 3.
        norm: Decides for ``batch``, ``instance`` or ``layer``.
        residual: Decides for ``plain`` or ``none``.
        heads: Numbers of heads to decide between.
        head_dim: Width of a head; None: channels over heads.
    """

    rank: int
    norm: Any
    residual: Any
    heads: tuple[int, ...]
    head_dim: int | None = None

    @property
    def example(self) -> TensorType:
        """A small map of this rank."""
        return Image(8, 4, 4) if self.rank == 2 else Volume(8, 4, 4, 4)

    def fits(self, op: Op) -> bool:
        """Whether an op with closed fields takes such maps."""
        return takes(op, self.example)

    def normed(self) -> Expression:
        """The normalisation of the style."""
        return Match(self.norm, {"batch": BatchNorm(), "layer": LayerNorm()})

    def around(self, body: Expression, norm: bool = True) -> Residual:
        """A body with the norm before it and, where the style says so, its input added."""
        merge = Match(self.residual, {"plain": Add(), "none": Pick(1)})
        return Residual(body, norm=self.normed() if norm else None, merge=merge)


@dataclass(frozen=True)
class Slot:
    """Where units stand: one path of shared decisions.

    Attributes:
        path: Prefix of the decisions that all units of the slot share.
        style: Of the network.
        positions: Most positions of the maps that come in.
    """

    path: str
    style: Style
    positions: int

    def heads(self) -> dict[str, Any]:
        """Heads and their width for an attention op."""
        heads = Choice(*self.style.heads, name=f"{self.path}.heads")
        return {"heads": heads, "head_dim": self.style.head_dim}


def convolutions(style: Style, path: str) -> Shared:
    """A convolution with its norm and activation; ``<path>.conv`` decides of which kind."""
    kernel = Choice(3, 5, name=f"{path}.kernel")
    norm = style.norm
    kinds: dict[str, Expression] = {
        "standard": Conv(kernel=kernel, norm=norm, activation="relu"),
        "separable": SeparableConv(kernel=kernel, norm=norm),
    }
    return Shared(f"{path}.conv", Choose(**kinds))


def feed_forward(slot: Slot) -> Shared:
    """The feed-forward part of a unit; ``<path>.ffn`` decides of which kind."""
    kinds: dict[str, Expression] = {
        "mlp": MLP(ratio=Choice(2, 4)),
        "depthwise_mlp": DepthwiseMLP(ratio=Choice(2, 4)),
    }
    return Shared(f"{slot.path}.ffn", Choose(**kinds))


def units(slot: Slot, conv: Expression) -> dict[str, Expression]:
    """The units that a slot may hold, by the name of their mixer.

    Args:
        slot: Where they stand.
        conv: A convolution that keeps the type.
    """
    style = slot.style
    ffn = feed_forward(slot)
    heads = slot.heads()

    def unit(mixer: Expression) -> Expression:
        return Steps(mix=style.around(mixer), ffn=style.around(ffn))

    convolution = Steps(
        body=style.around(Steps(first=conv, second=conv), norm=False), activation=Activation()
    )
    made: dict[str, Expression] = {"conv": convolution}
    window = WindowAttention(window=4, **heads)
    shifted = WindowAttention(window=4, shifted=True, **heads)
    schemes = {
        "shifted": Steps(regular=unit(window), shifted=unit(shifted)),
        "regular": unit(window),
    }
    made["window"] = Match(Choice(*schemes, name=f"{slot.path}.scheme"), schemes)
    if slot.positions <= MOST_POSITIONS:
        made["full"] = unit(SelfAttention(**heads))
    made["spatial_channel"] = unit(
        Parallel(
            spatial=WindowAttention(window=7, **heads),
            channel=CrossCovarianceAttention(**heads),
            fuse=Concat(),
        )
    )
    return made
