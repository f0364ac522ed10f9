"""``python -m nasplat``: the command line, without its entry point on the path."""

from __future__ import annotations

import sys

from nasplat.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
