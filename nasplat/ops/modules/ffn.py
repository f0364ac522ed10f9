"""Feed-forward layers on tensors of any layout; they know nothing of ops.

Shapes: maps are ``(B, C, *axes)`` with ``rank`` position axes, tokens ``(B, L, C)`` and vectors ``(B, C)``
have rank 0: their channels are the last axis.

References:
    [Shazeer2020] N. Shazeer. GLU variants improve transformer. 2020.
    [Wang2023] H. Wang et al. Magneto: a foundation transformer. ICML 2023.
    [Yu2023] Y. Yu et al. White-box transformers via sparse rate reduction. NeurIPS 2023.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.common import linear_with, make_activation
from nasplat.ops.modules.norm import make_norm


class MLP(nn.Module):
    """Widen, activate, narrow; with more than two maps the inner ones keep the hidden width.

    Args:
        channels: Channels of the input and of the output.
        hidden: Channels inside.
        activation: Form of the activation.
        rank: Position axes behind the channels, 0 where the channels are last.
        depth: Linear maps, at least 2.
        bias: Whether the maps have biases.
        norm: Normalisation before the narrowing map: a form of ``make_norm``.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        activation: str,
        rank: int,
        depth: int = 2,
        bias: bool = True,
        norm: str = "none",
    ) -> None:
        super().__init__()
        self.up = make_channel_map(channels, hidden, rank, bias)
        self.activation = make_activation(activation)
        self.inner = nn.Sequential()
        for _ in range(depth - 2):
            self.inner.append(make_channel_map(hidden, hidden, rank, bias))
            self.inner.append(make_activation(activation))
        self.norm = make_norm(norm, hidden, rank=rank)
        self.down = make_channel_map(hidden, channels, rank, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.norm(self.inner(self.activation(self.up(x)))))


class SpatialConv(nn.Module):
    """A convolution of each channel along the positions; the length of every axis stays.

    Args:
        channels: Number of channels.
        kernel: Odd side of the kernel.
        rank: Position axes behind the channels, 1 to 3; 0: tokens, along their only axis.
        causal: Whether a token sees only itself and those before it; tokens and series.
    """

    def __init__(self, channels: int, kernel: int, rank: int, causal: bool = False) -> None:
        super().__init__()
        kinds: dict[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {
            0: nn.Conv1d,
            1: nn.Conv1d,
            2: nn.Conv2d,
            3: nn.Conv3d,
        }
        self.rank = rank
        self.left = kernel - 1 if causal else 0
        padding = 0 if causal else kernel // 2
        self.conv = kinds[rank](channels, channels, kernel, padding=padding, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.transpose(1, 2) if self.rank == 0 else x
        if self.left:
            y = functional.pad(y, (self.left, 0))
        y = self.conv(y)
        return y.transpose(1, 2) if self.rank == 0 else y


def make_gate(form: str) -> nn.Module:
    """Make the activation of a gate: ``glu`` (sigmoid), ``geglu``, ``swiglu``, ``reglu`` or a form itself."""
    gates: dict[str, type[nn.Module]] = {
        "glu": nn.Sigmoid,
        "geglu": nn.GELU,
        "swiglu": nn.SiLU,
        "reglu": nn.ReLU,
    }
    return gates[form]() if form in gates else make_activation(form)


class GatedMLP(nn.Module):
    """Widen twice, multiply one by the activation of the other, narrow [Shazeer2020].

    Args:
        channels: Channels of the input and of the output.
        hidden: Channels inside.
        gate: Form of the gate's activation.
        rank: Position axes behind the channels, 0 where the channels are last.
        bias: Whether the maps have biases.
        kernel: Side of a convolution of each gating channel before its activation; 0: none.
        causal: Whether that convolution sees only what is before; tokens and series.
        norm: Normalisation before the narrowing map: a form of ``make_norm``.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        gate: str,
        rank: int,
        bias: bool = True,
        kernel: int = 0,
        causal: bool = False,
        norm: str = "none",
    ) -> None:
        super().__init__()
        self.gate = make_channel_map(channels, hidden, rank, bias)
        self.up = make_channel_map(channels, hidden, rank, bias)
        self.spatial = SpatialConv(hidden, kernel, rank, causal) if kernel else nn.Identity()
        self.activation = make_gate(gate)
        self.norm = make_norm(norm, hidden, rank=rank)
        self.down = make_channel_map(hidden, channels, rank, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.activation(self.spatial(self.gate(x)))
        return self.down(self.norm(gate * self.up(x)))


class DepthwiseMLP(nn.Module):
    """Widen, convolve each channel, activate, narrow.

    Args:
        channels: Channels of the input and of the output.
        hidden: Channels inside, for each kernel.
        kernels: Odd sides; the results of several kernels stand side by side before the narrowing map.
        activation: Form of the activation.
        rank: Position axes behind the channels, 1 to 3.
        gated: Whether twice the channels are convolved and one half, activated, multiplies the other.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        kernels: tuple[int, ...],
        activation: str,
        rank: int,
        gated: bool = False,
    ) -> None:
        super().__init__()
        inside = 2 * hidden if gated else hidden
        self.up = make_channel_map(channels, inside, rank)
        kinds = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
        convolutions = [
            kinds[rank](inside, inside, kernel, padding=kernel // 2, groups=inside)
            for kernel in kernels
        ]
        if len(convolutions) == 1:
            self.spatial = convolutions[0]
        self.scales = nn.ModuleList(convolutions if len(convolutions) > 1 else [])
        self.activation = make_activation(activation)
        self.gated = gated
        self.down = make_channel_map(hidden * len(kernels), channels, rank)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.up(x)
        if len(self.scales) == 0:
            return self.down(self._activated(self.spatial(y)))
        return self.down(torch.cat([self._activated(scale(y)) for scale in self.scales], 1))

    def _activated(self, y: torch.Tensor) -> torch.Tensor:
        if not self.gated:
            return self.activation(y)
        gate, value = y.chunk(2, 1)
        return self.activation(gate) * value


class SparseCodingStep(nn.Module):
    """One step of iterative shrinkage towards a sparse code in a learned dictionary ``D`` [Yu2023].

    ``relu(x + step * D^T (x - D x) - step * threshold)``: from the code ``x`` towards a sparser one.

    Args:
        channels: Number of channels, the size of the square dictionary.
        step: Size of the step.
        threshold: Weight of sparsity.
        rank: Position axes behind the channels, 0 where the channels are last.
    """

    def __init__(self, channels: int, step: float, threshold: float, rank: int) -> None:
        super().__init__()
        self.dictionary = nn.Linear(channels, channels, bias=False)
        self.step, self.threshold, self.rank = step, threshold, rank

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        code = x.movedim(1, -1) if self.rank else x
        residual = code - self.dictionary(code)
        descent = linear_with(self.dictionary, residual, self.dictionary.weight.t())
        code = functional.relu(code + self.step * descent - self.step * self.threshold)
        return code.movedim(-1, 1) if self.rank else code
