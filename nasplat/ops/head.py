"""Heads: from features to the outputs of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, Logits, TensorType, Tokens, Vector
from nasplat.ops import counts
from nasplat.ops.checks import ACTIVATIONS, NORMS, channels_of, features_of, known, whole
from nasplat.ops.modules import head as modules


@dataclass(frozen=True, kw_only=True)
class ClassifierHead(Op):
    """Normalise, average over all positions, map to classes; takes images, tokens and vectors.

    Attributes:
        classes: Number of classes.
        norm: ``none``, ``layer``, ``rms`` or ``batch``.
        pool: ``mean``, or ``class_token``: the first of several tokens alone is mapped.
        hidden: Width of a layer before the last map; 0: there is none.
        activation: After that layer, one of ``checks.ACTIVATIONS`` or ``tanh``.
        hidden_norm: Normalisation after that activation, as ``norm``.
        hidden_bias: Whether that layer has a bias.
        norm_first: Whether that normalisation stands before the activation instead.
    """

    kind: ClassVar[str] = "classifier_head"
    POOLS: ClassVar[tuple[str, ...]] = ("mean", "class_token")

    classes: int
    norm: str = "layer"
    pool: str = "mean"
    hidden: int = 0
    activation: str = "tanh"
    hidden_norm: str = "none"
    hidden_bias: bool = True
    norm_first: bool = False

    def infer(self, *inputs: TensorType) -> Logits:
        features = features_of(self, inputs)
        whole(self, inputs, 1, classes=self.classes)
        whole(self, inputs, 0, hidden=self.hidden)
        known(self, inputs, NORMS, norm=self.norm, hidden_norm=self.hidden_norm)
        known(self, inputs, self.POOLS, pool=self.pool)
        known(self, inputs, (*ACTIVATIONS, "tanh"), activation=self.activation)
        rule = "finds a class token among Tokens only"
        expect(isinstance(features, Tokens) or self.pool == "mean", self, rule, *inputs)
        return Logits(self.classes)

    def call(self, *inputs: TensorType) -> Call:
        features = features_of(self, inputs)
        axes = {Image: (2, 3), Tokens: (1,), Vector: ()}[type(features)]
        arguments: dict[str, Any] = {
            "channels": channels_of(features),
            "classes": self.classes,
            "norm": self.norm,
            "axes": axes,
        }
        if self.pool != "mean" or self.hidden:
            changed: dict[str, Any] = {
                "pool": self.pool,
                "hidden": self.hidden,
                "activation": self.activation,
            }
            changed |= {"hidden_norm": self.hidden_norm, "hidden_bias": self.hidden_bias}
            arguments |= changed | {"norm_first": self.norm_first}
        return Call(modules.ClassifierHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        channels = channels_of(features_of(self, inputs))
        total = counts.norm(self.norm, channels)
        if self.hidden:
            total += counts.pointwise(channels, self.hidden, 1, self.hidden_bias)
            total += counts.activation(self.activation)
            total += counts.norm(self.hidden_norm, self.hidden)
        return total + counts.pointwise(self.hidden or channels, self.classes, 1)
