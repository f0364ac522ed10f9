"""A graph as one ONNX model: fragments of its nodes joined, filled with the weights of a module.

Every operator is named ``node/operator`` and every initialiser as in the ``state_dict`` of the module, so
that whatever is found in the file leads back to the graph. It knows nothing of quantisation but where
the layers are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import onnx
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper
from torch import nn

from nasplat.errors import ExportError
from nasplat.export.fragment import Fragment, Weight, fragment
from nasplat.export.trace import OPSET
from nasplat.graph.graph import Graph, Node
from nasplat.graph.lower import module_names
from nasplat.graph.types import Ids, TensorType

BATCH = "batch"
"""Name of the open batch axis."""

IR_VERSION = 10


@dataclass(frozen=True)
class PlacedLayer:
    """A linear or convolution layer in the joined model.

    Attributes:
        node: Name of the graph's node.
        path: The layer in the module of the whole graph, as in its ``state_dict``.
        operator: Name of the operator that multiplies.
        weight: Initialiser of its weight.
        channel_axis: Axis of the output channels in that initialiser.
        output: Result of the layer, its bias included.
        bias: Initialiser of the bias, or ``None``.
    """

    node: str
    path: str
    operator: str
    weight: str
    channel_axis: int
    output: str
    bias: str | None


@dataclass
class Assembly:
    """A model in parts, while it is made."""

    inputs: list[ValueInfoProto]
    outputs: list[ValueInfoProto] = field(default_factory=list)
    operators: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, TensorProto] = field(default_factory=dict)
    layers: list[PlacedLayer] = field(default_factory=list)
    simulated: dict[str, Node] = field(default_factory=dict)
    """Layers whose roundings are among the operators already, by path, with the node they are of."""

    def model(self, extra_outputs: tuple[str, ...] = ()) -> onnx.ModelProto:
        """The model; ``extra_outputs`` shows inner float values as further outputs."""
        watched = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in extra_outputs
        ]
        graph = helper.make_graph(
            self.operators,
            "nasplat",
            self.inputs,
            [*self.outputs, *watched],
            list(self.initializers.values()),
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="nasplat",
        )


def assemble(graph: Graph, module: nn.Module, batch: int | None) -> Assembly:
    """Join the fragments of all live nodes.

    Args:
        graph: What to write.
        module: What :func:`nasplat.graph.lower.lower` made of it; gives the weights.
        batch: Examples in a batch, or ``None`` for an open batch axis.

    Raises:
        ExportError: A node cannot be exported, or the module does not belong to the graph; names all.
    """
    made = Assembly([_value(name, kind, batch) for name, kind in graph.inputs.items()])
    state = dict(module.named_parameters()) | dict(module.named_buffers())
    attributes = module_names(graph)
    values = {name: name for name in graph.inputs}
    offences: list[str] = []
    hint = ""
    for node in graph.live:
        try:
            part = fragment(node.op, graph.input_types(node), batch, node.bits)
        except ExportError as error:
            offences.append(f"at {node.name}: {error.message}")
            hint = error.hint
            continue
        if offences:
            continue
        prefix = attributes[node.name]
        _fill(made, part, prefix, state, node.name)
        _place(made, part, node, prefix, values)
    if offences:
        raise ExportError("; ".join(offences), hint=hint)
    named: dict[str, str] = {}
    for name, ref in graph.outputs.items():
        free = name if name not in graph.inputs else f"{name}_output"
        named[free] = values[ref]
        made.outputs.append(_value(free, graph.types[ref], batch))
    _name_outputs(made, named)
    return made


def _value(name: str, kind: TensorType, batch: int | None) -> ValueInfoProto:
    element = TensorProto.INT64 if isinstance(kind, Ids) else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, element, [batch or BATCH, *kind.shape])


def _initializer(prefix: str, weight: Weight) -> str:
    turned = "" if weight.axes is None else ".t" + "".join(map(str, weight.axes))
    return f"{prefix}.{weight.tensor}{turned}"


def _fill(
    made: Assembly, part: Fragment, prefix: str, state: Mapping[str, object], node: str
) -> None:
    """Add the weights of one fragment, unless its sharing group has them already."""
    for weight in part.weights.values():
        name = _initializer(prefix, weight)
        if name in made.initializers:
            continue
        tensor = state.get(f"{prefix}.{weight.tensor}")
        if tensor is None:
            raise ExportError(
                f"at {node}: the module has no {prefix}.{weight.tensor}: it was not made of this graph",
                hint="pass lower(graph), or the trained copy of it",
            )
        array = tensor.detach().cpu().numpy()  # type: ignore[attr-defined]  # a tensor of the module
        if weight.axes is not None:
            array = array.transpose(weight.axes)
        made.initializers[name] = numpy_helper.from_array(array.copy(order="C"), name)


def _place(made: Assembly, part: Fragment, node: Node, prefix: str, values: dict[str, str]) -> None:
    """Add the operators of one fragment under the name of its node."""
    names = {local: _initializer(prefix, weight) for local, weight in part.weights.items()}
    names |= {local: values[ref] for local, ref in zip(part.inputs, node.inputs, strict=True)}
    for local, tensor in part.constants.items():
        names[local] = f"{node.name}/{local}"
        constant = TensorProto()
        constant.CopyFrom(tensor)
        constant.name = names[local]
        made.initializers[constant.name] = constant
    for index, operator in enumerate(part.operators):
        if operator.op_type == "Identity":
            local = operator.input[0]
            names[operator.output[0]] = names.setdefault(local, f"{node.name}/{local}")
            continue
        copy = onnx.NodeProto()
        copy.CopyFrom(operator)
        _rename(copy, names, node.name)
        copy.name = f"{node.name}/{copy.op_type}_{index}"
        made.operators.append(copy)
    for layer in part.layers:
        made.layers.append(
            PlacedLayer(
                node=node.name,
                path=f"{prefix}.{layer.path}" if layer.path else prefix,
                operator=f"{node.name}/{part.operators[layer.operator].op_type}_{layer.operator}",
                weight=names[layer.weight],
                channel_axis=layer.channel_axis,
                output=names[layer.output],
                bias=names[layer.bias] if layer.bias else None,
            )
        )
    made.simulated |= {f"{prefix}.{path}" if path else prefix: node for path in part.simulated}
    for port, local in enumerate(part.outputs):
        values[f"{node.name}:{port}" if port else node.name] = names[local]


def _rename(operator: onnx.NodeProto, names: dict[str, str], node: str) -> None:
    """Give the values of an operator, sub-graphs included, their names in the joined model."""
    for side in (operator.input, operator.output):
        for index, local in enumerate(side):
            if local:
                side[index] = names.setdefault(local, f"{node}/{local}")
    for attribute in operator.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for value in (*inner.input, *inner.output, *inner.initializer, *inner.value_info):
                value.name = names.setdefault(value.name, f"{node}/{value.name}")
            for nested in inner.node:
                _rename(nested, names, node)


def _name_outputs(made: Assembly, values: Mapping[str, str]) -> None:
    """Give each named output to the operator that makes it; a copy where that is not possible."""
    makers = {name for operator in made.operators for name in operator.output}
    renamed: dict[str, str] = {}
    copies: list[onnx.NodeProto] = []
    for output, value in values.items():
        if value in makers and value not in renamed:
            renamed[value] = output
        else:
            source = renamed.get(value, value)
            copies.append(helper.make_node("Identity", [source], [output], name=f"output/{output}"))
    for operator in made.operators:
        _replace(operator, renamed)
    made.operators.extend(copies)
    made.layers[:] = [
        replace(layer, output=renamed.get(layer.output, layer.output)) for layer in made.layers
    ]


def _replace(operator: onnx.NodeProto, names: Mapping[str, str]) -> None:
    for side in (operator.input, operator.output):
        for index, name in enumerate(side):
            if name in names:
                side[index] = names[name]
    for attribute in operator.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for value in inner.output:
                value.name = names.get(value.name, value.name)
            for nested in inner.node:
                _replace(nested, names)
