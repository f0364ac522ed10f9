"""Tests of the one file that touches torch's exporter."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from torch import nn

from nasplat.export import trace as trace_module
from nasplat.export.trace import OPSET, quiet, trace


class Everything(nn.Module):
    """What has a translation as it stands, what must be decomposed first, and what writes in place."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.plain_norm = nn.BatchNorm2d(3, affine=False)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.plain_norm(self.norm(x)).square()
        y: torch.Tensor = self.act(x + 1)
        y.mul_(2)
        return y + torch.log1p(x).mean((2, 3), keepdim=True)


class Solid(nn.Module):
    """Three axes without a bias: torch's own translation adds one of two axes, which no runtime takes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, (1, 3, 2), stride=(1, 2, 1), padding=(0, 1, 1), bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x[:, :, None])
        return y


def run(model: ir.Model, x: torch.Tensor) -> np.ndarray:
    session = ort.InferenceSession(
        ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return np.asarray(y)


@pytest.mark.parametrize("kind", [Everything, Solid])
@pytest.mark.parametrize("direct", [True, False], ids=["short way", "public function"])
@pytest.mark.parametrize("dynamic", [True, False], ids=["open batch", "fixed batch"])
def test_both_ways_through_the_exporter_agree_with_the_module(
    kind: type[nn.Module], direct: bool, dynamic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not direct:
        monkeypatch.setattr(trace_module, "_direct_translation", lambda: None)
    elif trace_module._direct_translation() is None:
        pytest.fail("this torch has moved what the short way needs: exports are ten times slower")
    torch.manual_seed(0)
    module = kind().eval()
    x = torch.randn(2, 3, 4, 4)
    model = trace(module, [x], dynamic=dynamic)
    assert model.opset_imports[""] == OPSET
    with torch.no_grad():
        expected = module(x).numpy()
    assert np.abs(run(model, x) - expected).max() < 1e-5


def test_the_mode_and_the_weights_of_the_module_stay() -> None:
    module = Everything().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trace(module, [torch.randn(2, 3, 4, 4)], dynamic=False)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_tracing_says_nothing_and_leaves_logging_as_it_was(
    capfd: pytest.CaptureFixture[str],
) -> None:
    level = logging.getLogger("torch").level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace(Everything().eval(), [torch.randn(2, 3, 4, 4)], dynamic=True)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert logging.getLogger("torch").level == level
    with pytest.raises(ZeroDivisionError), quiet():
        raise ZeroDivisionError
    assert logging.getLogger("torch").level == level
