"""Normalisations, activations and scales of images, tokens and vectors; where they stand is a space's matter.

References:
    [Ba2016] J. L. Ba et al. Layer normalization. 2016.
    [Zhang2019] B. Zhang, R. Sennrich. Root mean square layer normalization. NeurIPS 2019.
    [Ioffe2015] S. Ioffe, C. Szegedy. Batch normalization. ICML 2015.
    [Touvron2021] H. Touvron et al. Going deeper with image transformers. ICCV 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from nasplat.graph.op import Call, Op, OpCost
from nasplat.graph.types import Image, TensorType
from nasplat.ops import counts
from nasplat.ops.checks import ACTIVATIONS, channels_of, features_of, known
from nasplat.ops.modules import common as modules


class _Norm(Op):
    """A normalisation over the channels."""

    form: ClassVar[str]

    def infer(self, *inputs: TensorType) -> TensorType:
        return features_of(self, inputs)

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.norm(self.form, channels_of(features_of(self, inputs)))


@dataclass(frozen=True, kw_only=True)
class LayerNorm(_Norm):
    """Zero mean and unit variance over the channels of each position, then scale and shift [Ba2016]."""

    form: ClassVar[str] = "layer"

    def call(self, *inputs: TensorType) -> Call:
        features = features_of(self, inputs)
        module = modules.ChannelLayerNorm if isinstance(features, Image) else nn.LayerNorm
        return Call(module, {"normalized_shape": channels_of(features)})


@dataclass(frozen=True, kw_only=True)
class RMSNorm(_Norm):
    """Unit mean square over the channels of each position, then scale [Zhang2019]."""

    form: ClassVar[str] = "rms"
    keeps_zero: ClassVar[bool] = True

    def call(self, *inputs: TensorType) -> Call:
        features = features_of(self, inputs)
        arguments = {"channels": channels_of(features), "image": isinstance(features, Image)}
        return Call(modules.RMSNorm, arguments)


@dataclass(frozen=True, kw_only=True)
class BatchNorm(_Norm):
    """Zero mean and unit variance of each channel over the batch, then scale and shift [Ioffe2015]."""

    form: ClassVar[str] = "batch"

    def call(self, *inputs: TensorType) -> Call:
        features = features_of(self, inputs)
        module = nn.BatchNorm2d if isinstance(features, Image) else modules.TokenBatchNorm
        return Call(module, {"num_features": channels_of(features)})


@dataclass(frozen=True, kw_only=True)
class Activation(Op):
    """A point-wise non-linearity that is zero at zero.

    Attributes:
        form: ``relu``, ``gelu``, ``silu``, ``hardswish``, or ``none`` for the identity.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    form: str = "gelu"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = features_of(self, inputs)
        known(self, inputs, ACTIVATIONS, form=self.form)
        return features

    def call(self, *inputs: TensorType) -> Call:
        forms: dict[str, type[nn.Module]] = {
            "none": nn.Identity,
            "relu": nn.ReLU,
            "gelu": nn.GELU,
            "silu": nn.SiLU,
            "hardswish": nn.Hardswish,
        }
        return Call(forms[self.form])

    def is_identity(self, *inputs: TensorType) -> bool:
        return self.form == "none"


@dataclass(frozen=True, kw_only=True)
class LayerScale(Op):
    """Multiply each channel by a learned number [Touvron2021].

    Attributes:
        initial: That number before training; 0.1 suits the shallow networks of short trainings.
    """

    keeps_zero: ClassVar[bool] = True

    initial: float = 0.1

    def infer(self, *inputs: TensorType) -> TensorType:
        return features_of(self, inputs)

    def call(self, *inputs: TensorType) -> Call:
        features = features_of(self, inputs)
        arguments: dict[str, Any] = {
            "channels": channels_of(features),
            "initial": float(self.initial),
            "image": isinstance(features, Image),
        }
        return Call(modules.LayerScale, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.vector(channels_of(features_of(self, inputs)))
