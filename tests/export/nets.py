"""Small ops and networks with every feature an export must carry, as a user would write them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from nasplat.graph.graph import Graph, GraphBuilder
from nasplat.graph.op import FLOAT, Bits, Call, Op, expect
from nasplat.graph.types import Image, Logits, TensorType, Vector

TEMPERATURE = 1.5
_SQUASHED = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}


def squash(x: torch.Tensor, kind: str) -> torch.Tensor:
    """A helper that the source of a module needs."""
    return _SQUASHED[kind](x / TEMPERATURE)


class Positional(nn.Module):
    """A base class that the source of a module needs."""

    position: torch.Tensor

    def __init__(self, sites: int) -> None:
        super().__init__()
        # Not in the state_dict: rebuilt by the constructor.
        self.register_buffer("position", torch.linspace(-1, 1, sites), persistent=False)


class ConvBlock(nn.Module):
    """Convolution, batch norm, GELU."""

    def __init__(self, channels: int, out: int, kernel: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2, groups=groups)
        self.norm = nn.BatchNorm2d(out)
        self.narrow = nn.Conv2d(out, out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.narrow(F.gelu(self.norm(self.conv(x))))
        return y


class Attention(Positional):
    """Self-attention over the positions of an image."""

    def __init__(self, dim: int, heads: int, sites: int, kind: str) -> None:
        super().__init__(sites)
        self.heads = heads
        self.kind = kind
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim, bias=False)
        self.scale = nn.Parameter(torch.full((dim,), 1 / math.sqrt(2)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, dim, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2) + self.position[:, None]
        split = self.query_key_value(tokens).reshape(batch, height * width, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed = self.out(mixed.transpose(1, 2).reshape(batch, height * width, dim))
        mixed = (self.scale * squash(mixed, self.kind)).transpose(1, 2)
        return x + mixed.reshape(x.shape)


class Total(nn.Module):
    """Sum of two."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b


class Halves(nn.Module):
    """Two outputs."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]


class Pooled(nn.Module):
    """Mean over positions, then a linear classifier."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.linear(x.mean((2, 3)))
        return y


class Frozen(nn.Module):
    """Cannot be captured: what it computes depends on the data."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum().item() > 0 else x


def image(op: Op, inputs: tuple[TensorType, ...]) -> Image:
    """The image that enters an op."""
    met = inputs[0]
    expect(isinstance(met, Image), op, "takes an image", *inputs)
    assert isinstance(met, Image)
    return met


@dataclass(frozen=True, kw_only=True)
class SmallConv(Op):
    out: int
    kernel: int = 3
    groups: int = 1

    def infer(self, *inputs: TensorType) -> TensorType:
        met = image(self, inputs)
        return Image(self.out, met.height, met.width)

    def call(self, *inputs: TensorType) -> Call:
        channels = image(self, inputs).channels
        return Call(
            ConvBlock,
            {"channels": channels, "out": self.out, "kernel": self.kernel, "groups": self.groups},
        )


@dataclass(frozen=True, kw_only=True)
class SmallAttention(Op):
    heads: int = 2
    squash: str = "tanh"

    def infer(self, *inputs: TensorType) -> TensorType:
        return image(self, inputs)

    def call(self, *inputs: TensorType) -> Call:
        met = image(self, inputs)
        sites = met.height * met.width
        return Call(
            Attention,
            {"dim": met.channels, "heads": self.heads, "sites": sites, "kind": self.squash},
        )


@dataclass(frozen=True, kw_only=True)
class SmallAdd(Op):
    commutes = True

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        return Call(Total)


@dataclass(frozen=True, kw_only=True)
class SmallSplit(Op):
    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        met = image(self, inputs)
        half = Image(met.channels // 2, met.height, met.width)
        return half, half

    def call(self, *inputs: TensorType) -> Call:
        return Call(Halves)


@dataclass(frozen=True, kw_only=True)
class SmallHead(Op):
    classes: int = 10

    def infer(self, *inputs: TensorType) -> TensorType:
        return Logits(self.classes)

    def call(self, *inputs: TensorType) -> Call:
        return Call(Pooled, {"dim": image(self, inputs).channels, "classes": self.classes})


@dataclass(frozen=True, kw_only=True)
class SmallLinear(Op):
    out: int

    def infer(self, *inputs: TensorType) -> TensorType:
        return Vector(self.out)

    def call(self, *inputs: TensorType) -> Call:
        return Call(nn.Linear, {"in_features": inputs[0].numel, "out_features": self.out})


@dataclass(frozen=True, kw_only=True)
class SmallSkip(Op):
    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        return Call(nn.Identity)


@dataclass(frozen=True, kw_only=True)
class SmallFrozen(Op):
    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        return Call(Frozen)


def network(bits: Bits = FLOAT, *, channels: int = 8, side: int = 8, blocks: int = 2) -> Graph:
    """A small network: two weights shared by two nodes, two named outputs, an op with two results."""
    add = GraphBuilder({"image": Image(1, side, side)})
    (x,) = add.add(SmallConv(out=channels), "image", name="stem")
    for block in range(blocks):
        at = f"stages.0.blocks.{block}"
        (mixed,) = add.add(SmallAttention(), x, name=f"{at}.mixer", bits=bits)
        (skipped,) = add.add(SmallSkip(), mixed, name=f"{at}.skip")
        (conv,) = add.add(
            SmallConv(out=channels, groups=channels),
            skipped,
            name=f"{at}.conv",
            bits=bits,
            share="loop",
        )
        (x,) = add.add(SmallAdd(), x, conv, name=f"{at}.merge")
    low, high = add.add(SmallSplit(), x, name="split")
    add.add(SmallHead(), low, name="early", bits=bits)
    (joined,) = add.add(SmallAdd(), low, high, name="joined")
    add.add(SmallHead(), joined, name="head", bits=bits)
    return add.build({"logits": "head", "early_logits": "early"})


def classifier(bits: Bits = FLOAT, *, channels: int = 8, side: int = 8) -> Graph:
    """One input, one output."""
    add = GraphBuilder({"image": Image(1, side, side)})
    (x,) = add.add(SmallConv(out=channels), "image", name="stem")
    (x,) = add.add(SmallConv(out=channels), x, name="body.0", bits=bits)
    (x,) = add.add(SmallAttention(squash="sigmoid"), x, name="body.1", bits=bits)
    (x,) = add.add(SmallHead(), x, name="head")
    return add.build({"logits": x})


def settle(module: nn.Module, graph: Graph, steps: int = 3) -> nn.Module:
    """Run training batches through, so that norms and quantisers know their ranges; then evaluate."""
    generator = torch.Generator().manual_seed(1)
    module.train()
    with torch.no_grad():
        for _ in range(steps):
            module(*(kind.example(16, generator) for kind in graph.inputs.values()))
    return module.eval()
