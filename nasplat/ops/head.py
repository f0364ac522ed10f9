"""Heads: from features to the outputs of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Call, Op, OpCost
from nasplat.graph.types import Image, Logits, TensorType, Tokens, Vector
from nasplat.ops import counts
from nasplat.ops.checks import NORMS, channels_of, features_of, known, whole
from nasplat.ops.modules import head as modules


@dataclass(frozen=True, kw_only=True)
class ClassifierHead(Op):
    """Normalise, average over all positions, map to classes; takes images, tokens and vectors.

    Attributes:
        classes: Number of classes.
        norm: ``none``, ``layer``, ``rms`` or ``batch``.
    """

    classes: int
    norm: str = "layer"

    def infer(self, *inputs: TensorType) -> Logits:
        features_of(self, inputs)
        whole(self, inputs, 1, classes=self.classes)
        known(self, inputs, NORMS, norm=self.norm)
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
        return Call(modules.ClassifierHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        channels = channels_of(features_of(self, inputs))
        return counts.norm(self.norm, channels) + counts.pointwise(channels, self.classes, 1)
