"""The reference model: a small fixed network that is timed beside every candidate.

Whatever slows the machine for a while (another process, a lower clock, a shared cache) slows both, so
their ratio stays. It is built from constants with onnx alone and must never change: normalised values of
different times are compared through it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

CHANNELS, SIDE, BLOCKS, CLASSES = 32, 16, 2, 10


@lru_cache(maxsize=1)
def reference_model() -> bytes:
    """The model, serialised: convolutions, a depthwise convolution and matrix products in float32.

    The input ``x`` is ``(1, 32, 16, 16)``, the output ``y`` is ``(1, 10)``.
    """
    random = np.random.default_rng(20260101)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def weight(name: str, *shape: int) -> str:
        values = random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def node(op: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    value = "x"
    for block in range(BLOCKS):
        depth = weight(f"depth_{block}", CHANNELS, 1, 3, 3)
        wide = weight(f"wide_{block}", 2 * CHANNELS, CHANNELS, 1, 1)
        narrow = weight(f"narrow_{block}", CHANNELS, 2 * CHANNELS, 1, 1)
        mixed = node("Conv", value, depth, pads=[1, 1, 1, 1], group=CHANNELS)
        mixed = node("Relu", node("Conv", mixed, wide))
        value = node("Add", value, node("Conv", mixed, narrow))
    pooled = node("Flatten", node("GlobalAveragePool", value))
    nodes.append(helper.make_node("MatMul", [pooled, weight("head", CHANNELS, CLASSES)], ["y"]))
    graph = helper.make_graph(
        nodes,
        "nasplat_reference",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, CHANNELS, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, CLASSES])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
