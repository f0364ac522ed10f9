"""Mixtures of experts on tensors of any layout; they know nothing of ops.

All experts run everywhere and those not chosen weigh zero: no shape depends on the data, so that an export
is exact at any batch. Soft mixtures run each expert on its own slots.

References:
    [Fedus2022] W. Fedus et al. Switch transformers. JMLR 23, 2022.
    [Lepikhin2021] D. Lepikhin et al. GShard. ICLR 2021.
    [Zhou2022] Y. Zhou et al. Mixture-of-experts with expert choice routing. NeurIPS 2022.
    [Puigcerver2024] J. Puigcerver et al. From sparse to soft mixtures of experts. ICLR 2024.
    [Qiu2024] Z. Qiu et al. Emergent mixture-of-experts. NAACL 2024.
    [Nie2024] X. Nie et al. LSH-MoE. NeurIPS 2024.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasplat.ops.modules.channels import make_channel_map
from nasplat.ops.modules.ffn import MLP, GatedMLP, make_gate


class Experts(nn.Module):
    """Small MLPs side by side: the hidden channels of all experts in one map up and one map down.

    The bias of the narrowing map is common to all experts.

    Args:
        channels: Channels of the input and of the output.
        experts: Number of experts.
        hidden: Channels inside each expert.
        activation: Form of the activation, or of the gate.
        gated: Whether the experts are gated MLPs.
        rank: Position axes behind the channels, 0 where the channels are last.
        bias: Whether the maps have biases.
    """

    def __init__(
        self,
        channels: int,
        experts: int,
        hidden: int,
        activation: str,
        gated: bool,
        rank: int,
        bias: bool,
    ) -> None:
        super().__init__()
        self.experts = experts
        self.axis = 1 if rank else -1
        if gated:
            self.gate = make_channel_map(channels, experts * hidden, rank, bias)
        self.gated = gated
        self.up = make_channel_map(channels, experts * hidden, rank, bias)
        self.activation = make_gate(activation)
        self.down = make_channel_map(experts * hidden, channels, rank, bias)

    def mixed(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The sum of the experts' outputs, weighed by ``weight``: one number per expert and position."""
        hidden = self.activation(self.gate(x) if self.gated else self.up(x))
        if self.gated:
            hidden = hidden * self.up(x)
        axis = self.axis % x.dim()
        hidden = hidden.unflatten(axis, (self.experts, -1)) * weight.unsqueeze(axis + 1)
        return self.down(hidden.flatten(axis, axis + 1))


