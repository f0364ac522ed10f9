"""Rules on the paths of ``hybrid-vit``: what the options of its axes are made of.

A rule that only asks for something to occur (``some``) narrows nothing: the designs that name such an option
say themselves which blocks they are made of.
"""

from __future__ import annotations

from nasplat.space.axes import Patterns, Rule

BLOCK = "stages.*.blocks.*"
MIXER = f"{BLOCK}.mixer"
FLAT: Patterns = {"trunk": ("tokens",), "trunk.tokens": ("flat",)}
ATTENDING = ("window", "attention", "linear", "channel", "spatial_channel")
LOCAL = ("conv", "window", "pool")


def both(one: Patterns, other: Patterns) -> Rule:
    """Both occur; the second may ask for the same paths as the first."""
    return Rule(
        some={**one, **{f"**.{path.removeprefix('stages.')}": v for path, v in other.items()}}
    )


def early_late(stages: int, early: tuple[str, ...], late: tuple[str, ...]) -> Rule:
    """The first half of the stages of a pyramid has mixers of one family, the rest of another."""
    half = max(1, stages // 2)
    return Rule({f"stages.{s}.blocks.*.mixer": early if s < half else late for s in range(stages)})


def stems(*kinds: str) -> Rule:
    """A stem of the rare kinds, whatever the trunk."""
    return Rule({"*_stem": ("other",), "*_stem.other": kinds})


def heads(kind: str) -> Rule:
    """A head of the rare kinds."""
    return Rule({"*_head": ("other",), "*_head.other": (kind,)})


def mixers(*kinds: str) -> Rule:
    """All blocks mix in one of these ways."""
    return Rule({MIXER: kinds})


def occurs(*kinds: str) -> Rule:
    """Some block mixes in one of these ways."""
    return Rule(some={MIXER: kinds})


def occurring(family: str, *kinds: str) -> Rule:
    """Some block has a mixer of one family, of these forms."""
    return Rule(some={MIXER: (family,), f"{MIXER}.{family}": kinds})


def forms(family: str, *kinds: str) -> Rule:
    """All blocks have a mixer of one family, of these forms."""
    return Rule({MIXER: (family,), f"{MIXER}.{family}": kinds})


def convs(*kinds: str) -> Rule:
    """All convolutions of blocks are of these forms."""
    return Rule({f"{BLOCK}.conv.form": kinds})


def rare_convs(kind: str, *forms: str) -> Rule:
    """All convolutions of blocks are of these rarer forms."""
    return Rule({f"{BLOCK}.conv.form": (kind,), f"{BLOCK}.conv.form.{kind}": forms})


def attends(kind: str, *forms: str) -> Rule:
    """Attention over all positions is of these forms, wherever it stands."""
    return Rule({f"{BLOCK}.attention": (kind,), f"{BLOCK}.attention.{kind}": forms})


def ffns(kind: str, *forms: str) -> Rule:
    """All feed-forward parts are of one kind and these forms."""
    return Rule({f"{BLOCK}.ffn": (kind,)} | ({f"{BLOCK}.ffn.{kind}": forms} if forms else {}))


def along(kind: str) -> Rule:
    """What runs along depth."""
    return Rule({"residual": ("other",), "residual_type": (kind,)})


def downs(*kinds: str) -> Rule:
    """All steps between stages are of these rarer kinds."""
    return Rule(
        {"trunk": ("hierarchical",), "stages.*.down": ("other",), "stages.*.down.other": kinds}
    )


def norms(kind: str) -> Rule:
    """All norms of blocks are of this rarer kind."""
    return Rule({"stages.*.norm": ("other",), "stages.*.norm.other": (kind,)})
