"""Integer arithmetic in an ONNX model: the roundings of fake-quantised layers as Q/DQ operators.

Scales come from the trained module itself, so weights and the activations that enter a layer are rounded
to the very levels it was trained with. Weights are held as int8, activations pass as uint8. Widths below
8 are simulated in int8: they use only that many levels of it. What int8 cannot hold (activations of one
bit, whose levels are not about zero, and 16 bits) is rounded in floating point.

Runtimes fuse a convolution into integer arithmetic only when its result is rounded too. Where no layer
rounds that result anyway, its range is taken from calibration data; this is the one rounding that the
trained module does not have. Without calibration data it is left out: exact, but slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn

from nasplat.export.assemble import Assembly, PlacedLayer
from nasplat.graph.fake_quant import (
    ActivationQuantiser,
    QuantLayer,
    quantised_weight,
    weight_scale,
)

Arrays = Mapping[str, NDArray[Any]]
Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class QuantisedLayer:
    """How one layer is held in the artefact.

    Attributes:
        node: Name of the graph's node.
        layer: The layer in the ``state_dict``.
        weight_bits: Width of its weights; 32 if they stay in floating point.
        activation_bits: Width of what enters it.
        method: ``int8``, ``simulated in int8`` for widths below 8, ``simulated in floating point``, or
            ``simulated in operators`` where the weight is rounded whenever the model runs.
        weight: Initialiser that holds the levels, the rounded weight, or what is rounded.
        output: ``float``, or ``uint8`` where its result is rounded for the runtime's sake.
    """

    node: str
    layer: str
    weight_bits: float
    activation_bits: int
    method: str
    weight: str
    output: str = "float"

    def to_json(self) -> dict[str, Any]:
        """Encode every field."""
        return dict(vars(self))


def quantise(
    made: Assembly, module: nn.Module, observe: Callable[[tuple[str, ...]], Ranges] | None
) -> list[QuantisedLayer]:
    """Insert Q/DQ operators around every fake-quantised layer of an assembled model.

    Args:
        made: The model in floating point; changed in place.
        module: Gives the scales.
        observe: Takes names of inner values and returns the range of each on calibration data; it is
            called once, with the activations and weights already rounded.

    Returns:
        What was done, one entry for each layer that is narrower than floating point.
    """
    work = [(layer, module.get_submodule(layer.path)) for layer in made.layers]
    narrow = [
        (layer, inner)
        for layer, inner in work
        if isinstance(inner, QuantLayer) and _bits(inner) != (32, 32)
    ]
    writer = _Writer(made)
    done = [writer.layer(layer, inner) for layer, inner in narrow]
    simulated = [
        QuantisedLayer(
            node=node.name,
            layer=path,
            weight_bits=node.bits.weight,
            activation_bits=node.bits.activation,
            method="simulated in operators",
            weight=f"{path}.weight",
        )
        for path, node in made.simulated.items()
    ]
    if observe is None:
        return done + simulated
    open_results = tuple(
        layer.output
        for layer, inner in narrow
        if max(_bits(inner)) < 32 and writer.wants_rounded_result(layer)
    )
    ranges = observe(open_results) if open_results else {}
    for name, (low, high) in ranges.items():
        writer.result(name, low, high)
    return [
        QuantisedLayer(**{**vars(entry), "output": "uint8"}) if layer.output in ranges else entry
        for entry, (layer, _) in zip(done, narrow, strict=True)
    ] + simulated


def levels_and_scales(
    weight: torch.Tensor, bits: float
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The integer levels of a weight and one scale for each output channel, its axis 0.

    Their product is what :func:`nasplat.graph.fake_quant.quantised_weight` computes with.

    Args:
        weight: Shape ``(out, ...)``.
        bits: A width of weights up to 8.
    """
    values = weight.detach().float()
    scale, top = weight_scale(values, bits)
    wide = scale.view(-1, *[1] * (values.dim() - 1))
    if bits == 1:
        levels = torch.where(values < 0, -1.0, 1.0)
    else:
        levels = torch.round(values.clamp(-top * wide, top * wide) / wide).clamp(-top, top)
    return levels.to(torch.int8).cpu().numpy(), scale.cpu().numpy()


def _bits(layer: QuantLayer) -> tuple[float, int]:
    """Width of weights and of activations."""
    inner = layer.quantise
    return layer.weight_bits, inner.bits if isinstance(inner, ActivationQuantiser) else 32


