"""Graphs as JSON and back: what travels to workers and rests in the store.

Reading needs a table of op kinds, passed explicitly; nothing is imported by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from nasplat.errors import GraphTypeError, unknown
from nasplat.graph.graph import Graph, Node
from nasplat.graph.op import FLOAT, Bits, Op
from nasplat.graph.types import type_from_json, type_to_json


def graph_to_json(graph: Graph) -> dict[str, Any]:
    """Encode a graph as plain data: inputs, nodes in order, outputs."""
    nodes: list[dict[str, Any]] = []
    for node in graph.nodes:
        item: dict[str, Any] = {
            "name": node.name,
            "op": node.op.kind,
            "settings": node.op.settings(),
            "inputs": list(node.inputs),
        }
        if node.bits != FLOAT:
            item["bits"] = [node.bits.weight, node.bits.activation]
        if node.share is not None:
            item["share"] = node.share
        if node.frozen:
            item["frozen"] = True
        nodes.append(item)
    return {
        "inputs": {name: type_to_json(tensor_type) for name, tensor_type in graph.inputs.items()},
        "nodes": nodes,
        "outputs": dict(graph.outputs),
    }


def graph_from_json(data: Mapping[str, Any], table: Mapping[str, type[Op]]) -> Graph:
    """Decode what :func:`graph_to_json` wrote.

    Args:
        data: The encoded graph.
        table: The op class of each kind.

    Raises:
        GraphTypeError: A kind is not in the table, a setting is unknown, or the graph is ill typed.
    """
    inputs = {name: type_from_json(item) for name, item in data["inputs"].items()}
    return Graph(inputs, [_node(item, table) for item in data["nodes"]], data["outputs"])


def _node(item: Mapping[str, Any], table: Mapping[str, type[Op]]) -> Node:
    if item["op"] not in table:
        raise unknown(
            "op",
            item["op"],
            table,
            GraphTypeError,
            hint="If it is an op of your own, give the file that defines it.",
        )
    return Node(
        item["name"],
        op_from_settings(table[item["op"]], item["settings"], item["name"]),
        tuple(item["inputs"]),
        Bits(*item["bits"]) if "bits" in item else FLOAT,
        item.get("share"),
        item.get("frozen", False),
    )


def op_from_settings(op_type: type[Op], settings: Mapping[str, Any], path: str) -> Op:
    """Make an op from :meth:`~nasplat.graph.op.Op.settings`; lists become tuples.

    Raises:
        GraphTypeError: A setting is no field of the op, or the op refuses its value.
    """
    known = {field.name for field in fields(op_type)}  # type: ignore[arg-type]  # ops are dataclasses
    extra = [name for name in settings if name not in known]
    if extra:
        raise unknown(f"field of {op_type.kind} at {path}", extra[0], known, GraphTypeError)
    return op_type(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in settings.items()
        }
    )
