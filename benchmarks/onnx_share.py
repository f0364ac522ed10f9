"""The share of random candidates of every space that run the same in ONNX Runtime as in torch.

    python benchmarks/onnx_share.py [--spaces cell unet ...] [--count 34] [--seed 0]

Candidates are exported in floating point with an open batch axis and compared at a batch of three. Prints the
share whose largest difference is at most 1e-4, relative to the largest output where that is above 1, and what
went wrong with the others: declared by an op, or unsteady, which means that torch gives another result too
when weights move by a millionth: a hard choice (the largest k, say) is a tie up to rounding, or a norm blows
up something all but constant. Some seconds for a candidate.
"""

from __future__ import annotations

import argparse

from nasplat import content
from nasplat.errors import ExportError
from nasplat.space.load import examples
from nasplat.testing.exported import (
    LARGEST_DIFFERENCE,
    difference,
    floating_candidates,
    unsteadiness,
)


def main() -> None:
    """Export, compare and print."""
    every = [name for name in content.names("search_spaces") if examples(name)]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=every)
    parser.add_argument("--count", type=int, default=34, help="candidates of each space")
    parser.add_argument("--seed", type=int, default=0, help="of the random choices")
    options = parser.parse_args()
    for name in options.spaces:
        equal = declared = unsteady = 0
        for number, graph in enumerate(floating_candidates(name, options.count, options.seed)):
            try:
                met = difference(graph)
            except Exception as error:  # whatever the exporter or the runtime raises is counted
                said = any(node.op.onnx_reason for node in graph.live)
                declared += said and isinstance(error, ExportError)
                print(
                    f"  {number}: {type(error).__name__}: {str(error).splitlines()[0][:200]}",
                    flush=True,
                )
                continue
            if met <= LARGEST_DIFFERENCE:
                equal += 1
            else:
                moved = unsteadiness(graph)
                unsteady += moved > LARGEST_DIFFERENCE
                print(
                    f"  {number}: differs by {met:.1e}, in torch by {moved:.1e} when weights move by 1e-6",
                    flush=True,
                )
        print(
            f"{name:<12} {equal} of {options.count} candidates equal ({equal / options.count:.0%}), "
            f"{declared} declared, "
            f"{unsteady} unsteady in torch as well",
            flush=True,
        )


if __name__ == "__main__":
    main()
