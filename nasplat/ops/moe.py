"""Mixtures of experts in the place of a feed-forward part.

All experts run everywhere and the cost says so: those not chosen weigh zero. Only a soft mixture runs each
expert on its slots alone.

References:
    [Lepikhin2021] D. Lepikhin et al. GShard. ICLR 2021.
    [Fedus2022] W. Fedus et al. Switch transformers. JMLR 23, 2022.
    [Jiang2024] A. Q. Jiang et al. Mixtral of experts. 2024.
    [Zhou2022] Y. Zhou et al. Mixture-of-experts with expert choice routing. NeurIPS 2022.
    [Puigcerver2024] J. Puigcerver et al. From sparse to soft mixtures of experts. ICLR 2024.
    [Qiu2024] Z. Qiu et al. Emergent mixture-of-experts. NAACL 2024.
    [Nie2024] X. Nie et al. LSH-MoE. NeurIPS 2024.
    [Yu2022] P. Yu et al. Efficient language modeling with sparse all-MLP. 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts, layout, selection
from nasplat.ops.checks import ACTIVATIONS, known, positive, whole
from nasplat.ops.ffn import GATES, hidden_width, mlp_cost
from nasplat.ops.layout import channels, positions, rank
from nasplat.ops.modules import moe as modules


@dataclass(frozen=True, kw_only=True)
class MoE(Op):
    """A mixture of experts, each an MLP; a router weighs the best few at each position [Lepikhin2021].

    A second input takes the router's place: its logits, one channel for each expert, of the layout of
    the first (routers private to a depth, a task or a time step are nodes of their own).

    Attributes:
        experts: Number of routed experts.
        top_k: Experts that count at a position, at most ``experts``. With one its weight is its
            probability [Fedus2022], with more the weights sum to one.
        width: Channels inside each expert over channels, above 0.
        shared_experts: Experts of the same width that every position uses besides.
        activation: A form of :class:`~nasplat.ops.norm.Activation`; with a gate it has no effect.
        balance: Weight of the load balance loss in training, at least 0 [Fedus2022].
        router: ``token_choice``; ``expert_choice``: experts take their best positions [Zhou2022];
            ``soft``: slots that are means of all positions [Puigcerver2024]; ``key_similarity``: by the
            experts' own widening maps [Qiu2024]; ``hashed_clusters``: ``token_choice`` on the means of
            positions that hash alike, what they differ by added [Nie2024].
        gate: Gated experts as in :class:`~nasplat.ops.ffn.GatedMLP` [Jiang2024]; ``None``: plain MLPs.
        hidden: Channels inside each expert; ``None``: by ``width``.
        bias: Whether experts have biases; the one of the narrowing maps is common to all.
        capacity: Positions (``expert_choice``) or slots (``soft``) of all experts over positions.
        bits: Signs in a hash (``hashed_clusters``; tokens only).
        mask: ``causal``: the means are over a position and those before it (``hashed_clusters``);
            ``expert_choice``, ``soft`` and ``axis = token`` are only offered with ``none``.
        axis: ``channel``; ``token``: experts are MLPs over the positions of each channel [Yu2022].
    """

    kind: ClassVar[str] = "moe_ffn"
    ROUTERS: ClassVar[tuple[str, ...]] = (
        "token_choice",
        "expert_choice",
        "soft",
        "key_similarity",
        "hashed_clusters",
    )
    AXES: ClassVar[tuple[str, ...]] = ("channel", "token")

    experts: int = 4
    top_k: int = 1
    width: float = 2
    shared_experts: int = 0
    activation: str = "gelu"
    balance: float = 0.01
    router: str = "token_choice"
    gate: str | None = None
    hidden: int | None = None
    bias: bool = True
    capacity: float = 1
    bits: int = 4
    mask: str = "none"
    axis: str = "channel"

    def _features(self, inputs: Sequence[TensorType]) -> layout.Channelled:
        """The first input; the second, if there is one, holds a logit for each expert."""
        features = layout.channelled(self, inputs[:1])
        if len(inputs) > 1:
            logits = layout.rechannelled(self._seen(features), self.experts)
            rule = f"takes logits of the type {logits} as its second input"
            expect(inputs[1:] == (logits,), self, rule, *inputs)
            rule = "takes logits only with router = token_choice and axis = channel"
            met = (self.router, self.axis) == ("token_choice", "channel")
            expect(met, self, rule, *inputs)
        return features

    def _seen(self, features: layout.Channelled) -> layout.Channelled:
        """What routers and experts see as positions and channels."""
        if self.axis == "channel":
            return features
        return Tokens(channels(features), positions(features))

    def infer(self, *inputs: TensorType) -> TensorType:
        features = self._features(inputs)
        whole(self, inputs, 1, experts=self.experts, top_k=self.top_k, bits=self.bits)
        whole(self, inputs, 0, shared_experts=self.shared_experts)
        positive(self, inputs, width=self.width, capacity=self.capacity)
        if self.hidden is not None:
            whole(self, inputs, 1, hidden=self.hidden)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        if self.gate is not None:
            known(self, inputs, (*GATES, "polynomial"), gate=self.gate)
        known(self, inputs, self.ROUTERS, router=self.router)
        known(self, inputs, self.AXES, axis=self.axis)
        known(self, inputs, ("none", "causal"), mask=self.mask)
        if self.top_k > self.experts:
            rule = f"needs top_k ({self.top_k}) to be at most experts ({self.experts})"
            expect(False, self, rule, *inputs)
        expect(self.balance >= 0, self, "needs balance >= 0", *inputs)
        across = self.router in ("expert_choice", "soft") or self.axis == "token"
        rule = "mixes all positions and cannot be causal"
        expect(self.mask == "none" or not across, self, rule, *inputs)
        rule = "clusters Tokens, by their channels"
        clustered = isinstance(features, Tokens) and self.axis == "channel"
        expect(self.router != "hashed_clusters" or clustered, self, rule, *inputs)
        rule = "has token_choice experts over positions"
        expect(self.axis == "channel" or self.router == "token_choice", self, rule, *inputs)
        return features

    def _slots(self, seen: layout.Channelled) -> int:
        """Positions or slots of each expert."""
        places = positions(seen)
        return min(places, max(1, round(self.capacity * places / self.experts)))

    def _width(self, seen: layout.Channelled) -> int:
        return hidden_width(channels(seen), self.width, self.hidden)

    def call(self, *inputs: TensorType) -> Call:
        features = self._features(inputs)
        seen = self._seen(features)
        hidden = self._width(seen)
        arguments: dict[str, Any] = {
            "channels": channels(seen),
            "experts": self.experts,
            "top_k": self.top_k,
            "hidden": hidden,
            "shared": self.shared_experts * hidden,
            "activation": self.gate or self.activation,
            "balance": self.balance,
            "gated": self.gate is not None,
            "bias": self.bias,
        }
        if self.router == "soft":
            for name in ("top_k", "balance"):
                del arguments[name]
            soft = {"slots": self._slots(seen), "rank": rank(features)}
            return Call(modules.SoftMoE, arguments | soft)
        if self.router == "hashed_clusters":
            hashed = {"bits": self.bits, "causal": self.mask == "causal"}
            return Call(modules.ClusteredMoE, arguments | hashed)
        if self.axis == "token":
            return Call(modules.TokenMoE, arguments | {"rank": rank(features)})
        routed: dict[str, Any] = {"rank": rank(features), "router": self.router}
        if len(inputs) > 1:
            routed["router"] = "given"
        if self.router == "expert_choice":
            routed["chosen"] = self._slots(seen)
        return Call(modules.MoE, arguments | routed)

    def cost(self, *inputs: TensorType) -> OpCost:
        seen = self._seen(self._features(inputs))
        width, places, hidden = channels(seen), positions(seen), self._width(seen)
        total = self._experts(width, hidden * self.shared_experts, places)
        if self.router == "soft":
            slots = self._slots(seen) * self.experts
            total += counts.pointwise(width, slots, places, bias=False) + counts.vector(1)
            total += counts.product(places, width, slots, 2)
            for _ in range(self.experts):
                total += self._experts(width, hidden, self._slots(seen))
            return total
        total += self._experts(width, self.experts * hidden, places)
        if self.router == "hashed_clusters":
            total += counts.product(places, places, width)
        if self.router == "key_similarity":
            total += counts.product(places, width, self.experts)
        elif len(inputs) == 1:
            total += counts.pointwise(width, self.experts, places, bias=False)
        return total

    def _experts(self, width: int, hidden: int, places: int) -> OpCost:
        """MLPs with ``hidden`` channels together; none without channels."""
        if not hidden:
            return OpCost()
        total = mlp_cost(width, hidden, places, self.bias)
        if self.gate is not None:
            total += counts.pointwise(width, hidden, places, self.bias)
        return total + counts.activation(self.gate or self.activation)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading hidden channels of the leading experts."""
        if not isinstance(larger, MoE):
            raise TypeError(f"{larger} is no mixture of experts")
        index = selection.leading(small)
        axis = {"up": 0, "gate": 0, "down": 1}.get(name.removeprefix("inner.").partition(".")[0])
        if axis is not None and (axis == 0 or len(small) > 1):
            index[axis] = selection.blocks(small[axis], self.experts, large[axis], larger.experts)
        return tuple(index)
