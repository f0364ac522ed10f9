"""Speed of the space language on one core: candidates sampled and validated, digests with full cost.

    python benchmarks/space_speed.py [--space hybrid-vit] [--side 32] [--count 2000]

Prints, per second: genotypes sampled and validated; candidates built; digests with every cost (of built
candidates); and all of it together. Nothing is trained. Processor time is counted, so that other work on
the machine shows little; what a process has met before is memoised, so the first tenth warms up.
"""

from __future__ import annotations

import argparse
import random
import time
from itertools import pairwise
from types import SimpleNamespace

from nasplat.graph.types import Image, Logits
from nasplat.space.load import load_space


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--space", default="hybrid-vit", help="name or path of a space")
    parser.add_argument("--side", type=int, default=32, help="side of the images, in pixels")
    parser.add_argument("--count", type=int, default=2000, help="genotypes")
    options = parser.parse_args()
    task = SimpleNamespace(
        inputs={"image": Image(3, options.side, options.side)}, outputs={"logits": Logits(10)}
    )
    started = time.process_time()
    space = load_space(options.space, task)
    print(f"{space}, loaded and checked in {time.process_time() - started:.2f} s")
    rng = random.Random(0)
    for genotype in (space.sample(rng) for _ in range(options.count // 10)):
        warm = space.build(genotype)
        assert warm.digest and warm.cost
    marks = [time.process_time()]
    genotypes = [space.sample(rng) for _ in range(options.count)]
    assert not any(space.validate(genotype) for genotype in genotypes)
    marks.append(time.process_time())
    candidates = [space.build(genotype) for genotype in genotypes]
    marks.append(time.process_time())
    described = [(candidate.digest, candidate.cost) for candidate in candidates]
    marks.append(time.process_time())
    nodes = sum(len(candidate.graph.nodes) for candidate in candidates) / len(candidates)
    sampled, built, digested = (
        (after - before) / options.count for before, after in pairwise(marks)
    )
    print(f"{options.count} candidates of {nodes:.0f} nodes, {len(set(described))} distinct")
    print(f"sampled and validated  {1 / sampled:8.0f} per second")
    print(f"built                  {1 / built:8.0f} per second")
    print(f"digest and cost        {1 / digested:8.0f} per second")
    print(f"all of it              {1 / (sampled + built + digested):8.0f} per second")


if __name__ == "__main__":
    main()
