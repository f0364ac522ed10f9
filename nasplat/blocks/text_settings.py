"""What the blocks of a text network decide together: mask, position, norms, linear maps, residuals.

It knows ops and how parts are put together; which values are open is a space's matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Expression
from nasplat.ops.layer_mix import SphereStep
from nasplat.ops.linear import (
    FactorisedLinear,
    HashLookupLinear,
    Linear,
    MergedLinear,
    TokenParameterAttention,
)
from nasplat.ops.merge import Add
from nasplat.ops.norm import LayerNorm, RMSNorm, UnitNorm
from nasplat.space.choose import Match
from nasplat.space.decisions import Case, Choice, domain
from nasplat.space.residual import Residual
from nasplat.space.wiring import Steps

POSITIONS = ("absolute", "rope", "alibi", "relative_bias", "none")
NORMS = ("layer", "rms", "compressed_rms", "unit")
PLACEMENTS = ("pre", "post", "sandwich", "sub_layer")
LINEARS = (
    "dense",
    "sparse",
    "low_rank",
    "dense_sparse",
    "merged_auxiliary",
    "hash_table",
    "token_parameter",
)
ACTIVATIONS = ("gelu", "gelu_tanh", "relu", "silu", "polynomial")
RESIDUALS = ("plain", "unit_sphere", "previous_layer_shortcut")
ORDERS = ("attention_ffn", "parallel_blocks")


@dataclass(frozen=True, eq=False)
class TextSettings:
    """Decisions that all blocks share, and lengths that follow from the task.

    Attributes:
        width: Channels.
        mask: ``causal``, ``none`` or ``candidate_isolating``.
        prefix: Tokens before the candidates that a mask isolates.
        segment: Tokens of such a candidate.
        position: One of ``POSITIONS``.
        rotary: Share of a head's channels that are rotated where ``position`` is ``rope``.
        rotary_base: Base of the wave lengths.
        norm: One of ``NORMS``.
        placement: One of ``PLACEMENTS``; ``sub_layer`` stands before a part and inside it.
        linear: One of ``LINEARS``: what projections are.
        activation: One of ``ACTIVATIONS``.
        bias: Whether linear maps have biases.
        residual: One of ``RESIDUALS``; a network without norms would blow up but on the unit sphere.
        order: One of ``ORDERS``.
    """

    width: Any
    mask: Any
    prefix: int
    segment: int
    position: Any
    rotary: Any
    rotary_base: float
    norm: Any
    placement: Any
    linear: Any
    activation: Any
    bias: Any
    residual: Any
    order: Any

    @property
    def decisions(self) -> tuple[Any, ...]:
        """What is decided once for the whole network."""
        return (
            *(self.width, self.mask, self.position, self.norm, self.placement, self.linear),
            *(self.activation, self.bias, self.residual, self.order),
        )

    def by(self, decision: Any, chosen: dict[Any, Any], otherwise: Any) -> Any:
        """A value for each value of a decision, ``otherwise`` for those that are not named."""
        return Case(decision, {value: chosen.get(value, otherwise) for value in domain(decision)})

    def part(
        self, decision: Any, chosen: dict[Any, Expression], otherwise: Expression
    ) -> Expression:
        """A part for each value of a decision, ``otherwise`` for those that are not named."""
        return Match(decision, {value: chosen.get(value, otherwise) for value in domain(decision)})

    @property
    def rotated(self) -> Any:
        """Share of a head's channels that are rotated."""
        return self.by(self.position, {"rope": self.rotary}, 0.0)

    @property
    def relative(self) -> Any:
        """Form of the relative bias of attention scores."""
        return self.by(self.position, {"alibi": "alibi", "relative_bias": "table"}, "none")

    @property
    def order_mask(self) -> Any:
        """The mask of mixers that know no candidates: ``causal`` or ``none``."""
        return self.by(self.mask, {"causal": "causal"}, "none")

    @property
    def inner_norm(self) -> Any:
        """Form of the normalisation inside a sub-layer."""
        return self.by(self.placement, {"sub_layer": self.norm}, "none")

    def norm_part(self) -> Expression:
        """The normalisation."""
        forms: dict[Any, Expression] = {
            "layer": LayerNorm(),
            "rms": RMSNorm(),
            "compressed_rms": RMSNorm(compressed=True),
            "unit": UnitNorm(),
        }
        return Match(self.norm, {value: forms[value] for value in domain(self.norm)})

    def norm_where(self, *placements: str) -> Expression:
        """The normalisation where the placement is one of these, else nothing; none on the sphere."""
        placed = self.part(self.placement, dict.fromkeys(placements, self.norm_part()), Steps())
        return self.part(self.residual, {"unit_sphere": Steps()}, placed)

    def merge(self) -> Expression:
        """Where what is carried meets what is learned."""
        return self.part(self.residual, {"unit_sphere": SphereStep()}, Add())

    def residual_part(self, body: Expression) -> Residual:
        """A sub-layer with its normalisation around it; steps on the sphere need none."""
        given = self.by(self.placement, {"post": "post", "sandwich": "sandwich"}, "pre")
        placement = self.by(self.residual, {"unit_sphere": "none"}, given)
        return Residual(body, norm=self.norm_part(), placement=placement, merge=self.merge())

    def map_of(self, kind: str, dim: Any) -> Expression:
        """A linear map of one kind to ``dim`` channels."""
        kinds: dict[str, Expression] = {
            "dense": Linear(dim=dim, bias=self.bias),
            "sparse": Linear(dim=dim, bias=self.bias, kept=2),
            "low_rank": FactorisedLinear(dim=dim, bias=self.bias, ratio=0.25),
            "dense_sparse": FactorisedLinear(
                dim=dim, bias=self.bias, form="dense_sparse", ratio=0.5
            ),
            "merged_auxiliary": MergedLinear(dim=dim, bias=self.bias),
            "hash_table": HashLookupLinear(dim=dim, address_bits=4),
            "token_parameter": TokenParameterAttention(dim=dim, ratio=1),
        }
        return kinds[kind]

    def maps_of(self, dim: Any) -> Expression:
        """A linear map of the kind that is decided."""
        kinds = domain(self.linear)
        return Match(self.linear, {kind: self.map_of(kind, dim) for kind in kinds})


def open_settings(
    *,
    widths: tuple[int, ...],
    masks: tuple[str, ...],
    prefix: int,
    segment: int,
    rotaries: tuple[float, ...],
    rotary_base: float,
    linears: tuple[str, ...],
    residuals: tuple[str, ...],
) -> TextSettings:
    """All decisions of a text network, under their own names."""
    middle = widths[len(widths) // 2]
    return TextSettings(
        width=Choice(*widths, default=middle, name="width"),
        mask=Choice(*masks, name="mask"),
        prefix=prefix,
        segment=segment,
        position=Choice(*POSITIONS, default="rope", name="position"),
        rotary=Choice(*rotaries, name="rotary"),
        rotary_base=rotary_base,
        norm=Choice(*NORMS, default="rms", name="norm"),
        placement=Choice(*PLACEMENTS, name="placement"),
        linear=Choice(*linears, name="linear"),
        activation=Choice(*ACTIVATIONS, name="activation"),
        bias=Choice(False, True, name="bias"),
        residual=Choice(*residuals, name="residual"),
        order=Choice(*ORDERS, name="order"),
    )
