"""Speed of the space language on one core: candidates sampled and validated, digests with full cost.

    python benchmarks/space_speed.py [--space hybrid-vit] [--task TASK | --side 32] [--count 2000]

Prints, per second: genotypes sampled and validated; candidates built; digests with every cost (of built
candidates); and all of it together. Candidates come one after the other, as in a search. Nothing is
trained. Processor time is counted, so that other work on the machine shows little; what a process has
met before is memoised, so the first tenth warms up.
"""

from __future__ import annotations

import argparse
import random
import time
from types import SimpleNamespace

from nasplat.graph.types import Image, Logits
from nasplat.space.load import default_task, load_space
from nasplat.tasks.load import load_task


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--space", default="hybrid-vit", help="name or path of a space")
    parser.add_argument("--task", help="what it is for; otherwise the task that the space names")
    parser.add_argument(
        "--side", type=int, help="classes of images of this side instead, in pixels"
    )
    parser.add_argument("--count", type=int, default=2000, help="genotypes")
    options = parser.parse_args()
    task = load_task(options.task or default_task(options.space))
    if options.side:
        images = {"image": Image(3, options.side, options.side)}
        task = SimpleNamespace(inputs=images, outputs={"logits": Logits(10)})
    started = time.process_time()
    space = load_space(options.space, task)
    print(f"{space}, loaded and checked in {time.process_time() - started:.2f} s")
    rng = random.Random(0)
    for genotype in (space.sample(rng) for _ in range(options.count // 10)):
        warm = space.build(genotype)
        assert warm.digest and warm.cost
    sampled = built = digested = 0.0
    nodes, described = 0, set()
    for _ in range(options.count):
        marks = [time.process_time()]
        genotype = space.sample(rng)
        assert not space.validate(genotype)
        marks.append(time.process_time())
        candidate = space.build(genotype)
        marks.append(time.process_time())
        described.add((candidate.digest, candidate.cost))
        marks.append(time.process_time())
        sampled += marks[1] - marks[0]
        built += marks[2] - marks[1]
        digested += marks[3] - marks[2]
        nodes += len(candidate.graph.nodes)
    count = options.count
    print(f"{count} candidates of {nodes / count:.0f} nodes, {len(described)} distinct")
    print(f"sampled and validated  {count / sampled:8.0f} per second")
    print(f"built                  {count / built:8.0f} per second")
    print(f"digest and cost        {count / digested:8.0f} per second")
    print(f"all of it              {count / (sampled + built + digested):8.0f} per second")


if __name__ == "__main__":
    main()
