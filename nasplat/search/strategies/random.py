"""Random search: every candidate is drawn afresh. It learns nothing; the measure of all others."""

from __future__ import annotations

from nasplat.search.strategies.base import TRIES, Strategy, Turn, sample_into


class Random(Strategy):
    """Independent random candidates."""

    name = "random"

    def propose(self, turn: Turn) -> None:
        sample_into(turn, TRIES * turn.count, "random")
