"""Rounding after training: a model learns in floating point and is rounded for every score.

References:
    [Nagel2019] M. Nagel et al. Data-free quantization through weight equalization and bias correction.
        ICCV 2019.
    [Li2023] Z. Li et al. RepQ-ViT: scale reparameterization for post-training quantization of vision
        transformers. ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor, nn

from nasplat.evaluate.rescale import equalise, fold_scales, quantised_layers
from nasplat.graph.fake_quant import ActivationQuantiser, QuantLayer
from nasplat.tasks.base import Task

CALIBRATION_BATCHES = 4
"""Batches on which ranges are measured."""
CALIBRATION_EXAMPLES = 64
"""Examples in each of them, at most."""


class PostTraining:
    """Turns the rounding of a model off while it learns, and on when it is scored.

    Args:
        module: Its rounding is turned off.
        task: Gives examples for calibration.
        scheme: ``ptq``: ranges of activations are measured on training examples; ``reparameterised``: the
            same after scales of channels have moved from norms into the layers behind them [Li2023];
            ``data_free``: ranges of channels are made even between layers, those of activations measured
            on noise, and the mean error of each layer is taken from its bias [Nagel2019].
        device: Where the model is.
    """

    def __init__(self, module: nn.Module, task: Task, scheme: str, device: torch.device) -> None:
        self.module, self.task, self.scheme, self.device = module, task, scheme, device
        self.layers = quantised_layers(module)
        self._round(False)

    def _round(self, on: bool) -> None:
        for layer in self.layers:
            layer.rounding = on

    def _examples(self) -> list[tuple[Tensor, ...]]:
        """Inputs for calibration: examples of the task, or noise of their types."""
        size = min(CALIBRATION_EXAMPLES, self.task.evaluation_batch)
        if self.scheme == "data_free":
            draw = torch.Generator().manual_seed(0)
            inputs = [
                tuple(item.example(size, draw) for item in self.task.inputs.values())
                for _ in range(CALIBRATION_BATCHES)
            ]
        else:
            batches = self.task.batches("train", size)
            inputs = [batch.inputs for batch in islice(batches, CALIBRATION_BATCHES)]
        return [tuple(x.to(self.device) for x in item) for item in inputs]

    @torch.no_grad()
    def settle(self) -> None:
        """Round the model as it is now, for good: it is set to evaluation."""
        self.module.eval()
        if not self.layers:
            return
        examples = self._examples()
        if self.scheme == "data_free":
            equalise(self.module)
        elif self.scheme == "reparameterised":
            fold_scales(self.module, examples)
        wanted = self._means(examples) if self.scheme == "data_free" else []
        self._round(True)
        self._calibrate(examples)
        if not wanted:
            return
        for layer, right, met in zip(self._biased(), wanted, self._means(examples), strict=True):
            layer.get_parameter("bias").add_(right - met)

    def _calibrate(self, examples: list[tuple[Tensor, ...]]) -> None:
        """Measure the range of every rounded activation: the mean over batches of their ends."""
        quantisers = [
            item for item in self.module.modules() if isinstance(item, ActivationQuantiser)
        ]
        for item in quantisers:
            item.batches = torch.zeros_like(item.batches)
            item.train()
        kept = [item.momentum for item in quantisers]
        try:
            for index, inputs in enumerate(examples):
                for item in quantisers:
                    item.momentum = 1.0 / (index + 1)
                self.module(*inputs)
        finally:
            for item, momentum in zip(quantisers, kept, strict=True):
                item.momentum = momentum
                item.eval()

    def _biased(self) -> list[QuantLayer]:
        """The layers whose mean can be mended."""
        names = [dict(layer.named_parameters(recurse=False)) for layer in self.layers]
        return [layer for layer, own in zip(self.layers, names, strict=True) if "bias" in own]

    def _means(self, examples: list[tuple[Tensor, ...]]) -> list[Tensor]:
        """The mean of every channel that each of these layers gives."""
        layers = self._biased()
        sums = [torch.zeros_like(layer.get_parameter("bias")) for layer in layers]
        counts = [0] * len(layers)

        def note(index: int, output: Tensor) -> None:
            axis = -1 if isinstance(layers[index], nn.Linear) else 1
            sums[index] += output.movedim(axis, -1).flatten(0, -2).mean(0)
            counts[index] += 1

        hooks = [
            layer.register_forward_hook(lambda _, __, output, at=index: note(at, output))
            for index, layer in enumerate(layers)
        ]
        try:
            for inputs in examples:
                self.module(*inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return [total / max(1, count) for total, count in zip(sums, counts, strict=True)]

    @contextmanager
    def rounded(self) -> Iterator[None]:
        """The model rounded for a while; afterwards every weight is what it was."""
        training = self.module.training
        kept = {name: value.clone() for name, value in self.module.state_dict().items()}
        try:
            self.settle()
            yield
        finally:
            self.module.load_state_dict(kept)
            self._round(False)
            self.module.train(training)
