"""Two small networks for any task of the library: what its types need, and no more.

Written by hand, so that a test of a task does not depend on what a space happens to draw.
"""

from __future__ import annotations

from nasplat.graph.graph import Graph, GraphBuilder
from nasplat.graph.types import Ids, Logits, Series, Tokens
from nasplat.ops.conv import Conv
from nasplat.ops.dense import PixelHead, UpsampleTo
from nasplat.ops.head import ClassifierHead
from nasplat.ops.merge import Add, Concat
from nasplat.ops.series import SeriesHead, ToTokens
from nasplat.ops.text import LMHead, TokenEmbedding
from nasplat.tasks.base import Task

NORM = {"norm": "batch", "activation": "relu"}


def networks(task: Task, *, width: int = 16, stride: int = 1) -> list[Graph]:
    """Two networks of different width for the types of a task.

    Args:
        task: Its one input and one output decide the form.
        width: Channels of the first; the second has twice as many.
        stride: Of the first two convolutions, where a class or a value for each position is not wanted.
    """
    return [network(task, channels, stride) for channels in (width, 2 * width)]


def network(task: Task, width: int, stride: int = 1) -> Graph:
    """One network: a chain of convolutions and the head that the output needs."""
    ((_, given),) = task.inputs.items()
    ((name, wanted),) = task.outputs.items()
    builder = GraphBuilder(dict(task.inputs))
    (source,) = task.inputs
    if isinstance(wanted, Tokens):
        (ref,) = builder.add(TokenEmbedding(dim=width), source, name="embed")
        for index in range(3):
            op = Conv(channels=width, kernel=5, causal=True, norm="rms", activation="gelu")
            (made,) = builder.add(op, ref, name=f"conv{index}")
            (ref,) = builder.add(Add(), ref, made, name=f"add{index}")
        (ref,) = builder.add(LMHead(vocabulary=wanted.dim), ref, name="head")
        return builder.build({name: ref})
    ref = source
    if isinstance(given, Ids):
        (ref,) = builder.add(TokenEmbedding(dim=width), ref, name="embed")
    if isinstance(wanted, Logits):
        for index in range(3):
            op = Conv(channels=width, kernel=5 if stride > 2 else 3, stride=stride, **NORM)
            (ref,) = builder.add(op, ref, name=f"conv{index}")
        if isinstance(given, Series):
            (ref,) = builder.add(ToTokens(), ref, name="tokens")
        (ref,) = builder.add(ClassifierHead(classes=wanted.classes), ref, name="head")
    elif isinstance(wanted, Series) and isinstance(given, Series):
        (ref,) = builder.add(Conv(channels=width, kernel=9, **NORM), ref, name="conv0")
        (ref,) = builder.add(Conv(channels=width, kernel=9, **NORM), ref, name="conv1")
        form = "patch" if wanted.length == given.length else "linear"
        op = SeriesHead(channels=wanted.channels, length=wanted.length, form=form)
        (ref,) = builder.add(op, ref, name="head")
    else:  # a value for each class or channel at each position, with a look from afar
        (fine,) = builder.add(Conv(channels=width, **NORM), ref, name="fine")
        (low,) = builder.add(Conv(channels=2 * width, stride=4, kernel=5, **NORM), fine, name="low")
        (low,) = builder.add(Conv(channels=2 * width, **NORM), low, name="lower")
        (high,) = builder.add(UpsampleTo(channels=width), low, fine, name="high")
        (both,) = builder.add(Concat(), fine, high, name="both")
        (ref,) = builder.add(PixelHead(classes=wanted.shape[0], kernel=3), both, name="head")
    return builder.build({name: ref})