class _Writer:
    """Inserts operators next to those that are there."""

    def __init__(self, made: Assembly) -> None:
        self.made = made

    def layer(self, layer: PlacedLayer, inner: QuantLayer) -> QuantisedLayer:
        """Round the weight and the input of one layer."""
        operator = next(item for item in self.made.operators if item.name == layer.operator)
        weight_bits, activation_bits = _bits(inner)
        scales: NDArray[np.float32] | None = None
        if weight_bits == 16:
            self._rounded(layer, quantised_weight(inner.weight, 16))
        elif weight_bits < 32:
            levels, scales = levels_and_scales(inner.weight, weight_bits)
            if layer.channel_axis == 1:
                levels = levels.T
            self._weight(layer, operator, levels, scales)
        if isinstance(inner.quantise, ActivationQuantiser):
            step = self._input(operator, inner.quantise)
            if scales is not None and weight_bits == activation_bits == 8:
                self._bias(layer, operator, step * scales)
        plain = weight_bits == 16 or activation_bits in (1, 16)
        exact = min(weight_bits, activation_bits) == 8
        method = "int8" if exact else "simulated in int8"
        return QuantisedLayer(
            node=layer.node,
            layer=layer.path,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            method="simulated in floating point" if plain else method,
            weight=operator_weight(layer) if scales is not None else layer.weight,
        )

    def wants_rounded_result(self, layer: PlacedLayer) -> bool:
        """Whether a runtime needs the result of a layer rounded, and nothing rounds it yet."""
        operator = next(item for item in self.made.operators if item.name == layer.operator)
        exact_without = operator.op_type != "Conv" and (
            layer.bias is None or f"{layer.bias}.levels" in self.made.initializers
        )
        if exact_without:
            return False
        readers = [item for item in self.made.operators if layer.output in item.input]
        named = layer.output in {value.name for value in self.made.outputs}
        return (
            bool(readers)
            and not named
            and any(item.op_type != "QuantizeLinear" for item in readers)
        )

    def result(self, name: str, low: float, high: float) -> None:
        """Round the result of a layer over a range, for all who read it."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = np.float32(max((high - low) / 255.0, 1e-8))
        zero = np.uint8(np.clip(np.round(-low / scale), 0, 255))
        readers = [item for item in self.made.operators if name in item.input]
        pair, rounded = self._pair(f"{name}/result", name, scale, zero)
        for reader in readers:
            _read_instead(reader, name, rounded)
        self._insert_after_maker(name, pair)

    def _weight(
        self,
        layer: PlacedLayer,
        operator: onnx.NodeProto,
        levels: NDArray[np.int8],
        scales: NDArray[np.float32],
    ) -> None:
        held = operator_weight(layer)
        self._initializer(held, np.ascontiguousarray(levels))
        self._initializer(f"{held}.scale", scales)
        self._initializer(f"{held}.zero", np.zeros(len(scales), np.int8))
        value = f"{layer.operator}/weight"
        _read_instead(operator, layer.weight, value)
        self._insert_before(
            operator,
            helper.make_node(
                "DequantizeLinear",
                [held, f"{held}.scale", f"{held}.zero"],
                [value],
                name=f"{layer.operator}/weight/DequantizeLinear",
                axis=layer.channel_axis,
            ),
        )
        self._drop_unused(layer.weight)

    def _rounded(self, layer: PlacedLayer, weight: torch.Tensor) -> None:
        """Hold a weight that is rounded, in floating point."""
        values = weight.detach().float().cpu().numpy()
        if layer.channel_axis == 1:
            values = values.T
        held = numpy_helper.from_array(np.ascontiguousarray(values), layer.weight)
        self.made.initializers[layer.weight] = held

    def _input(self, operator: onnx.NodeProto, quantiser: ActivationQuantiser) -> np.float32:
        """Round what enters an operator; returns the step between two levels."""
        if quantiser.bits in (1, 16):
            return self._plain_input(operator, quantiser)
        top = float(2**quantiser.bits - 1)
        low, high = quantiser.low.detach(), quantiser.high.detach()
        scale = ((high - low).clamp(min=1e-8) / top).float()
        zero = torch.round(-low / scale).clamp(0, top)
        value, prefix = operator.input[0], f"{operator.name}/input"
        added: list[onnx.NodeProto] = []
        if quantiser.bits < 8:  # uint8 saturates at 8 bits only
            lowest, highest = (
                torch.maximum(low, -zero * scale),
                torch.minimum(high, (top - zero) * scale),
            )
            self._initializer(f"{prefix}.low", np.float32(lowest.item()))
            self._initializer(f"{prefix}.high", np.float32(highest.item()))
            clipped = f"{prefix}/clipped"
            added.append(
                helper.make_node(
                    "Clip",
                    [value, f"{prefix}.low", f"{prefix}.high"],
                    [clipped],
                    name=f"{prefix}/Clip",
                )
            )
            value = clipped
        step = np.float32(scale.item())
        pair, rounded = self._pair(prefix, value, step, np.uint8(zero.item()))
        operator.input[0] = rounded
        self._insert_before(operator, *added, *pair)
        return step

    def _plain_input(self, operator: onnx.NodeProto, quantiser: ActivationQuantiser) -> np.float32:
        """Round what enters an operator in floating point."""
        prefix = f"{operator.name}/input"
        low, high = quantiser.low.detach(), quantiser.high.detach()
        top = float(2**quantiser.bits - 1)
        scale = ((high - low).clamp(min=1e-8) / top).float()
        zero = torch.round(-low / scale)
        numbers = {"low": low, "high": high, "step": scale, "zero": zero}
        numbers |= {"middle": 0.5 * (low + high), "none": 0 * top * scale, "top": scale * 0 + top}
        for name, number in numbers.items():
            self._initializer(f"{prefix}.{name}", np.float32(number.item()))
        steps: list[tuple[str, tuple[str, ...]]] = [
            ("Clip", ("low", "high")),
            ("Div", ("step",)),
            ("Round", ()),
            ("Add", ("zero",)),
            ("Clip", ("none", "top")),
            ("Sub", ("zero",)),
            ("Mul", ("step",)),
        ]
        value, added = operator.input[0], []
        if quantiser.bits == 1:
            above = f"{prefix}/above"
            added.append(
                helper.make_node(
                    "Greater", [value, f"{prefix}.middle"], [above], name=f"{prefix}/Greater"
                )
            )
            levels = [f"{prefix}.high", f"{prefix}.low"]
            value = f"{prefix}/rounded"
            added.append(
                helper.make_node("Where", [above, *levels], [value], name=f"{prefix}/Where")
            )
            steps = []
        for index, (kind, read) in enumerate(steps):
            made = f"{prefix}/{index}"
            names = [value, *(f"{prefix}.{name}" for name in read)]
            added.append(helper.make_node(kind, names, [made], name=f"{made}/{kind}"))
            value = made
        operator.input[0] = value
        self._insert_before(operator, *added)
        return np.float32(scale.item())

    def _bias(
        self, layer: PlacedLayer, operator: onnx.NodeProto, steps: NDArray[np.float32]
    ) -> None:
        """Hold a bias in steps of its accumulator, where they are fine enough and fit into int32."""
        if layer.bias is None:
            return
        bias = numpy_helper.to_array(self.made.initializers[layer.bias]).astype(np.float64)
        levels = np.round(bias / steps)
        if np.abs(levels).max() >= 2**31:
            return
        held, value = f"{layer.bias}.levels", f"{layer.operator}/bias"
        self._initializer(held, levels.astype(np.int32))
        self._initializer(f"{held}.scale", steps.astype(np.float32))
        self._initializer(f"{held}.zero", np.zeros(len(steps), np.int32))
        self._insert_before(
            operator,
            helper.make_node(
                "DequantizeLinear",
                [held, f"{held}.scale", f"{held}.zero"],
                [value],
                name=f"{layer.operator}/bias/DequantizeLinear",
                axis=0,
            ),
        )
        makers = (operator, self._maker(layer.output))
        for reader in makers:
            _read_instead(reader, layer.bias, value)
        self._drop_unused(layer.bias)

    def _pair(
        self, prefix: str, value: str, scale: np.float32, zero: np.uint8
    ) -> tuple[list[onnx.NodeProto], str]:
        """A quantising and a dequantising operator, and the name of the rounded value."""
        parameters = [f"{prefix}.scale", f"{prefix}.zero"]
        self._initializer(parameters[0], scale)
        self._initializer(parameters[1], zero)
        levels, rounded = f"{prefix}/levels", f"{prefix}/rounded"
        return [
            helper.make_node(
                "QuantizeLinear", [value, *parameters], [levels], name=f"{prefix}/QuantizeLinear"
            ),
            helper.make_node(
                "DequantizeLinear",
                [levels, *parameters],
                [rounded],
                name=f"{prefix}/DequantizeLinear",
            ),
        ], rounded

    def _initializer(self, name: str, value: NDArray[Any] | np.generic) -> None:
        if name not in self.made.initializers:  # a sharing group has one
            self.made.initializers[name] = numpy_helper.from_array(np.asarray(value), name)

    def _drop_unused(self, name: str) -> None:
        if not any(name in item.input for item in self.made.operators):
            self.made.initializers.pop(name, None)

    def _maker(self, value: str) -> onnx.NodeProto:
        return next(item for item in self.made.operators if value in item.output)

    def _insert_before(self, operator: onnx.NodeProto, *added: onnx.NodeProto) -> None:
        names = [item.name for item in self.made.operators]
        at = names.index(operator.name)
        self.made.operators[at:at] = added

    def _insert_after_maker(self, value: str, added: Iterable[onnx.NodeProto]) -> None:
        names = [item.name for item in self.made.operators]
        at = names.index(self._maker(value).name) + 1
        self.made.operators[at:at] = added


def operator_weight(layer: PlacedLayer) -> str:
    """Name of the initialiser that holds the integer levels of a layer's weight."""
    return f"{layer.weight}.levels"


def _read_instead(operator: onnx.NodeProto, old: str, new: str) -> None:
    for index, name in enumerate(operator.input):
        if name == old:
            operator.input[index] = new
