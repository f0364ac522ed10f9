"""Normalisations, activations and scales of everything with channels; where they stand is a space's matter.

Batch, instance and group norms look at other positions: a model that may not see later positions uses
the others.

References:
    [Ba2016] J. L. Ba et al. Layer normalization. 2016.
    [Zhang2019] B. Zhang, R. Sennrich. Root mean square layer normalization. NeurIPS 2019.
    [Jiang2023] Z. Jiang et al. Pre-RMSNorm and Pre-CRMSNorm transformers. NeurIPS 2023.
    [Ioffe2015] S. Ioffe, C. Szegedy. Batch normalization. ICML 2015.
    [Ulyanov2016] D. Ulyanov et al. Instance normalization. 2016.
    [Wu2018] Y. Wu, K. He. Group normalization. ECCV 2018.
    [Nam2018] H. Nam, H.-E. Kim. Batch-instance normalization. NeurIPS 2018.
    [Guo2024] X. Guo et al. SLAB: simplified linear attention and progressive re-parameterized batch
        normalization. ICML 2024.
    [Yang2022] Q. Yang et al. Unified normalization for accelerating and stabilizing transformers. 2022.
    [Yao2024] Z. Yao et al. Zipformer. ICLR 2024.
    [Loshchilov2025] I. Loshchilov et al. nGPT: normalized transformer on the hypersphere. ICLR 2025.
    [Yu2024] W. Yu et al. MetaFormer baselines for vision. TPAMI 46, 2024.
    [Touvron2021] H. Touvron et al. Going deeper with image transformers. ICCV 2021.
    [Touvron2022] H. Touvron et al. ResMLP: feedforward networks for image classification with
        data-efficient training. TPAMI 45, 2022.
    [Zhuo2024] Z. Zhuo et al. Polynomial composition activations. 2024.
    [Neftci2019] E. Neftci et al. Surrogate gradient learning in spiking neural networks. 2019.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Series, TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import ACTIVATIONS, NOT_ZERO_AT_ZERO, known, whole
from nasplat.ops.layout import channelled, channels, rank
from nasplat.ops.modules import activation as activations
from nasplat.ops.modules import common
from nasplat.ops.modules import norm as modules


class _Norm(Op):
    """A normalisation over the channels."""

    form: ClassVar[str]

    def infer(self, *inputs: TensorType) -> TensorType:
        return channelled(self, inputs)

    def _module(self) -> type[nn.Module]:
        """The class of the module; it takes ``channels`` and ``rank``."""
        raise NotImplementedError

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        return Call(self._module(), {"channels": channels(item), "rank": rank(item)})

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.norm(self.form, channels(channelled(self, inputs)))


@dataclass(frozen=True, kw_only=True)
class LayerNorm(_Norm):
    """Zero mean and unit variance over the channels of each position, then scale and shift [Ba2016].

    Attributes:
        affine: Whether there are the learned scale and shift.
        shift: Whether there is the shift, where there is the scale.
    """

    form: ClassVar[str] = "layer"

    affine: bool = True
    shift: bool = True

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        module = modules.ChannelLayerNorm if rank(item) else nn.LayerNorm
        arguments: dict[str, Any] = {"normalized_shape": channels(item)}
        if not self.affine:
            arguments["elementwise_affine"] = False
        elif not self.shift:
            arguments["bias"] = False
        return Call(module, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        width = channels(channelled(self, inputs))
        return counts.vector(width * (1 + self.shift) if self.affine else 0)


@dataclass(frozen=True, kw_only=True)
class RMSNorm(_Norm):
    """Unit mean square over the channels of each position, then scale [Zhang2019].

    Attributes:
        compressed: Whether the channels stand for a vector with one more, whose sum is zero [Jiang2023].
        affine: Whether there is the learned scale.
    """

    form: ClassVar[str] = "rms"
    keeps_zero: ClassVar[bool] = True

    compressed: bool = False
    affine: bool = True

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        arguments: dict[str, Any] = {"channels": channels(item), "rank": rank(item)}
        if self.compressed:
            arguments["compressed"] = True
        if not self.affine:
            arguments["affine"] = False
        return Call(modules.RMSNorm, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        return super().cost(*inputs) if self.affine else OpCost()


@dataclass(frozen=True, kw_only=True)
class BatchNorm(_Norm):
    """Zero mean and unit variance of each channel over the batch, then scale and shift [Ioffe2015]."""

    form: ClassVar[str] = "batch"

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        return Call(modules.batch_norm(rank(item)), {"num_features": channels(item)})


@dataclass(frozen=True, kw_only=True)
class GroupNorm(_Norm):
    """Zero mean and unit variance over groups of channels and all positions, then scale and shift [Wu2018].

    Attributes:
        groups: Number of groups, which divides the channels; ``None``: the largest divisor of 32 that
            divides them.
        affine: Whether there are the learned scale and shift.
    """

    form: ClassVar[str] = "group"

    groups: int | None = None
    affine: bool = True

    def infer(self, *inputs: TensorType) -> TensorType:
        item = channelled(self, inputs)
        if self.groups is not None:
            whole(self, inputs, 1, groups=self.groups)
            rule = f"needs groups to divide the {channels(item)} channels"
            expect(channels(item) % self.groups == 0, self, rule, *inputs)
        return item

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        arguments = {
            "groups": self.groups or math.gcd(32, channels(item)),
            "channels": channels(item),
            "rank": rank(item),
            "affine": self.affine,
        }
        return Call(modules.GroupNorm, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        return super().cost(*inputs) if self.affine else OpCost()


@dataclass(frozen=True, kw_only=True)
class InstanceNorm(_Norm):
    """Zero mean and unit variance of each channel over the positions, then scale and shift [Ulyanov2016].

    Attributes:
        affine: Whether there are the learned scale and shift.
    """

    form: ClassVar[str] = "instance"

    affine: bool = True

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        arguments = {
            "groups": channels(item),
            "channels": channels(item),
            "rank": rank(item),
            "affine": self.affine,
        }
        return Call(modules.GroupNorm, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        return super().cost(*inputs) if self.affine else OpCost()


@dataclass(frozen=True, kw_only=True)
class BatchInstanceNorm(_Norm):
    """A mix of batch and instance norm; each channel learns its share [Nam2018]."""

    form: ClassVar[str] = "batch_instance"

    def _module(self) -> type[nn.Module]:
        return modules.BatchInstanceNorm


@dataclass(frozen=True, kw_only=True)
class RepBatchNorm(_Norm):
    """Layer norm that becomes batch norm beside a scaled skip in the course of training [Guo2024].

    What is left at the end is one scale and one shift for each channel.

    Attributes:
        end: Part of the training after which nothing of the layer norm is left, in (0, 1].
    """

    kind: ClassVar[str] = "rep_batch_norm"
    form: ClassVar[str] = "rep_batch"

    end: float = 0.9

    def infer(self, *inputs: TensorType) -> TensorType:
        expect(0 < self.end <= 1, self, "needs end to be in (0, 1]", *inputs)
        return channelled(self, inputs)

    def call(self, *inputs: TensorType) -> Call:
        call = super().call(*inputs)
        return Call(call.module, {**call.arguments, "end": float(self.end)})

    def _module(self) -> type[nn.Module]:
        return modules.RepBatchNorm


@dataclass(frozen=True, kw_only=True)
class UnifiedNorm(_Norm):
    """Unit mean square of each channel over batch and positions, smoothed over steps [Yang2022].

    In evaluation it is one scale and one shift for each channel.

    Attributes:
        window: Batches whose geometric mean counts in training, at least 1.
    """

    form: ClassVar[str] = "unified"

    window: int = 4

    def infer(self, *inputs: TensorType) -> TensorType:
        whole(self, inputs, 1, window=self.window)
        return channelled(self, inputs)

    def call(self, *inputs: TensorType) -> Call:
        call = super().call(*inputs)
        return Call(call.module, {**call.arguments, "window": self.window})

    def _module(self) -> type[nn.Module]:
        return modules.UnifiedNorm


@dataclass(frozen=True, kw_only=True)
class BiasNorm(_Norm):
    """``x / RMS(x - bias) * exp(log_scale)``: the length of a vector leaves a trace [Yao2024]."""

    form: ClassVar[str] = "bias"
    keeps_zero: ClassVar[bool] = True

    def _module(self) -> type[nn.Module]:
        return modules.BiasNorm


@dataclass(frozen=True, kw_only=True)
class UnitNorm(_Norm):
    """Unit length of the channels of each position [Loshchilov2025]."""

    form: ClassVar[str] = "unit"
    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.UnitNorm, {"rank": rank(channelled(self, inputs))})


@dataclass(frozen=True, kw_only=True)
class Activation(Op):
    """A point-wise non-linearity.

    Attributes:
        form: ``relu``, ``gelu``, ``silu``, ``hardswish``, ``gelu_tanh``, ``relu6``, ``leaky_relu``;
            ``swoosh_l`` and ``swoosh_r`` [Yao2024]; ``polynomial``, powers of ReLU with learned
            coefficients [Zhuo2024]; ``spiking``, 1 above 1 and else 0, with a smooth gradient
            [Neftci2019]; ``squared_relu``, and ``star_relu``, the same with a learned scale and shift
            [Yu2024]; or ``none`` for the identity.
        degree: Highest power of ``polynomial``, 2 to 4.
    """

    form: str = "gelu"
    degree: int = 3

    @property
    def pure(self) -> bool:  # type: ignore[override]  # a polynomial has weights
        """Polynomials and ``star_relu`` have weights."""
        return self.form not in ("polynomial", "star_relu")

    @property
    def keeps_zero(self) -> bool:  # type: ignore[override]  # it depends on the form
        """Whether the form is zero at zero."""
        return self.form not in NOT_ZERO_AT_ZERO

    def infer(self, *inputs: TensorType) -> TensorType:
        item = channelled(self, inputs)
        known(self, inputs, ACTIVATIONS, form=self.form)
        expect(self.degree in (2, 3, 4), self, "needs degree to be 2, 3 or 4", *inputs)
        expect(
            self.degree == 3 or self.form == "polynomial",
            self,
            "has a degree for polynomial only",
            *inputs,
        )
        return item

    def call(self, *inputs: TensorType) -> Call:
        if self.form == "polynomial":
            return Call(activations.Polynomial, {"degree": self.degree})
        if self.form in ("swoosh_l", "swoosh_r"):
            return Call(activations.Swoosh, {"offset": 4.0 if self.form == "swoosh_l" else 1.0})
        if self.form == "gelu_tanh":
            return Call(nn.GELU, {"approximate": "tanh"})
        return Call(common.ACTIVATIONS[self.form])

    def cost(self, *inputs: TensorType) -> OpCost:
        if self.form == "polynomial":
            return OpCost(self.degree + 1)
        return counts.activation(self.form)

    def is_identity(self, *inputs: TensorType) -> bool:
        return self.form == "none"


@dataclass(frozen=True, kw_only=True)
class SpikingNeurons(Op):
    """Neurons that gather a series or tokens over time, leak, and fire and reset above 1 [Neftci2019].

    Goes step by step: meant for short sequences.

    Attributes:
        decay: Part of the potential that is left after one step, in [0, 1].
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    decay: float = 0.9

    def infer(self, *inputs: TensorType) -> TensorType:
        item = inputs[0] if len(inputs) == 1 else None
        expect(0 <= self.decay <= 1, self, "needs decay to be in [0, 1]", *inputs)
        if isinstance(item, Series | Tokens):
            return item
        expect(False, self, "takes one Series or Tokens", *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        axis = 1 if isinstance(inputs[0], Tokens) else 2
        return Call(activations.LeakyIntegrator, {"decay": float(self.decay), "axis": axis})


@dataclass(frozen=True, kw_only=True)
class LayerScale(Op):
    """Multiply each channel by a learned number [Touvron2021].

    Attributes:
        initial: That number before training; 0.1 suits the shallow networks of short trainings.
    """

    keeps_zero: ClassVar[bool] = True

    initial: float = 0.1

    def infer(self, *inputs: TensorType) -> TensorType:
        return channelled(self, inputs)

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        arguments: dict[str, Any] = {
            "channels": channels(item),
            "initial": float(self.initial),
            "rank": rank(item),
        }
        return Call(modules.LayerScale, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.vector(channels(channelled(self, inputs)))


@dataclass(frozen=True, kw_only=True)
class Affine(Op):
    """Multiply each channel by a learned number and add another, in the place of a norm [Touvron2022]."""

    def infer(self, *inputs: TensorType) -> TensorType:
        return channelled(self, inputs)

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        return Call(modules.Affine, {"channels": channels(item), "rank": rank(item)})

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.vector(2 * channels(channelled(self, inputs)))
