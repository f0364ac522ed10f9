"""The ONNX operators of one op, without weights: traced once, used wherever the op stands again.

Candidates of one space share most of their ops, and tracing is what an export costs; so a search soon
assembles artefacts from fragments it has. A fragment knows no graph.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import onnx
import onnx_ir as ir
import torch
from onnx import inliner, numpy_helper
from torch import nn

from nasplat.errors import ExportError
from nasplat.export.trace import scopes, trace
from nasplat.graph.fake_quant import LAYERS, QuantLayer, fake_quantise
from nasplat.graph.op import FLOAT, Bits, Op
from nasplat.graph.types import TensorType, show_types

Types = tuple[TensorType, ...]

OPEN_BATCH = 2
"""Examples with which an open batch is traced: with fewer, torch takes the size for a constant."""


@dataclass(frozen=True)
class Weight:
    """Where the value of an initialiser comes from.

    Attributes:
        tensor: Name of the parameter or buffer in the module.
        axes: Permutation applied to it, or ``None``.
    """

    tensor: str
    axes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Layer:
    """One operator that reads the weight of a linear, convolution or embedding layer.

    Attributes:
        path: The layer in the module, ``""`` when the module is the layer.
        operator: Position of its operator in the fragment.
        weight: Initialiser that the operator reads: its second input, the first of a look-up.
        channel_axis: Axis of the output channels in that initialiser.
        output: Result of the layer, its bias included.
        bias: Initialiser of the bias, or ``None``.
    """

    path: str
    operator: int
    weight: str
    channel_axis: int
    output: str
    bias: str | None


@dataclass(frozen=True)
class Fragment:
    """The operators of one op.

    Attributes:
        operators: In order; their names are local.
        inputs: Local names of the inputs.
        outputs: Local names of the outputs.
        weights: Initialisers that the module fills.
        constants: Initialisers that are the same for every module.
        layers: Operators that quantisation applies to.
        simulated: Layers whose roundings are among the operators already.
        scattered: Whether the weight of a layer is read by operators that are not the layer itself.
    """

    operators: tuple[onnx.NodeProto, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, Weight]
    constants: Mapping[str, onnx.TensorProto]
    layers: tuple[Layer, ...]
    simulated: tuple[str, ...]
    scattered: bool


@lru_cache(maxsize=4096)
def fragment(op: Op, types: Types, batch: int | None, bits: Bits = FLOAT) -> Fragment:
    """Trace an op on inputs of these types; memoised.

    A narrow op is traced in floating point, and its layers are rounded where they are placed. When it
    computes with weights outside their layers (kernels laid together, a table that is read twice) there
    is no such place: then it is traced with its roundings, which stay in floating point.

    Args:
        op: What to trace.
        types: Its input types.
        batch: Examples in a batch, or ``None`` for an open batch axis.
        bits: Widths of its numbers.

    Raises:
        ExportError: The op says that it cannot be exported, or torch cannot capture or translate it.
    """
    if op.onnx_reason:
        raise ExportError(
            f"{op} on {show_types(types)} cannot be exported to ONNX: {op.onnx_reason}",
            hint="Keep it out of the search: --within leaves out options, such as 'PATTERN=VALUES'.",
        )
    if bits.quantised:
        plain = fragment(op, types, batch)
        if not plain.scattered:
            return plain
    with torch.random.fork_rng(devices=[]):
        module = op.module(*types)
        if bits.quantised:
            module = fake_quantise(module, bits)
        examples = [tensor_type.example(batch or OPEN_BATCH) for tensor_type in types]
    try:
        model = trace(module, examples, dynamic=batch is None)
    except Exception as error:
        raise ExportError(
            f"{op} on {show_types(types)} cannot be exported: {type(error).__name__}: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}",
            hint=f"{type(module).__name__}.forward must be traceable by torch.export.export, "
            "with an open batch axis; run that on it for the whole story",
        ) from error
    return _fragment(ir.to_proto(model), module)


def _fragment(model: onnx.ModelProto, module: nn.Module) -> Fragment:
    if model.functions:
        model = inliner.inline_local_functions(model)
    graph = model.graph
    stored = {name for name, _ in module.named_parameters()}
    stored |= {name for name, _ in module.named_buffers()}
    weights = {item.name: Weight(item.name) for item in graph.initializer if item.name in stored}
    constants = {item.name: item for item in graph.initializer if item.name not in stored}
    operators = _with_folded_transposes(list(graph.node), weights)
    layers = _layers(operators, weights, module)
    for operator in operators:
        del operator.metadata_props[:]  # stack traces of the machine that traced it
        operator.doc_string = ""
    used = {name for operator in operators for name in _reads(operator)}
    used |= {item.name for item in graph.output}
    return Fragment(
        operators=tuple(operators),
        inputs=tuple(item.name for item in graph.input),
        outputs=tuple(item.name for item in graph.output),
        weights={name: weight for name, weight in weights.items() if name in used},
        constants={name: _plain(item) for name, item in constants.items() if name in used},
        layers=layers,
        simulated=tuple(
            path for path, inner in module.named_modules() if isinstance(inner, QuantLayer)
        ),
        scattered=_scattered(operators, weights, layers, module),
    )


def _plain(tensor: onnx.TensorProto) -> onnx.TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name)


def _reads(operator: onnx.NodeProto) -> set[str]:
    """Names that an operator reads, those inside its sub-graphs included."""
    names = set(operator.input)
    for attribute in operator.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for nested in inner.node:
                names |= _reads(nested)
            names |= {item.name for item in inner.output}
    return names


def _with_folded_transposes(
    operators: list[onnx.NodeProto], weights: dict[str, Weight]
) -> list[onnx.NodeProto]:
    """Drop transposes of weights, noting the permutation with the weight instead.

    Rounded weights must meet their multiplication with nothing in between, or runtimes do not take the
    pair for an integer product.
    """
    kept: list[onnx.NodeProto] = []
    for operator in operators:
        source = weights.get(operator.input[0]) if operator.op_type == "Transpose" else None
        if source is None or source.axes is not None:
            kept.append(operator)
            continue
        axes = next((tuple(item.ints) for item in operator.attribute if item.name == "perm"), None)
        if axes is None:
            kept.append(operator)
            continue
        weights[operator.output[0]] = Weight(source.tensor, axes)
    return kept


def _layers(
    operators: list[onnx.NodeProto], weights: Mapping[str, Weight], module: nn.Module
) -> tuple[Layer, ...]:
    """Find what each linear, convolution and embedding layer of the module became."""
    found: list[Layer] = []
    for path, child in module.named_modules():
        if type(child) not in LAYERS:
            continue
        tensor = f"{path}.weight" if path else "weight"
        for index, operator in enumerate(operators):
            at = 0 if operator.op_type == "Gather" else 1
            weight = weights.get(operator.input[at]) if len(operator.input) > 1 else None
            if weight is None or weight.tensor != tensor or not _inside(operator, path):
                continue
            turned = operator.op_type == "Gemm" and any(
                item.name == "transB" and item.i for item in operator.attribute
            )
            if operator.op_type in ("Conv", "Gather") or turned:
                axis = 0
            elif operator.op_type in ("MatMul", "Gemm"):
                axis = 1
            else:
                continue
            output, bias = _with_bias(operators, index, weights, f"{tensor[:-6]}bias")
            found.append(Layer(path, index, operator.input[at], axis, output, bias))
    return tuple(sorted(found, key=lambda layer: layer.operator))


def _scattered(
    operators: list[onnx.NodeProto],
    weights: Mapping[str, Weight],
    layers: tuple[Layer, ...],
    module: nn.Module,
) -> bool:
    """Whether an operator that is no layer reads the weight of one."""
    narrow = {
        f"{path}.weight" if path else "weight"
        for path, child in module.named_modules()
        if type(child) in LAYERS
    }
    placed = {layer.operator for layer in layers}
    return any(
        name in weights and weights[name].tensor in narrow
        for index, operator in enumerate(operators)
        if index not in placed
        for name in _reads(operator)
    )


def _with_bias(
    operators: list[onnx.NodeProto], index: int, weights: Mapping[str, Weight], tensor: str
) -> tuple[str, str | None]:
    """The result of a layer and its bias, which is an input of the operator or of a sum after it."""
    operator = operators[index]
    output = str(operator.output[0])
    if len(operator.input) > 2:
        return output, str(operator.input[2])
    readers = [other for other in operators[index + 1 :] if output in other.input]
    if len(readers) == 1 and readers[0].op_type == "Add":
        for name in readers[0].input:
            if name in weights and weights[name].tensor == tensor:
                return str(readers[0].output[0]), str(name)
    return output, None


def _inside(operator: onnx.NodeProto, path: str) -> bool:
    """Whether an operator was captured in the layer at ``path``, not by somebody reading its weight."""
    written = scopes(operator)
    return not written or path in ast.literal_eval(written)[:-1]
