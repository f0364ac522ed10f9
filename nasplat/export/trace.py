"""One torch module to a small ONNX graph: the only file that touches torch's exporter.

Exporting a module through ``torch.onnx.export`` costs half a second before the first operator: it builds
its table of translations anew and traces everything a second time to decompose it. Here the table is
built once, and what needs no decomposition is translated as captured. That uses three functions that
torch keeps private; where a version of torch has moved them, the public function does the same, slower.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import operator
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import onnx
import onnx_ir as ir
import torch
from onnxscript import optimizer
from torch import nn

OPSET = 18
"""Version of the ONNX operator set that every artefact uses; what torch's translations are written in."""

_TALKATIVE = ("torch", "torch.onnx", "torch.export", "onnxscript", "onnx_ir")
_SCOPES = "pkg.torch.onnx.name_scopes"


def trace(module: nn.Module, examples: Sequence[torch.Tensor], *, dynamic: bool) -> ir.Model:
    """Capture a module in evaluation mode and translate it.

    Args:
        module: Takes one tensor for each example; its mode is left as it was.
        examples: Inputs with the batch on axis 0; at least 2 examples in the batch when ``dynamic``.
        dynamic: Whether the batch axis stays open.

    Returns:
        The model, constants folded, its initialisers named as in the module's ``state_dict`` and kept
        as separate tensors.

    Raises:
        Exception: Whatever torch raises for what it cannot capture or translate.
    """
    training = module.training
    shapes = _open_batch(module, len(examples)) if dynamic else None
    with quiet(), torch.no_grad():
        module.eval()
        try:
            program = torch.export.export(
                module, tuple(examples), dynamic_shapes=shapes, strict=False
            )
            model = _translate(program)
        finally:
            module.train(training)
        weights = {name: value.const_value for name, value in model.graph.initializers.items()}
        stored = {name for name, _ in _state(module)}
        for name, value in model.graph.initializers.items():
            if name in stored:
                value.const_value = None  # not folded: a fragment is used with other weights too
        if model.functions:
            optimizer.inline(model)
        # Whatever else an optimiser finds, the runtime finds too, and a hundred times faster.
        optimizer.fold_constants(model)
        optimizer.remove_unused_nodes(model)
        for name, value in model.graph.initializers.items():
            if value.const_value is None:
                value.const_value = weights[name]
    return model


def scopes(node: onnx.NodeProto) -> str:
    """The sub-modules in which an operator was captured, as torch wrote them; empty if unknown."""
    return next((item.value for item in node.metadata_props if item.key == _SCOPES), "")


def _state(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what torch and onnxscript say while they export; errors still arrive as exceptions."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _open_batch(module: nn.Module, inputs: int) -> tuple[Any, ...]:
    """An open first axis for every input; those of ``forward(*xs)`` count as one nested argument."""
    axes = tuple({0: torch.export.Dim("batch")} for _ in range(inputs))
    kinds = [item.kind for item in inspect.signature(module.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return axes
    named = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return (*axes[:named], axes[named:]) if inputs > named else axes


def _translate(program: torch.export.ExportedProgram) -> ir.Model:
    direct = _direct_translation()
    if direct is None:
        made = torch.onnx.export(
            program,
            (),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            optimize=False,
            verbose=False,
            custom_translation_table={torch.ops.aten.conv3d.default: _conv3d},
        )
        assert made is not None  # only the legacy exporter returns nothing
        return made.model
    return direct(program)


@lru_cache(maxsize=1)
def _direct_translation() -> Callable[[torch.export.ExportedProgram], ir.Model] | None:
    """The short way through torch's exporter, or ``None`` where this torch does not have it."""
    try:
        from torch.onnx._internal.exporter import _core, _fx_passes, _registration

        registry: Any = _registration.ONNXRegistry.from_torchlib()
        registry.register_op(torch.ops.aten.batch_norm.default, _batch_norm)
        registry.register_op(torch.ops.aten.square.default, _square)
        registry.register_op(torch.ops.aten.conv3d.default, _conv3d)
        prepare = _core._prepare_exported_program_for_export
        promote = _fx_passes.insert_type_promotion_nodes
        convert = _core._exported_program_to_onnx_program
    except (ImportError, AttributeError, TypeError):
        return None

    def translate(program: torch.export.ExportedProgram) -> ir.Model:
        if _is_direct(program.graph_module, registry):
            promote(program.graph_module)
        else:
            program = prepare(program, registry=registry)
        return convert(program, registry=registry).model

    return translate


def _is_direct(captured: torch.fx.GraphModule, registry: Any) -> bool:
    """Whether every call has a translation as it stands and none writes into its arguments."""
    if any(isinstance(child, torch.fx.GraphModule) for child in captured.children()):
        return False
    for node in captured.graph.nodes:
        if node.op == "call_function" and node.target is not operator.getitem:
            schema = getattr(node.target, "_schema", None)
            if not registry.is_registered(node.target) or (schema and schema.is_mutable):
                return False
            if node.target is torch.ops.aten.batch_norm.default:
                weight, bias, training = node.args[1], node.args[2], node.args[5]
                if weight is None or bias is None or training:
                    return False
    return True


def _batch_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    """Batch normalisation with its stored statistics; torch translates only what it decomposes into."""
    from onnxscript import opset18

    return opset18.BatchNormalization(input, weight, bias, running_mean, running_var, epsilon=eps)


def _square(self: Any) -> Any:
    """A square; torch translates only what it decomposes into."""
    from onnxscript import opset18

    return opset18.Mul(self, self)


def _conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> Any:
    """A convolution over three axes; torch's translation gives one without bias a bias of two axes."""
    from onnxscript import opset18

    return opset18.Conv(
        input,
        weight,
        bias,
        strides=list(stride),
        pads=[*padding, *padding],
        dilations=list(dilation),
        group=groups,
    )
