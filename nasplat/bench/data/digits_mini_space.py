"""The space of the table digits-mini: one to three layers on small images, each with an op of its own.

Small enough to be trained whole: 930 networks, each about a second on one core.
"""

from __future__ import annotations

from nasplat.graph.types import Logits
from nasplat.ops.conv import Conv, SeparableConv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.resample import Pool
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Int
from nasplat.space.load import Typed
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.space.wiring import Steps

TASK = "digits"


def space(task: Typed) -> Space:
    """A convolution that halves the image, then layers of equal width.

    Args:
        task: One ``Image`` in, one ``Logits`` out.
    """
    (logits,) = task.outputs.values()
    assert isinstance(logits, Logits)
    layer = Choose(
        conv=Conv(kernel=Choice(1, 3), norm="batch", activation="relu"),
        separable=SeparableConv(kernel=Choice(3, 5)),
        pool=Pool(mode="max", kernel=3),
    )
    body = Steps(
        stem=Conv(channels=Choice(8, 16, 24), kernel=3, stride=2, norm="batch"),
        layers=Repeat(layer, times=Int(1, 3)),
        head=ClassifierHead(classes=logits.classes, norm="none"),
    )
    recipe = {"batch_size": 64, "lr": Choice(0.003, 0.03)}
    return Space(body, task.inputs, task.outputs, name="digits-mini", recipe=recipe)
