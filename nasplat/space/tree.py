"""``Tree``: several tasks on one trunk; where each leaves it, and from which other, are decisions.

References:
    [Guo2020] P. Guo, C.-Y. Lee, D. Ulbricht. Learning to branch for multi-task learning. ICML 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nasplat.errors import GraphTypeError, SpaceError
from nasplat.graph.op import Expression
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run
from nasplat.space.decisions import Choice, Int
from nasplat.space.plan import Entry, Plan, product


@dataclass(frozen=True, eq=False, init=False)
class Tree(Combinator):
    """Named outputs of the graph, one for each task, on layers that tasks share down to a fork.

    The first task runs through all blocks. Every other one decides on its ``parent`` (an earlier task;
    left out when there is only one) and its ``fork``: it shares the parent's path up to this number of
    blocks and has blocks of its own from there, with weights of their own. ``fork = 0`` shares nothing.

    Args:
        blocks: The trunk, in order.
        heads: The head of each task, by the name of its output.
        share: Whether a task's own blocks decide for themselves (``"nothing"``) or look like the trunk's
            (``"decisions"``).

    Raises:
        SpaceError: There is no block or no head.
    """

    blocks: tuple[Expression, ...]
    heads: Mapping[str, Expression]
    share: Literal["nothing", "decisions"]
    forks: tuple[Any, ...]
    parents: tuple[Any, ...]

    def __init__(
        self,
        blocks: tuple[Expression, ...],
        heads: Mapping[str, Expression],
        share: Literal["nothing", "decisions"] = "nothing",
    ) -> None:
        if not blocks or not heads:
            raise SpaceError(f"a Tree needs blocks and heads, got {len(blocks)} and {len(heads)}")
        if share not in ("nothing", "decisions"):
            raise SpaceError(f"share must be nothing or decisions, got {share!r}")
        tasks = list(heads)
        object.__setattr__(self, "blocks", tuple(blocks))
        object.__setattr__(self, "heads", dict(heads))
        object.__setattr__(self, "share", share)
        later = range(1, len(tasks))
        forks = tuple(Int(0, len(blocks), default=len(blocks)) for _ in later)
        object.__setattr__(self, "forks", forks)
        parents = tuple(None if task == 1 else Choice(*tasks[:task]) for task in later)
        object.__setattr__(self, "parents", parents)

    def copied(self) -> tuple[object, ...]:
        """The blocks, unless tasks share their decisions."""
        return (self.blocks,) if self.share == "nothing" else ()

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The trunk stands below ``trunk``, a task's own parts below its name."""
        tasks = list(self.heads)
        trunk = self._blocks(compiler, place, "trunk", 0)
        plan: Plan = product(*(part.plan for part in trunk))
        own: list[list[Part]] = [trunk]
        paths: list[tuple[str | None, str]] = []
        for number, task in enumerate(tasks[1:]):
            at = place.at(task)
            parent = self.parents[number]
            parent_point = None if parent is None else compiler.point(parent, at, "parent")
            fork = compiler.point(self.forks[number], at, "fork")
            blocks = self._blocks(compiler, place, task, number + 1)
            plans = [part.plan for part in blocks]
            branches = tuple(product(*plans[start:]) for start in range(len(blocks) + 1))
            entry: Entry = (fork, branches if any(branches) else None)
            chosen: Plan = () if parent_point is None else ((parent_point, None),)
            plan = product(plan, chosen, (entry,))
            own.append(blocks)
            paths.append((None if parent_point is None else parent_point.path, fork.path))
        heads = [
            compiler.part(head, place.at(task).at("head")) for task, head in self.heads.items()
        ]

        def emit(run: Run, refs: Refs) -> Refs:
            reached = [self._run(run, trunk, [refs])]
            for number, (parent_path, fork_path) in enumerate(paths):
                parent = 0 if parent_path is None else tasks.index(str(run.values[parent_path]))
                shared = reached[parent][: run.values[fork_path] + 1]
                reached.append(self._run(run, own[number + 1], shared))
            made: Refs = ()
            for task, head, path in zip(tasks, heads, reached, strict=True):
                outputs = head.emit(run, path[-1])
                if len(outputs) != 1 or task in run.outputs:
                    raise GraphTypeError(
                        f"at {place.name}: the head of {task!r} must give one value, "
                        f"under a name of its own; met {len(outputs)}"
                    )
                run.outputs[task] = outputs[0]
                made += outputs
            return made

        return Part(product(plan, *(head.plan for head in heads)), emit)

    def _blocks(self, compiler: Compiler, place: Place, task: str, number: int) -> list[Part]:
        parts = []
        for index, block in enumerate(self.blocks):
            if self.share == "nothing":
                at = place.at(task).at(str(index)).copy_of(self, number)
            else:
                named = place.at(task).at(str(index))
                shared = place.at("trunk").at(str(index))
                at = Place(shared.path, named.name, named.share, named.copies)
            parts.append(compiler.part(block, at))
        return parts

    @staticmethod
    def _run(run: Run, blocks: list[Part], reached: list[Refs]) -> list[Refs]:
        """Go on from the last of ``reached`` through the blocks that are left."""
        path = list(reached)
        for block in blocks[len(path) - 1 :]:
            path.append(block.emit(run, path[-1]))
        return path
