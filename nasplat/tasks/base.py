"""What a task must offer: typed inputs and outputs, batches, a loss, metrics and a fingerprint.

A task owns its data and its splits. It knows nothing of architectures, of training loops, or of
where results are stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nasplat.errors import TaskError
from nasplat.graph.types import TensorType

if TYPE_CHECKING:
    import torch
    from torch import nn

    from nasplat.tasks.augment import Augment
    from nasplat.tasks.meters import Meter

SEARCH_SPLITS: tuple[str, ...] = ("train", "validation")
EVALUATED_AT_ONCE = 2**22
"""Elements of inputs or of outputs that go through a model together when it is scored, about."""
LARGEST_BATCH = 512


@dataclass(frozen=True)
class Batch:
    """Examples that go through a model together.

    Attributes:
        inputs: One tensor ``(batch, *type.shape)`` for each input of the task, in its order.
        targets: What the loss compares with, ``(batch, ...)``: for classification class numbers, or
            ``(batch, classes)`` probabilities when examples were mixed.
    """

    inputs: tuple[torch.Tensor, ...]
    targets: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(tuple(x.to(device) for x in self.inputs), self.targets.to(device))

    def __len__(self) -> int:
        return len(self.targets)


class Task(ABC):
    """Data, loss and metrics that a search optimises for.

    ``nasplat.testing.task.TaskConformance`` is this contract as tests.

    Attributes:
        name: How the task is called in tables: ``digits``, ``./flowers``.
        inputs: Type of each input, by name, in the order in which models take them.
        outputs: Type of each output that a model must have, by name.
        metrics: Direction (``max`` or ``min``) of each metric of ``score``, the main one first.
        fingerprint: Hash of the data, of what was done to it, and of the splits.
        spec: JSON from which ``load_task`` makes the same task on another process or machine.
        sizes: Number of examples of ``train``, ``validation`` and ``test``.
        classes: Names of the classes in the order of the outputs; empty where there are none.
        natural: Whether examples are images that mean the same when mirrored.
        preprocessing: JSON that says how a raw example becomes an input (for exported models).
    """

    name: str
    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    metrics: Mapping[str, Literal["max", "min"]]
    fingerprint: str
    spec: dict[str, Any]
    sizes: Mapping[str, int]
    classes: tuple[str, ...] = ()
    natural: bool = False
    preprocessing: Mapping[str, Any]

    @abstractmethod
    def batches(
        self,
        split: str,
        batch_size: int,
        *,
        shuffle_seed: int | None = None,
        augment: Augment | None = None,
    ) -> Iterator[Batch]:
        """Go once through a split.

        Args:
            split: ``train`` or ``validation``; the test split is only read through :meth:`test`.
            batch_size: Largest number of examples in a batch, at least 1.
            shuffle_seed: Order and augmentation follow from it; None: stored order.
            augment: What is done to the examples at random; None: nothing.

        Raises:
            TaskError: The split is ``test`` or not known.
        """

    @abstractmethod
    def test(self, batch_size: int) -> Iterator[Batch]:
        """Go once through the test split: for models already chosen, never while choosing."""

    @abstractmethod
    def loss(
        self,
        outputs: torch.Tensor | Mapping[str, torch.Tensor],
        targets: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
    ) -> torch.Tensor:
        """The mean loss of a batch, a scalar that can be differentiated.

        Args:
            outputs: What a model returned: a tensor, or a mapping when it has several outputs.
            targets: ``Batch.targets``.
            label_smoothing: Part of the target spread over all classes, in [0, 1); tasks without
                classes pay no heed to it.
        """

    @abstractmethod
    def score(
        self, outputs: torch.Tensor | Mapping[str, torch.Tensor], targets: torch.Tensor
    ) -> dict[str, float]:
        """Every metric of ``metrics`` over a whole split.

        Args:
            outputs: Outputs for all examples, concatenated.
            targets: Their targets, concatenated.
        """

    def meter(self) -> Meter:
        """A running score over a split, equal to :meth:`score` of all batches put together.

        A task whose outputs are large, or whose metrics are sums, does better than the default, which
        keeps everything.
        """
        from nasplat.tasks.meters import Gathered

        return Gathered(self.score)

    def audit(  # noqa: B027 - to let every model pass is a default, not a method that is missing
        self, module: nn.Module, device: torch.device
    ) -> None:
        """Refuse a model that solves another problem, such as one that looks at the answer.

        Called before a model is scored; the default lets every model pass.

        Args:
            module: On ``device``; its mode is put back afterwards.
            device: Where it runs.

        Raises:
            UsageError: The model is refused, and why.
        """

    @property
    def evaluation_batch(self) -> int:
        """Examples that go through a model together when it is scored, in [1, 512]."""
        largest = max(kind.numel for kind in (*self.inputs.values(), *self.outputs.values()))
        return max(1, min(LARGEST_BATCH, EVALUATED_AT_ONCE // largest))

    @abstractmethod
    def describe(self) -> str:
        """One line for the plan of a search: what, how many, how split, how prepared."""


def check_split(split: str) -> None:
    """Refuse every split that a search must not see.

    Raises:
        TaskError: ``split`` is not ``train`` or ``validation``.
    """
    if split == "test":
        raise TaskError(
            "the test split is not for searching",
            hint="it is read once, for exported models, through Task.test()",
        )
    if split not in SEARCH_SPLITS:
        raise TaskError(f"unknown split {split!r}; expected {' or '.join(SEARCH_SPLITS)}")
