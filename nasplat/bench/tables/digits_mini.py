"""digits-mini: all networks of a small space, trained on ``digits`` by ``nasplat bench make``; it ships.

Seconds are those of one core of a busy machine.
"""

from __future__ import annotations

from pathlib import Path

from nasplat.bench import data as shipped
from nasplat.bench.neutral import read_table
from nasplat.bench.source import Source
from nasplat.bench.table import Table

NAME = "digits-mini"
TITLE = "Small convolutional networks on digits, 2 and 6 epochs; ships with nasplat"


def read(data: Path) -> Table:
    """The table; the folder of published tables is not needed."""
    return read_table(Path(shipped.__path__[0]) / f"{NAME}.csv")


SOURCES = (Source(NAME, TITLE, (), read, "made by nasplat bench make"),)