class MoE(Experts):
    """A router weighs small MLPs; the best ``top_k`` at each position count, or each expert's best positions.

    In training ``auxiliary_loss`` is the load balance loss of the last forward pass: ``balance * E *
    sum(share * probability)`` over the ``E`` experts [Fedus2022], where ``share`` is the part of choices
    that fell on an expert; it is ``balance`` at perfect balance. It is ``None`` in evaluation, and for
    routers that balance by themselves or learn nothing.

    A second argument takes the place of the router: logits, one for each expert and position.

    Args:
        channels: Channels of the input and of the output.
        experts: Number of routed experts.
        top_k: Experts that count at a position. With one its weight is its probability [Fedus2022],
            with more the weights sum to one [Lepikhin2021].
        hidden: Channels inside each expert.
        shared: Channels inside the expert that every position uses, 0 for none.
        activation: Form of the activation, or of the gate.
        balance: Weight of the auxiliary loss.
        rank: Position axes behind the channels, 0 where the channels are last.
        gated: Whether the experts are gated MLPs.
        bias: Whether experts have biases.
        router: ``"token_choice"``; ``"expert_choice"``: every expert takes its best ``chosen`` positions
            [Zhou2022]; ``"key_similarity"``: the score of an expert is its mean widening vector times the
            position, the best ``top_k`` count fully [Qiu2024]; ``"given"``: logits come as an argument.
        chosen: Positions that an expert takes in ``"expert_choice"``.
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
        rank: int,
        gated: bool = False,
        bias: bool = True,
        router: str = "token_choice",
        chosen: int = 0,
    ) -> None:
        super().__init__(channels, experts, hidden, activation, gated, rank, bias)
        self.top_k, self.balance, self.form, self.chosen = top_k, balance, router, chosen
        self.router = (
            make_channel_map(channels, experts, rank, bias=False)
            if router in ("token_choice", "expert_choice")
            else None
        )
        self.shared: nn.Module | None = None
        if shared and gated:
            self.shared = GatedMLP(channels, shared, activation, rank, bias)
        elif shared:
            self.shared = MLP(channels, shared, activation, rank, bias=bias)
        self.auxiliary_loss: torch.Tensor | None = None

    def forward(self, x: torch.Tensor, logits: torch.Tensor | None = None) -> torch.Tensor:
        y = self.mixed(x, self.weights(x, logits))
        return y if self.shared is None else y + self.shared(x)

    def weights(self, x: torch.Tensor, logits: torch.Tensor | None) -> torch.Tensor:
        """What each expert weighs at each position."""
        if self.auxiliary_loss is not None:
            self.auxiliary_loss = None
        if self.form == "key_similarity":
            return self._kept(self._similarity(x), ones=True)
        if self.router is not None:
            logits = self.router(x)
        if logits is None:
            raise TypeError("without a router of its own the scores come as a second input")
        probability = logits.softmax(self.axis)
        if self.form == "expert_choice":
            return self._taken(probability)
        weight = self._kept(probability)
        if self.training and self.balance:
            self.auxiliary_loss = self._imbalance(probability, weight)
        return weight

    def _kept(self, scores: torch.Tensor, ones: bool = False) -> torch.Tensor:
        """The scores of the best experts at each position, as their weights, and zero elsewhere."""
        best, chosen = scores.topk(self.top_k, self.axis)
        if ones:
            best = torch.ones_like(best)
        elif self.top_k > 1:
            best = best / best.sum(self.axis, keepdim=True)
        return torch.zeros_like(scores).scatter(self.axis, chosen, best)

    def _taken(self, probability: torch.Tensor) -> torch.Tensor:
        """The probabilities at the positions that each expert takes, and zero elsewhere."""
        flat = probability.flatten(2) if self.axis == 1 else probability.transpose(1, 2)
        best, chosen = flat.topk(self.chosen, 2)
        kept = torch.zeros_like(flat).scatter(2, chosen, best)
        return kept.view_as(probability) if self.axis == 1 else kept.transpose(1, 2)

    def _similarity(self, x: torch.Tensor) -> torch.Tensor:
        weight: torch.Tensor = self.up.get_parameter("weight")
        keys = weight.flatten(1).unflatten(0, (self.experts, -1)).mean(1)
        if self.axis == -1:
            return functional.linear(x, keys)
        return functional.linear(x.movedim(1, -1), keys).movedim(-1, 1)

    def __getstate__(self) -> dict[str, object]:
        """Copies and pickles leave the loss behind: it belongs to the graph of one backward pass."""
        return {**self.__dict__, "auxiliary_loss": None}

    def _imbalance(self, probability: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        axis = self.axis % probability.dim()
        others = [other for other in range(probability.dim()) if other != axis]
        share = (weight.detach() > 0).to(probability).mean(others) / self.top_k
        return self.balance * self.experts * (share * probability.mean(others)).sum()


class ClusteredMoE(MoE):
    """A mixture whose router and experts see the mean of the positions that hash alike [Nie2024].

    The hash is the signs of random projections; what a position differs from its mean by is added to the
    output. The arguments are those of :class:`MoE` with ``rank`` 0, then:

    Args:
        bits: Signs in a hash.
        causal: Whether the mean is over a position and those before it.
    """

    planes: torch.Tensor

    def __init__(
        self,
        channels: int,
        experts: int,
        top_k: int,
        hidden: int,
        shared: int,
        activation: str,
        balance: float,
        gated: bool,
        bias: bool,
        bits: int,
        causal: bool,
    ) -> None:
        super().__init__(
            channels, experts, top_k, hidden, shared, activation, balance, 0, gated, bias
        )
        # Buffers are part of the state: the hash of a trained model stays its own.
        self.register_buffer("planes", torch.randn(channels, bits))
        self.causal = causal

    def forward(self, x: torch.Tensor, logits: torch.Tensor | None = None) -> torch.Tensor:
        signs = ((x.detach().unsqueeze(-1) * self.planes).sum(-2) > 0).to(x)
        alike = (signs.unsqueeze(2) == signs.unsqueeze(1)).all(-1).to(x)
        if self.causal:
            alike = alike.tril()
        mean = (alike / alike.sum(-1, keepdim=True)) @ x
        y = self.mixed(mean, self.weights(mean, logits)) + (x - mean)
        return y if self.shared is None else y + self.shared(x)


class SoftMoE(nn.Module):
    """Experts compute on slots, each a mean of all positions, and all slots weigh in [Puigcerver2024].

    Args:
        channels: Channels of the input and of the output.
        experts: Number of experts.
        slots: Slots of each expert.
        hidden: Channels inside each expert.
        shared: Channels inside the expert that every position uses, 0 for none.
        activation: Form of the activation, or of the gate.
        rank: Position axes behind the channels, 0 where the channels are last.
        gated: Whether the experts are gated MLPs.
        bias: Whether experts have biases.
    """

    def __init__(
        self,
        channels: int,
        experts: int,
        slots: int,
        hidden: int,
        shared: int,
        activation: str,
        rank: int,
        gated: bool,
        bias: bool,
    ) -> None:
        super().__init__()

        def expert(width: int, at: int) -> nn.Module:
            if gated:
                return GatedMLP(channels, width, activation, at, bias)
            return MLP(channels, width, activation, at, bias=bias)

        self.rank = rank
        self.router = nn.Linear(channels, experts * slots, bias=False)
        self.scale = nn.Parameter(torch.ones(()))
        self.experts = nn.ModuleList(expert(hidden, 0) for _ in range(experts))
        self.shared = expert(shared, rank) if shared else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2) if self.rank else x
        scores = self.scale * self.router(functional.normalize(tokens, dim=-1))
        slots = scores.softmax(1).transpose(1, 2) @ tokens
        parts = slots.chunk(len(self.experts), 1)
        outputs = [expert(part) for expert, part in zip(self.experts, parts, strict=True)]
        y = scores.softmax(2) @ torch.cat(outputs, 1)
        y = y.transpose(1, 2).reshape(x.shape) if self.rank else y
        return y if self.shared is None else y + self.shared(x)


class AcrossPositions(nn.Module):
    """A layer of tokens that sees positions as its channels and channels as its positions.

    Args:
        inner: Layer of tokens.
        rank: Position axes behind the channels, 0 where the channels are last.
    """

    def __init__(self, inner: nn.Module, rank: int) -> None:
        super().__init__()
        self.inner, self.rank = inner, rank

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.rank:
            return self.inner(x.flatten(2)).view_as(x)
        return self.inner(x.transpose(1, 2)).transpose(1, 2)


class TokenMoE(AcrossPositions):
    """A mixture whose experts mix positions: each is an MLP over all positions of a channel.

    The arguments are those of :class:`MoE`; ``channels`` is the number of positions.
    """

    def __init__(self, rank: int, **arguments: object) -> None:
        super().__init__(MoE(rank=0, **arguments), rank)  # type: ignore[arg-type]  # passed on as they are
