"""A graph as ``model.py``: plain torch that reads like code and imports nothing of nasplat."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from nasplat.errors import ExportError
from nasplat.export.source import Closure
from nasplat.graph.fake_quant import fake_quantise
from nasplat.graph.graph import Graph, Node, source
from nasplat.graph.lower import attribute, module_names
from nasplat.graph.types import TensorType

_LINE = 100

_BITS = '''class Bits(NamedTuple):
    """Bit widths of a node: of its weights and of the activations that enter its layers."""

    weight: float
    activation: int'''

_BUILD = '''def build(weights: str | Path | None = None) -> Model:
    """Make the model in evaluation mode.

    Args:
        weights: A ``weights.safetensors``; without one the weights are random.
    """
    model = Model()
    if weights is not None:
        model.load_state_dict(load_file(weights))
    return model.eval()'''


def model_source(graph: Graph, *, title: str) -> tuple[str, tuple[str, ...]]:
    """Print a graph as a Python file.

    Args:
        graph: What to print.
        title: First line of the file's docstring.

    Returns:
        The file, with a class ``Model`` whose ``state_dict`` has the keys of the lowered module and a
        function ``build(weights=None)``; and the packages it needs beyond torch and safetensors.

    Raises:
        ExportError: The source of a module cannot stand alone; names every such node.
    """
    closure = Closure()
    quantised = any(node.bits.quantised for node in graph.live)
    makers: dict[str, str] = {}
    offences: list[str] = []
    hint = ""
    names = module_names(graph)
    for node in graph.live:
        try:
            made = _constructed(node, graph, closure, names[node.name])
        except ExportError as error:
            offences.append(f"at {node.name}: {error.message}")
            hint = error.hint
            continue
        makers.setdefault(names[node.name], made)
    if offences:
        raise ExportError("; ".join(offences), hint=hint)
    imports = ["from pathlib import Path"]
    if quantised:
        imports.append("from typing import NamedTuple")
    parts = [
        f'"""{title}\n\nPlain torch; ``build("weights.safetensors")`` gives the trained model.\n"""',
        "from __future__ import annotations",
        _merged(imports, closure.imports()),
    ]
    head = "\n\n".join(parts)
    body = [part for part in (_BITS if quantised else "", closure.definitions()) if part]
    body += [_model_class(graph, makers, names), _BUILD]
    return head + "\n\n\n" + "\n\n\n".join(body) + "\n", closure.packages


def _merged(own: list[str], copied: str) -> str:
    """Import statements in three groups: the standard library, other packages, torch and safetensors."""
    standard, torch_lines = set(own), {"from safetensors.torch import load_file"}
    for line in copied.splitlines():
        if line:
            root = line.split()[1].partition(".")[0]
            (torch_lines if root == "torch" else standard).add(line)
    key = _import_key
    return "\n".join(sorted(standard, key=key)) + "\n\n" + "\n".join(sorted(torch_lines, key=key))


def _import_key(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _constructed(node: Node, graph: Graph, closure: Closure, attribute: str) -> str:
    """The expression that makes the module of a node, to stand after ``self.attribute = ``."""
    call = node.op.call(*graph.input_types(node))
    name = closure.add(call.module)
    arguments = [f"{key}={literal(value)}" for key, value in call.arguments.items()]
    before = 8 + len(f"self.{attribute} = ")
    if not node.bits.quantised:
        return _called(name, arguments, indent=8, before=before)
    wrapper = closure.add(fake_quantise)
    bits = f"Bits({node.bits.weight}, {node.bits.activation})"
    line = _called(wrapper, [_called(name, arguments, indent=8, before=0), bits], 8, before)
    if "\n" not in line:
        return line
    return _called(wrapper, [_called(name, arguments, indent=12, before=12), bits], 8, _LINE)


def _called(name: str, arguments: list[str], indent: int, before: int) -> str:
    """A call, on one line where it fits behind ``before`` characters; else one line an argument."""
    line = f"{name}({', '.join(arguments)})"
    if "\n" not in line and len(line) + before <= _LINE:
        return line
    inside = "".join(f"{' ' * (indent + 4)}{argument},\n" for argument in arguments)
    return f"{name}(\n{inside}{' ' * indent})"


def literal(value: Any) -> str:
    """Write a constructor argument.

    Raises:
        ExportError: It is no literal.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, str):
        return '"' + value.encode("unicode_escape").decode().replace('"', '\\"') + '"'
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, tuple):
        inner = ", ".join(literal(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    raise ExportError(
        f"a constructor argument is {value!r}, a {type(value).__name__}; only numbers, strings, None and "
        "tuples, lists or mappings of them can be printed",
        hint="give the module plain arguments in Op.call",
    )


def _model_class(graph: Graph, makers: Mapping[str, str], names: Mapping[str, str]) -> str:
    inputs = [attribute(name) for name in graph.inputs]
    single = len(graph.outputs) == 1
    result = "torch.Tensor" if single else "dict[str, torch.Tensor]"
    lines = ["class Model(nn.Module):", '    """The network as it was found.', ""]
    lines += [f"    {line}" for line in _described(graph)]
    lines += ['    """', "", "    def __init__(self) -> None:", "        super().__init__()"]
    lines += [f"        self.{name} = {made}" for name, made in makers.items()]
    arguments = ", ".join(f"{name}: torch.Tensor" for name in inputs)
    lines += ["", f"    def forward(self, {arguments}) -> {result}:"]
    lines += [f"        {line}" for line in _body(graph, names)]
    return "\n".join(lines)


def _described(graph: Graph) -> Iterator[str]:
    yield "Inputs:"
    for name, kind in graph.inputs.items():
        yield f"    {attribute(name)}: {kind}, shape {_shape(kind)}"
    yield "Outputs:"
    for name, kind in graph.output_types.items():
        yield f"    {name}: {kind}, shape {_shape(kind)}"


def _shape(kind: TensorType) -> str:
    return f"(B, {', '.join(map(str, kind.shape))})"


def _body(graph: Graph, names: Mapping[str, str]) -> Iterator[str]:
    """One line for each node; a variable is used again once nothing reads what it holds."""
    last = {ref: len(graph.live) for ref in graph.outputs.values()}
    for index, node in reversed(list(enumerate(graph.live))):
        for ref in node.inputs:
            last.setdefault(ref, index)
    held = {name: attribute(name) for name in graph.inputs}
    section = ""
    for index, node in enumerate(graph.live):
        arguments = ", ".join(held[ref] for ref in node.inputs)
        for ref in [ref for ref in held if last.get(ref, -1) <= index and ref not in graph.inputs]:
            del held[ref]
        ports = [ref for ref in graph.types if source(ref) == node.name]
        targets = []
        for ref in ports:
            taken = {*held.values(), *map(attribute, graph.inputs), "self"}
            target = next(name for name in _variables() if name not in taken)
            held[ref] = target
            targets.append(target)
        for ref in ports:
            if ref not in last:
                del held[ref]  # an unused result
        group = _section(node.name)
        if group != section:
            if group:
                yield f"# {group}"
            section = group
        kinds = ", ".join(_shape(graph.types[ref]) for ref in ports)
        yield f"{', '.join(targets)} = self.{names[node.name]}({arguments})  # {kinds}"
    if len(graph.outputs) == 1:
        yield f"return {held[next(iter(graph.outputs.values()))]}"
    else:
        pairs = ", ".join(f"{literal(name)}: {held[ref]}" for name, ref in graph.outputs.items())
        yield f"return {{{pairs}}}"


def _section(name: str) -> str:
    """The part of the network that a node belongs to: ``stages.0`` of ``stages.0.blocks.1.mixer``."""
    parts = name.split(".")
    numbers = [index for index, part in enumerate(parts[:-1]) if part.isdigit()]
    return ".".join(parts[: numbers[-1] + 1]) if numbers else ""


def _variables() -> Iterator[str]:
    yield from ("x", "y", "z", "u", "v", "w")
    number = 1
    while True:
        yield f"h{number}"
        number += 1
