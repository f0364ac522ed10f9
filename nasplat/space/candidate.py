"""A candidate: a graph with every decision closed, its recipe, and the genotype it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nasplat.graph import cost as costs
from nasplat.graph import digest as digests
from nasplat.graph.cost import Cost
from nasplat.graph.graph import Graph
from nasplat.space.genotype import Genotype

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class Candidate:
    """One point of a space, ready to be costed, built or sent to a worker.

    Attributes:
        space: Name of the space.
        version: Digest of the space's definition.
        genotype: The closed decisions.
        graph: The architecture.
        recipe: How to train it, each decision closed.
    """

    space: str
    version: str
    genotype: Genotype
    graph: Graph
    recipe: Mapping[str, Any]

    @cached_property
    def digest(self) -> str:
        """Identity of the graph; candidates that compute the same function by construction share it."""
        return digests.digest(self.graph)

    @cached_property
    def cost(self) -> Cost:
        """Exact costs of the graph."""
        return costs.cost(self.graph)

    def module(self, seed: int | None = None) -> nn.Module:
        """A torch module with fresh weights.

        Args:
            seed: Of the initial weights; None: torch's global state decides.
        """
        from nasplat.graph.lower import lower

        return lower(self.graph, seed)
