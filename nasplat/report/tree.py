"""One architecture as text: its graph as a tree with the type on every edge, and what is known of it.

Knows graphs and plain rows of the store; does not fetch them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nasplat.graph.cost import node_costs
from nasplat.graph.graph import Graph, Node
from nasplat.graph.op import OpCost
from nasplat.report import units
from nasplat.report.tables import Format, render

_BARS = "▁▂▃▄▅▆▇█"


@dataclass
class _Branch:
    """A part of the paths of nodes: the node that ends here, and what goes on below."""

    node: Node | None = None
    below: dict[str, _Branch] = field(default_factory=dict)


def graph_tree(graph: Graph) -> str:
    """Draw a graph: one line for each node, indented by the parts of its path.

    Each line holds the op with its hyper-parameters, every incoming edge as ``source: type``, the
    outgoing types, and parameters and MACs where there are any. Nodes that no output needs are
    marked ``unused``.
    """
    root = _Branch()
    for node in graph.nodes:
        branch = root
        for part in node.name.split("."):
            branch = branch.below.setdefault(part, _Branch())
        branch.node = node
    costs = dict(node_costs(graph))
    lines: list[tuple[str, str]] = []
    for name, kind in graph.inputs.items():
        lines.append((name, f"input  {kind}"))
    for drawn, ended in _walk(root, ""):
        lines.append((drawn, _describe(graph, ended, costs) if ended else ""))
    for name, ref in graph.outputs.items():
        lines.append((name, f"output  {ref}: {graph.types[ref]}"))
    width = max(len(drawn) for drawn, _ in lines)
    return "\n".join(f"{drawn:<{width}}  {text}".rstrip() for drawn, text in lines)


def _walk(branch: _Branch, indent: str) -> Iterator[tuple[str, Node | None]]:
    for index, (name, child) in enumerate(branch.below.items()):
        last = index == len(branch.below) - 1
        # A part that only leads on shares its line with the next: "blocks.0".
        while child.node is None and len(child.below) == 1:
            ((part, child),) = child.below.items()
            name = f"{name}.{part}"
        yield f"{indent}{'└─' if last else '├─'} {name}", child.node
        yield from _walk(child, indent + ("   " if last else "│  "))


def _describe(graph: Graph, node: Node, costs: Mapping[str, OpCost]) -> str:
    edges = ", ".join(f"{_near(ref, node.name)}: {graph.types[ref]}" for ref in node.inputs)
    outputs = [graph.types[node.name]]
    while (following := f"{node.name}:{len(outputs)}") in graph.types:
        outputs.append(graph.types[following])
    text = f"{node.op}  {edges} -> {', '.join(map(str, outputs))}"
    cost = costs.get(node.name)
    if cost is None:
        return text + "  unused"
    if cost.params:
        text += f"  {units.count(cost.params)} params"
    if cost.macs:
        text += f"  {units.count(cost.macs)} macs"
    if node.bits.weight != 32 or node.bits.activation != 32:
        text += f"  bits {node.bits.weight}/{node.bits.activation}"
    return text + (f"  shares {node.share}" if node.share else "")


def _near(ref: str, name: str) -> str:
    """A reference as seen from a node: what both paths begin with is written ``..``."""
    ours, theirs = name.split(".")[:-1], ref.split(".")
    if ours and theirs[: len(ours)] == ours:
        rest = theirs[len(ours) :]
        return "." + ".".join(rest) if rest else ref
    return ref


def sparkline(values: Sequence[float]) -> str:
    """A learning curve in one word: ``▁▅▇█``; values that are not finite are blank."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    low, span = min(finite), max(finite) - min(finite)
    return "".join(
        _BARS[round((value - low) / span * 7) if span else 3] if math.isfinite(value) else " "
        for value in values
    )


def architecture(record: Mapping[str, Any], graph: Graph) -> str:
    """Everything known of an architecture, as `nasplat show` prints it.

    Args:
        record: The JSON form of the same: ``digest``, ``costs``, and the lists ``trials``,
            ``lineage``, ``curves``, ``measurements`` and ``exports``.
        graph: Its graph.
    """
    costs = "  ".join(
        f"{name} {units.value(name, value)}" for name, value in record["costs"].items()
    )
    parts = [f"{record['digest']}\n{costs}", graph_tree(graph)]
    for title in ("trials", "lineage", "curves", "measurements", "exports"):
        rows = record.get(title) or []
        parts.append(f"{title}\n{_indent(render(rows, Format.TABLE) if rows else 'none')}")
    return "\n\n".join(parts)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
