"""``Residual``: a body around which its input is carried, with the norm's kind and placement as decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.ops.merge import Add
from nasplat.space.base import Combinator, Compiler, Part, Place, Reader, Refs, Run, label_of
from nasplat.space.decisions import Decision, domain
from nasplat.space.plan import Plan, product


@dataclass(frozen=True, eq=False)
class Residual(Combinator):
    """``x + scale(body(norm(x)))``, or with the norm elsewhere.

    Args:
        body: What is learned beside the input; keeps the type unless ``skip`` changes it too.
        norm: The normalisation; None: nowhere.
        placement: ``pre``: before the body; ``post``: after the sum; ``sandwich``: before and after the
            body, with two sets of weights; ``none``: nowhere; or a decision or a case over these.
        scale: Applied to what the body gives, such as a layer scale.
        skip: Applied to what is carried around, such as a projection.
        merge: Takes what is carried and what is learned, in this order.

    Raises:
        SpaceError: A placement is not one of the four.
    """

    PLACEMENTS: ClassVar[tuple[str, ...]] = ("pre", "post", "sandwich", "none")

    body: Expression
    norm: Expression | None = None
    placement: Any = "pre"
    scale: Expression | None = None
    skip: Expression | None = None
    merge: Expression = field(default_factory=Add)

    def __post_init__(self) -> None:
        strange = [value for value in domain(self.placement) if value not in self.PLACEMENTS]
        if strange:
            raise SpaceError(f"placement must be one of {self.PLACEMENTS}, got {strange[0]!r}")

    @property
    def label(self) -> str:
        """The name of the body."""
        return label_of(self.body)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The body stands here; ``norm``, ``norm_out``, ``scale``, ``skip`` and ``add`` below."""
        nothing = Part((), lambda run, refs: refs)
        body = compiler.part(self.body, place)
        pre = post = out = nothing
        norms: Plan = ()
        read: Reader | None = None
        if self.norm is not None:
            placements = domain(self.placement)
            if isinstance(self.placement, Decision):
                compiler.point(self.placement, place, "placement")
            if set(placements) & {"pre", "sandwich"}:
                pre = compiler.part(self.norm, place.at("norm"))
            if "post" in placements:
                post = compiler.part(self.norm, place.at("norm"))
            if "sandwich" in placements:
                out = compiler.part(self.norm, place.at("norm_out"))
            by_name = {"pre": pre.plan, "post": post.plan, "sandwich": product(pre.plan, out.plan)}
            norms, read = compiler.switch(
                self.placement, place, "placement", lambda name: by_name.get(name, ())
            )
        scale = compiler.part(self.scale, place.at("scale")) if self.scale is not None else nothing
        skip = compiler.part(self.skip, place.at("skip")) if self.skip is not None else nothing
        merge = compiler.part(self.merge, place.at("add"))

        def emit(run: Run, refs: Refs) -> Refs:
            placement = "none" if read is None else read(run.values)
            inner = refs
            if placement == "pre" or placement == "sandwich":
                inner = pre.emit(run, inner)
            inner = body.emit(run, inner)
            if placement == "sandwich":
                inner = out.emit(run, inner)
            inner = scale.emit(run, inner)
            refs = merge.emit(run, (*skip.emit(run, refs), *inner))
            return post.emit(run, refs) if placement == "post" else refs

        return Part(product(body.plan, norms, scale.plan, skip.plan, merge.plan), emit)
