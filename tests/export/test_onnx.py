"""Tests of graphs as ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nasplat.errors import ExportError
from nasplat.export.onnx import build_onnx, to_onnx
from nasplat.graph.graph import Graph, GraphBuilder
from nasplat.graph.lower import lower
from nasplat.graph.op import FLOAT, Bits, Op
from nasplat.graph.types import Ids, Image, Volume
from nasplat.ops.conv import Conv
from nasplat.ops.conv_multi import LargeKernelConv
from nasplat.ops.linear import MergedLinear
from nasplat.ops.text import TokenEmbedding
from tests.export.nets import (
    SmallFrozen,
    SmallHead,
    SmallSkip,
    classifier,
    network,
    settle,
)


def made(graph: Graph) -> nn.Module:
    return settle(lower(graph, seed=0), graph)


def run(model: bytes, *inputs: torch.Tensor) -> dict[str, NDArray[Any]]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {item.name: x.numpy() for item, x in zip(session.get_inputs(), inputs, strict=True)}
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def eager(graph: Graph, module: nn.Module, *inputs: torch.Tensor) -> dict[str, NDArray[Any]]:
    with torch.no_grad():
        result = module(*inputs)
    outputs = result if isinstance(result, dict) else {next(iter(graph.outputs)): result}
    return {name: value.numpy() for name, value in outputs.items()}


def difference(met: dict[str, NDArray[Any]], expected: dict[str, NDArray[Any]]) -> float:
    assert set(met) == set(expected)
    return max(float(np.abs(met[name] - expected[name]).max()) for name in met)


@pytest.mark.parametrize("graph", [network(), classifier()], ids=["network", "classifier"])
def test_floating_point_equals_the_module_at_every_batch(graph: Graph) -> None:
    module = made(graph)
    model = to_onnx(graph, module, batch=None)
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    for batch in (1, 2, 7):
        x = Image(1, 8, 8).example(batch)
        assert difference(run(model, x), eager(graph, module, x)) < 1e-5


def test_a_static_batch_has_no_open_axis_and_equals_the_module() -> None:
    graph = network()
    module = made(graph)
    model = to_onnx(graph, module, batch=1)
    x = Image(1, 8, 8).example(1)
    assert difference(run(model, x), eager(graph, module, x)) < 1e-5
    shape = onnx.load_model_from_string(model).graph.input[0].type.tensor_type.shape
    assert [axis.dim_value for axis in shape.dim] == [1, 1, 8, 8]
    assert "Shape" not in {node.op_type for node in onnx.load_model_from_string(model).graph.node}


def test_the_mode_of_the_module_stays() -> None:
    graph = classifier()
    module = lower(graph, seed=0).train()
    to_onnx(graph, module, batch=1)
    assert module.training


def test_operators_and_weights_lead_back_to_the_graph() -> None:
    graph = network()
    module = made(graph)
    model = onnx.load_model_from_string(to_onnx(graph, module, batch=None))
    nodes = {node.name for node in graph.nodes}
    assert all(item.name.partition("/")[0] in nodes for item in model.graph.node)
    state = set(dict(module.named_parameters()) | dict(module.named_buffers()))
    held = {item.name for item in model.graph.initializer if "/" not in item.name}
    assert {name.partition(".t")[0] for name in held} <= state


def test_nothing_of_this_machine_is_written() -> None:
    graph = network()
    assert b"/nets.py" not in to_onnx(graph, made(graph), batch=None)


def test_shared_weights_are_stored_once() -> None:
    graph = network()
    model = onnx.load_model_from_string(to_onnx(graph, made(graph), batch=None))
    depthwise = [item for item in model.graph.initializer if "conv.conv.weight" in item.name]
    assert len(depthwise) == 1


def test_other_weights_reuse_the_fragment_and_are_the_ones_written() -> None:
    graph = classifier()
    for seed in (1, 2):
        module = settle(lower(graph, seed=seed), graph)
        x = Image(1, 8, 8).example(3)
        assert (
            difference(run(to_onnx(graph, module, batch=None), x), eager(graph, module, x)) < 1e-5
        )


def test_an_output_may_be_an_input_and_one_value_may_have_two_names() -> None:
    add = GraphBuilder({"image": Image(1, 8, 8)})
    (same,) = add.add(SmallSkip(), "image", name="skip")
    (logits,) = add.add(SmallHead(), same, name="head")
    graph = add.build({"logits": logits, "again": logits, "picture": same, "image": "image"})
    module = made(graph)
    model = to_onnx(graph, module, batch=None)
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    x = Image(1, 8, 8).example(2)
    expected = eager(graph, module, x)
    expected["image_output"] = expected.pop("image")
    assert difference(run(model, x), expected) < 1e-6


@pytest.mark.parametrize(
    "bits",
    [
        Bits(8, 8),
        Bits(4, 4),
        Bits(2, 4),
        Bits(8, 32),
        Bits(32, 8),
        Bits(1, 32),
        Bits(3, 1),
        Bits(16, 16),
        Bits(1.58, 6),
    ],
    ids=str,
)
def test_without_calibration_quantised_nodes_differ_by_rounding_ties_only(bits: Bits) -> None:
    graph = network(bits)
    module = made(graph)
    model = to_onnx(graph, module, batch=None)
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    x = Image(1, 8, 8).example(16)
    expected = eager(graph, module, x)
    met = run(model, x)
    for name in expected:
        gap = np.abs(met[name] - expected[name])
        # A sum in another order can fall on the other side of a rounding tie; that is rare and one step.
        assert np.median(gap) < 1e-4
        assert gap.max() < 0.2 * np.abs(expected[name]).max()


def test_with_calibration_results_of_convolutions_are_rounded_and_close() -> None:
    graph = network(Bits(8, 8))
    module = made(graph)
    x = Image(1, 8, 8).example(64)
    made_onnx = build_onnx(graph, module, batch=None, calibration=[x.numpy()])
    expected, met = eager(graph, module, x), run(made_onnx.model, x)
    for name in expected:
        assert np.abs(met[name] - expected[name]).mean() < 0.05 * expected[name].std()
    assert {layer.output for layer in made_onnx.layers if layer.layer.endswith("conv.conv")} == {
        "uint8"
    }


def test_eight_bit_weights_are_stored_as_int8_and_nothing_else_of_them_is() -> None:
    graph = network(Bits(8, 8))
    made_onnx = build_onnx(
        graph, made(graph), batch=None, calibration=[Image(1, 8, 8).example(8).numpy()]
    )
    model = onnx.load_model_from_string(made_onnx.model)
    kinds = {item.name: item.data_type for item in model.graph.initializer}
    # 2 attentions of 2 layers, 2 shared convolution blocks of 2 layers, 2 heads of 1 layer.
    assert len(made_onnx.layers) == 10
    for layer in made_onnx.layers:
        assert layer.method == "int8"
        assert kinds[layer.weight] == onnx.TensorProto.INT8
        assert layer.weight.removesuffix(".levels") not in kinds
    assert kinds["stem.conv.weight"] == onnx.TensorProto.FLOAT


def test_the_runtime_multiplies_integers(tmp_path: Any) -> None:
    graph = network(Bits(8, 8))
    model = to_onnx(graph, made(graph), batch=1, calibration=[Image(1, 8, 8).example(8).numpy()])
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    fused = [node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node]
    assert fused.count("QLinearConv") == 4
    assert sum(kind in ("QGemm", "MatMulIntegerToFloat", "QLinearMatMul") for kind in fused) == 6


def test_a_narrow_width_uses_only_its_levels_and_says_so() -> None:
    graph = network(Bits(4, 8))
    made_onnx = build_onnx(graph, made(graph), batch=None)
    held = {
        item.name: item for item in onnx.load_model_from_string(made_onnx.model).graph.initializer
    }
    for layer in made_onnx.layers:
        assert layer.method == "simulated in int8"
        assert np.abs(onnx.numpy_helper.to_array(held[layer.weight])).max() == 7


@pytest.mark.parametrize("bits", [Bits(8, 8), Bits(1, 4)], ids=str)
def test_embeddings_and_convolutions_of_any_number_of_axes_are_narrow_too(bits: Bits) -> None:
    add = GraphBuilder({"ids": Ids(6, 11), "volume": Volume(4, 3, 4, 5)})
    (x,) = add.add(TokenEmbedding(dim=8), "ids", name="embed", bits=bits)
    (x,) = add.add(Conv(kernel=3, causal=True), x, name="text", bits=bits)
    (y,) = add.add(Conv(channels=3), "volume", name="solid", bits=bits)
    graph = add.build({"text": x, "solid": y})
    module, inputs = (
        lower(graph, seed=0).eval(),
        [item.example(2) for item in graph.inputs.values()],
    )
    made_onnx = build_onnx(graph, module, batch=None)
    assert [layer.layer for layer in made_onnx.layers] == [
        "embed.embedding",
        "text.conv",
        "solid.conv",
    ]
    assert difference(run(made_onnx.model, *inputs), eager(graph, module, *inputs)) < 1e-4


@pytest.mark.parametrize("bits", [Bits(8, 8), Bits(4, 8), Bits(2, 32)], ids=str)
@pytest.mark.parametrize(
    "op",
    [MergedLinear(), LargeKernelConv(kernel=5, small_kernels=(3,), small_dilations=(1,))],
    ids=lambda op: op.kind,
)
def test_weights_that_are_laid_together_are_rounded_as_in_training(op: Op, bits: Bits) -> None:
    def at(bits: Bits) -> tuple[Graph, nn.Module]:
        add = GraphBuilder({"image": Image(6, 8, 8)})
        (y,) = add.add(op, "image", name="together", bits=bits)
        graph = add.build({"map": y})
        return graph, settle(lower(graph, seed=0), graph)

    graph, module = at(bits)
    x = Image(6, 8, 8).example(4, torch.Generator().manual_seed(0))
    rounded, plain = eager(graph, module, x), eager(*at(FLOAT), x)
    assert difference(rounded, plain) > 1e-3
    made_onnx = build_onnx(graph, module, batch=None)
    assert {layer.method for layer in made_onnx.layers} == {"simulated in operators"}
    gap = np.abs(run(made_onnx.model, x)["map"] - rounded["map"])
    assert np.median(gap) < 1e-5
    assert gap.max() < 0.2 * np.abs(rounded["map"]).max()


def test_what_cannot_be_captured_is_named_with_its_node() -> None:
    add = GraphBuilder({"image": Image(1, 8, 8)})
    (x,) = add.add(SmallFrozen(), "image", name="stages.3.odd")
    (x,) = add.add(SmallHead(), x, name="head")
    graph = add.build({"logits": x})
    with pytest.raises(
        ExportError, match=r"at stages\.3\.odd: SmallFrozen\(\) on Image\(1, 8, 8\)"
    ):
        to_onnx(graph, lower(graph, seed=0), batch=1)


def test_a_module_of_another_graph_is_refused() -> None:
    with pytest.raises(ExportError, match=r"it was not made of this graph"):
        to_onnx(network(), lower(classifier(), seed=0), batch=1)


def test_calibration_data_of_another_shape_is_refused() -> None:
    graph = network(Bits(8, 8))
    with pytest.raises(ExportError, match=r"image: shape \(1, 9, 9\) instead of \(1, 8, 8\)"):
        to_onnx(graph, made(graph), batch=1, calibration=[np.zeros((4, 1, 9, 9), np.float32)])
    with pytest.raises(ExportError, match="there is no calibration data"):
        to_onnx(graph, made(graph), batch=1, calibration=[])
