"""The conformance suite of ops: what every op must keep to, the library's and yours.

Inherit from :class:`OpConformance` in a test file and give the cases::

    class TestMyOp(OpConformance):
        cases = (Case(MyOp(width=2), Image(8, 4, 4)), Case(MyOp(width=3), Image(12, 4, 4)))
        refused = (Case(MyOp(), Vector(8)), Case(MyOp(width=0), Image(8, 4, 4)))
        larger = ((Case(MyOp(width=2), Image(8, 4, 4)), Case(MyOp(width=3), Image(12, 4, 4))),)
        golden = ((Case(MyOp(width=2), Image(8, 4, 4)), 144, 2048),)

Every test runs over all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nasplat.errors import GraphTypeError
from nasplat.graph.op import Index, Op
from nasplat.graph.serialise import op_from_settings
from nasplat.graph.types import TensorType

TOLERANCE = 1e-4
"""Largest difference between a module and its export, absolute and relative."""
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)
"""Layers whose weights have the bit width of their node."""


class Case:
    """An op and the types of its inputs."""

    def __init__(self, op: Op, *inputs: TensorType) -> None:
        self.op = op
        self.inputs = inputs

    def __str__(self) -> str:
        return f"{self.op}-{'-'.join(str(item) for item in self.inputs)}"

    @property
    def outputs(self) -> tuple[TensorType, ...]:
        """The inferred types, one or more."""
        inferred = self.op.infer(*self.inputs)
        return inferred if isinstance(inferred, tuple) else (inferred,)

    def module(self, seed: int = 0) -> nn.Module:
        """The module with seeded weights; numbers that start out equal are stirred."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.op.module(*self.inputs)
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
        return module

    def examples(self, batch: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
        """Seeded inputs."""
        generator = torch.Generator().manual_seed(seed)
        return tuple(item.example(batch, generator) for item in self.inputs)


def results(output: torch.Tensor | Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The output or outputs of a module as a list."""
    return [output] if isinstance(output, torch.Tensor) else list(output)


def _meta(case: Case) -> tuple[nn.Module, list[torch.Tensor]]:
    with torch.device("meta"):
        module = case.op.module(*case.inputs).eval()
        return module, [torch.empty_like(x, device="meta") for x in case.examples(1)]


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in module.state_dict().items() if value.dim() > 0}


def _size(index: Index, length: int) -> int:
    if isinstance(index, slice):
        return len(range(*index.indices(length)))
    if not all(0 <= position < length for position in index) or len(set(index)) != len(index):
        raise AssertionError(f"{index} does not pick distinct positions out of {length}")
    return len(index)


def _export(case: Case, batch: int) -> tuple[nn.Module, tuple[torch.Tensor, ...], Any]:
    dynamic = torch.export.Dim("batch", min=1, max=4096)
    inputs = case.examples(batch)
    return _Caller(case.module()).eval(), inputs, (tuple({0: dynamic} for _ in inputs),)


class _Caller(nn.Module):
    """Calls a module with several inputs, whatever the names of its parameters."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.module(*inputs)


class OpConformance:
    """Inherit, give the cases, and pytest runs the suite.

    Attributes:
        cases: Ops with inputs that they take.
        refused: Ops with inputs, or with fields, that they refuse.
        larger: Pairs of a case and one that contains its parameters.
        golden: Cases with their numbers of parameters and multiply-accumulates.
        tolerance: Largest difference between the module and its exports.
    """

    cases: ClassVar[tuple[Case, ...]] = ()
    refused: ClassVar[tuple[Case, ...]] = ()
    larger: ClassVar[tuple[tuple[Case, Case], ...]] = ()
    golden: ClassVar[tuple[tuple[Case, int, int], ...]] = ()
    tolerance: ClassVar[float] = TOLERANCE

    def test_cases_refusals_and_golden_numbers_are_given(self) -> None:
        assert self.cases, "give at least one case"
        assert self.refused, "give at least one refusal: some type or field the op does not take"
        assert self.golden, "give a golden line: a case, its parameters, its multiply-accumulates"

    def test_a_golden_line_holds(self) -> None:
        for case, params, macs in self.golden:
            cost = case.op.cost(*case.inputs)
            assert (cost.params, cost.macs) == (params, macs), str(case)

    def test_wrong_types_and_fields_raise_and_the_message_names_op_and_types(self) -> None:
        for case in self.refused:
            with pytest.raises(GraphTypeError) as caught:
                case.op.infer(*case.inputs)
            message = str(caught.value)
            assert type(case.op).__name__ in message
            for item in case.inputs:
                assert str(item) in message

    def test_an_op_is_frozen_and_hashable_and_equal_by_value(self) -> None:
        for case in self.cases:
            op = case.op
            again = type(op)(**{item.name: getattr(op, item.name) for item in fields(op)})  # type: ignore[arg-type]  # ops are dataclasses
            assert again == op and hash(again) == hash(op)
            for item in fields(op):  # type: ignore[arg-type]  # the same
                with pytest.raises(FrozenInstanceError):
                    setattr(op, item.name, None)

    def test_settings_survive_json(self) -> None:
        for case in self.cases:
            settings = json.loads(json.dumps(case.op.settings()))
            assert op_from_settings(type(case.op), settings, "here") == case.op

    def test_constructor_arguments_are_literals(self) -> None:
        for case in self.cases:
            arguments = case.op.call(*case.inputs).arguments
            assert eval(repr(dict(arguments)), {"__builtins__": {}}) == dict(arguments)

    def test_forward_gives_the_inferred_shapes_at_any_batch(self) -> None:
        for case in self.cases:
            module = case.module().eval()
            for batch in (1, 3):
                with torch.no_grad():
                    outputs = results(module(*case.examples(batch)))
                shapes = [tuple(output.shape) for output in outputs]
                assert shapes == [(batch, *item.shape) for item in case.outputs], str(case)
                assert all(output.isfinite().all() for output in outputs), str(case)

    def test_an_example_does_not_depend_on_its_batch(self) -> None:
        for case in self.cases:
            module = case.module().eval()
            inputs = case.examples(3)
            with torch.no_grad():
                together = results(module(*inputs))
                alone = results(module(*(x[1:2] for x in inputs)))
            for many, one in zip(together, alone, strict=True):
                torch.testing.assert_close(many[1:2], one, atol=1e-4, rtol=1e-4, msg=str(case))

    def test_forward_leaves_its_inputs_alone(self) -> None:
        for case in self.cases:
            inputs = case.examples(2)
            kept = [x.clone() for x in inputs]
            case.module().train()(*inputs)
            assert all(torch.equal(x, before) for x, before in zip(inputs, kept, strict=True))

    def test_backward_gives_every_parameter_a_finite_gradient(self) -> None:
        for case in self.cases:
            module = case.module().train()
            outputs = results(module(*case.examples(3)))
            learned = [output for output in outputs if output.is_floating_point()]
            total = sum((output * torch.randn_like(output)).sum() for output in learned)
            if not any(True for _ in module.parameters()):
                continue
            total.backward()  # type: ignore[union-attr]  # there is at least one output
            for name, parameter in module.named_parameters():
                assert parameter.grad is not None, f"{case}: {name} has no gradient"
                assert parameter.grad.isfinite().all(), f"{case}: {name}"

    def test_cost_equals_the_module_and_torchs_counter(self) -> None:
        for case in self.cases:
            cost = case.op.cost(*case.inputs)
            module, inputs = _meta(case)
            assert cost.params == sum(item.numel() for item in module.parameters()), str(case)
            layers = [item for item in module.modules() if isinstance(item, LAYERS)]
            assert cost.weights == sum(item.weight.numel() for item in layers), str(case)
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                module(*inputs)
            assert 2 * cost.macs == counter.get_total_flops(), str(case)

    def test_the_output_is_zero_where_the_op_says_so(self) -> None:
        for case in self.cases:
            if case.op.is_zero(*case.inputs):
                for output in results(case.module().eval()(*case.examples(2))):
                    assert not output.any(), str(case)

    def test_zeros_stay_zero_where_the_op_says_so(self) -> None:
        """Whatever the weights are: shifts that are zero at first are learned later."""
        for case in self.cases:
            if case.op.keeps_zero:
                module = case.module().eval()
                with torch.no_grad():
                    for weight in module.parameters():
                        weight.add_(torch.rand_like(weight))
                for output in results(module(*(torch.zeros_like(x) for x in case.examples(2)))):
                    assert not output.any(), str(case)

    def test_zeros_may_be_left_out_where_the_op_says_so(self) -> None:
        for case in self.cases:
            if case.op.drops_zero and len(case.inputs) > 1:
                x, *others = case.examples(2)
                many = case.module().eval()(x, *(torch.zeros_like(other) for other in others))
                alone = case.op.module(case.inputs[0]).eval()(x)
                torch.testing.assert_close(many, alone, msg=str(case))

    def test_nested_uses_flatten_where_the_op_says_so(self) -> None:
        for case in self.cases:
            if case.op.associative and len(set(case.inputs)) == 1:
                first = case.inputs[0]
                x, y, z = Case(case.op, first, first, first).examples(2)
                two, three = case.op.module(first, first), case.op.module(first, first, first)
                torch.testing.assert_close(two(two(x, y), z), three(x, y, z), msg=str(case))

    def test_an_identity_hands_on_its_input(self) -> None:
        for case in self.cases:
            if case.op.is_identity(*case.inputs):
                (x,) = case.examples(2)
                assert torch.equal(results(case.module().eval()(x))[0], x), str(case)

    def test_inputs_commute_where_the_op_says_so(self) -> None:
        for case in self.cases:
            if case.op.commutes and len(set(case.inputs)) == 1:
                module, inputs = case.module().eval(), case.examples(2)
                torch.testing.assert_close(module(*inputs), module(*reversed(inputs)))

    def test_a_pure_op_has_no_parameters(self) -> None:
        for case in self.cases:
            if case.op.pure:
                assert case.op.cost(*case.inputs).params == 0, str(case)

    def test_parameters_of_a_smaller_op_sit_inside_the_larger(self) -> None:
        for small, large in self.larger:
            inner, outer = _state(small.module()), _state(large.module(seed=1))
            assert set(inner) <= set(outer), f"{small} in {large}"
            for name, value in inner.items():
                source = outer[name]
                index = small.op.select(name, tuple(value.shape), tuple(source.shape), large.op)
                shape = [_size(part, source.shape[i]) for i, part in enumerate(index)]
                assert shape == list(value.shape), f"{name} of {small} in {large}: {index}"

    def test_an_op_selects_all_of_its_own_parameters(self) -> None:
        for case in self.cases:
            for name, value in _state(case.module()).items():
                shape = tuple(value.shape)
                index = case.op.select(name, shape, shape, case.op)
                for axis, part in enumerate(index):
                    chosen = list(range(shape[axis]))[part] if isinstance(part, slice) else part
                    assert chosen == list(range(shape[axis])), f"{name} of {case}"

    def test_the_module_exports_with_a_dynamic_batch(self) -> None:
        for case in self._distinct():
            module, inputs, shapes = _export(case, 2)
            program = torch.export.export(module, inputs, dynamic_shapes=shapes)
            other = case.examples(3, seed=1)
            for got, wanted in self._pairs(program.module()(*other), module(*other)):
                torch.testing.assert_close(got, wanted, atol=self.tolerance, rtol=self.tolerance)

    def test_an_op_that_cannot_be_exported_to_onnx_says_why(self) -> None:
        for case in self.cases:
            reason = case.op.onnx_reason
            assert not reason or len(reason.split()) >= 4, f"{case}: say why in a sentence"

    @pytest.mark.slow
    @pytest.mark.filterwarnings(
        # Torch's exporter warns of its own internals and of dynamic axes that it finds equal.
        "ignore::FutureWarning",
        "ignore:# The axis name:UserWarning",
    )
    def test_the_module_runs_the_same_in_onnx_runtime(self, tmp_path: Path) -> None:
        import onnxruntime

        for case in self.cases:
            if case.op.onnx_reason:
                continue
            module, inputs, shapes = _export(case, 2)
            program = torch.onnx.export(
                module, inputs, dynamo=True, dynamic_shapes=shapes, verbose=False
            )
            assert program is not None
            file = tmp_path / "module.onnx"
            program.save(file, external_data=False)
            session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
            for batch in (1, 3):
                other = case.examples(batch, seed=1)
                feed = {
                    item.name: x.numpy()
                    for item, x in zip(session.get_inputs(), other, strict=True)
                }
                for got, wanted in self._pairs(session.run(None, feed), module(*other)):
                    torch.testing.assert_close(
                        torch.from_numpy(got), wanted, atol=self.tolerance, rtol=self.tolerance
                    )

    def _distinct(self) -> Iterator[Case]:
        """The first case of each op class: exporting takes a while."""
        seen = set()
        for case in self.cases:
            if type(case.op) not in seen:
                seen.add(type(case.op))
                yield case

    @staticmethod
    def _pairs(got: Any, wanted: Any) -> Iterator[tuple[Any, torch.Tensor]]:
        outputs = list(got) if isinstance(got, list | tuple) else [got]
        yield from zip(outputs, (item.detach() for item in results(wanted)), strict=True)
