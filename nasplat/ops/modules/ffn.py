"""Feed-forward layers of images, ``(B, C, H, W)``, and tokens, ``(B, L, C)``; they know nothing of ops.

References:
    [Shazeer2020] N. Shazeer. GLU variants improve transformer. 2020.
    [Fedus2022] W. Fedus et al. Switch transformers. JMLR 23, 2022.
    [Lepikhin2021] D. Lepikhin et al. GShard. ICLR 2021.
"""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.common import make_activation, make_pointwise


class MLP(nn.Module):
    """Widen, activate, narrow.

    Args:
        channels: Channels of the input and of the output.
        hidden: Channels inside.
        activation: Form of the activation.
        image: Whether the input is an image, else tokens.
    """

    def __init__(self, channels: int, hidden: int, activation: str, image: bool) -> None:
        super().__init__()
        self.up = make_pointwise(channels, hidden, image)
        self.activation = make_activation(activation)
        self.down = make_pointwise(hidden, channels, image)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.activation(self.up(x)))


class GatedMLP(nn.Module):
    """Widen twice, multiply one by the activation of the other, narrow [Shazeer2020].

    Args:
        channels: Channels of the input and of the output.
        hidden: Channels inside.
        gate: ``"glu"`` (sigmoid), ``"geglu"`` (GELU) or ``"swiglu"`` (SiLU).
        image: Whether the input is an image, else tokens.
    """

    def __init__(self, channels: int, hidden: int, gate: str, image: bool) -> None:
        super().__init__()
        gates: dict[str, type[nn.Module]] = {
            "glu": nn.Sigmoid,
            "geglu": nn.GELU,
            "swiglu": nn.SiLU,
        }
        self.gate = make_pointwise(channels, hidden, image)
        self.up = make_pointwise(channels, hidden, image)
        self.activation = gates[gate]()
        self.down = make_pointwise(hidden, channels, image)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.activation(self.gate(x)) * self.up(x))


class DepthwiseMLP(nn.Module):
    """Widen, convolve each channel, activate, narrow; images only."""

    def __init__(self, channels: int, hidden: int, kernel: int, activation: str) -> None:
        super().__init__()
        self.up = nn.Conv2d(channels, hidden, 1)
        self.spatial = nn.Conv2d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden)
        self.activation = make_activation(activation)
        self.down = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.activation(self.spatial(self.up(x))))


class MoE(nn.Module):
    """A mixture of experts: a router weighs small MLPs, the best ``top_k`` at each position count.

    All experts run on all positions and those not chosen weigh zero: nothing depends on the data but
    the weights, so that an export is exact at any batch. The hidden channels of the experts stand side
    by side in one widening and one narrowing map; the bias of the narrowing one is common to all.

    In training ``auxiliary_loss`` is the load balance loss of the last forward pass: ``balance * E *
    sum(share * probability)`` over the ``E`` experts [Fedus2022], where ``share`` is the part of choices
    that fell on an expert; it is ``balance`` at perfect balance. Otherwise it is ``None``.

    Args:
        channels: Channels of the input and of the output.
        experts: Number of routed experts.
        top_k: Experts that count at a position. With one its weight is its probability [Fedus2022],
            with more the weights sum to one [Lepikhin2021].
        hidden: Channels inside each expert.
        shared: Channels inside the expert that every position uses, 0 for none.
        activation: Form of the activation.
        balance: Weight of the auxiliary loss.
        image: Whether the input is an image, else tokens.
    """

    def __init__(
        self,
        channels: int,
        experts: int,
        top_k: int,
        hidden: int,
        shared: int,
        activation: str,
        balance: float,
        image: bool,
    ) -> None:
        super().__init__()
        self.experts, self.top_k = experts, top_k
        self.balance = balance
        self.axis = 1 if image else 2
        self.router = make_pointwise(channels, experts, image, bias=False)
        self.up = make_pointwise(channels, experts * hidden, image)
        self.activation = make_activation(activation)
        self.down = make_pointwise(experts * hidden, channels, image)
        self.shared = MLP(channels, shared, activation, image) if shared else None
        self.auxiliary_loss: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        probability = self.router(x).softmax(self.axis)
        best, chosen = probability.topk(self.top_k, self.axis)
        if self.top_k > 1:
            best = best / best.sum(self.axis, keepdim=True)
        weight = torch.zeros_like(probability).scatter(self.axis, chosen, best)
        if self.training:
            self.auxiliary_loss = self._imbalance(probability, weight)
        elif self.auxiliary_loss is not None:
            self.auxiliary_loss = None
        hidden = self.activation(self.up(x)).unflatten(self.axis, (self.experts, -1))
        hidden = hidden * weight.unsqueeze(self.axis + 1)
        y = self.down(hidden.flatten(self.axis, self.axis + 1))
        return y if self.shared is None else y + self.shared(x)

    def __getstate__(self) -> dict[str, object]:
        """Copies and pickles leave the loss behind: it belongs to the graph of one backward pass."""
        return {**self.__dict__, "auxiliary_loss": None}

    def _imbalance(self, probability: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        others = [axis for axis in range(probability.dim()) if axis != self.axis]
        share = (weight.detach() > 0).to(probability).mean(others) / self.top_k
        return self.balance * self.experts * (share * probability.mean(others)).sum()
