"""The training loop: one module, one task, one recipe, epoch by epoch, the same on every run.

Everything random in an epoch follows from the seed and the number of the epoch, so that a loop that
goes on from a checkpoint continues bit for bit. It knows no jobs and no files.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.post_training import PostTraining
from nasplat.tasks.base import Batch, Task
from nasplat.tasks.meters import Meter
from nasplat.tasks.recipe import Recipe

CHECKED = 50
"""Steps after which a loss that is no number ends an epoch early."""
#: Training loss over that of the first step from which a run counts as exploded.
EXPLOSION = 10.0


def derive_seed(*parts: object) -> int:
    """A seed in [0, 2**63) that follows from ``parts``."""
    text = "|".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def choose_device(name: str) -> torch.device:
    """``auto`` is the first GPU where there is one, else the processor."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Give torch so many threads for a while; None: as many as it has."""
    before = torch.get_num_threads()
    if count is not None and count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for a while and put them back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def evaluate(
    module: nn.Module,
    batches: Iterator[Batch],
    meter: Meter,
    device: torch.device,
    heartbeat: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Score a module over batches, outputs on the processor; the mode of the module stays as it was.

    Raises:
        TrialFailure: ``Failure.DIVERGED`` when an output is no number.
    """
    was_training = module.training
    module.eval()
    try:
        for batch in batches:
            heartbeat()
            outputs = module(*(x.to(device) for x in batch.inputs))
            named = outputs if isinstance(outputs, dict) else {"": outputs}
            found = {name: value.cpu() for name, value in named.items()}
            for value in found.values():
                if not torch.isfinite(value).all():
                    raise TrialFailure(Failure.DIVERGED, "outputs are no numbers")
            meter.add(found if isinstance(outputs, dict) else found[""], batch.targets)
    finally:
        module.train(was_training)
    return meter.result()


class Trainer:
    """Trains a module; ``epoch`` says how far it is.

    Args:
        module: Is trained in place.
        task: Gives batches, loss and metrics.
        recipe: How it is trained.
        epochs: Length of the whole schedule, at least 1.
        seed: Order, augmentation and dropout follow from it.
        device: Where it is trained.

    Raises:
        UsageError: The module has no weights.
    """

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        recipe: Recipe,
        *,
        epochs: int,
        seed: int,
        device: torch.device,
    ) -> None:
        # Measuring latency sets this for the whole process; training gives the same with or without it.
        torch.set_flush_denormal(True)
        self.module = module.to(device)
        self.task = task
        self.recipe = recipe
        self.epochs = epochs
        self.seed = seed
        self.device = device
        self.epoch = 0
        self._first_loss: float | None = None
        self._named = list(module.named_parameters())
        self._parameters = [parameter for _, parameter in self._named]
        if not self._parameters:
            raise UsageError("the model has no weights: there is nothing to train")
        self._optimizer = self._make_optimizer()
        self._average: list[Tensor] = []
        if recipe.ema:
            self._average = [parameter.detach().clone() for parameter in self._parameters]
        self._later: PostTraining | None = None
        if recipe.quantisation != "qat":
            self._later = PostTraining(module, task, recipe.quantisation, device)
        self._scheduled: list[Any] = [
            part for part in module.modules() if hasattr(part, "follow_training")
        ]
        self._auxiliary = [part for part in module.modules() if hasattr(part, "auxiliary_loss")]
        self._augment = recipe.augmentation(natural=task.natural)
        self._steps = math.ceil(task.sizes["train"] / recipe.batch_size)

    def _make_optimizer(self) -> torch.optim.Optimizer:
        recipe = self.recipe
        groups: list[dict[str, Any]] = [
            {
                "params": [p for p in self._parameters if p.dim() >= 2],
                "weight_decay": recipe.weight_decay,
            },
            {"params": [p for p in self._parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        if recipe.optimizer == "sgd":
            return torch.optim.SGD(
                groups,
                lr=recipe.lr,
                momentum=recipe.momentum,
                nesterov=recipe.momentum > 0,
                fused=True,
            )
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=True)

    def train_epoch(self, heartbeat: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Train one epoch.

        Args:
            heartbeat: Called before every step; what it raises ends the epoch.

        Returns:
            A point of the learning curve: ``epoch`` (from 1), training ``loss``, ``lr`` of the last
            step, ``seconds``.

        Raises:
            TrialFailure: ``Failure.DIVERGED`` when the loss is no number or has exploded.
        """
        begun = time.perf_counter()
        self.module.train()
        seed = derive_seed(self.seed, "epoch", self.epoch)
        total = torch.zeros((), device=self.device)
        rate = 0.0
        with seeded(derive_seed(seed, "module"), self.device):
            batches = self.task.batches(
                "train", self.recipe.batch_size, shuffle_seed=seed, augment=self._augment
            )
            for index, batch in enumerate(batches):
                heartbeat()
                done = self.epoch * self._steps + index
                rate = self.recipe.rate(done, self.epochs * self._steps)
                loss = self._step(batch.to(self.device), rate, done)
                if self._first_loss is None:
                    self._first_loss = float(loss)
                total += loss
                if index % CHECKED == CHECKED - 1 and not math.isfinite(float(total)):
                    break
        mean = float(total) / self._steps
        self._check(mean)
        self.epoch += 1
        return {
            "epoch": float(self.epoch),
            "loss": mean,
            "lr": rate,
            "seconds": time.perf_counter() - begun,
        }

    def _step(self, batch: Batch, rate: float, done: int) -> Tensor:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        for part in self._scheduled:
            part.follow_training(done / (self.epochs * self._steps))
        self._optimizer.zero_grad(set_to_none=True)
        outputs = self.module(*batch.inputs)
        loss = self.task.loss(outputs, batch.targets, label_smoothing=self.recipe.label_smoothing)
        objective = loss
        for part in self._auxiliary:
            extra = part.auxiliary_loss
            if isinstance(extra, Tensor):
                objective = objective + extra
        objective.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if self.recipe.clip_norm:
            clip_grad_norm_(self._parameters, self.recipe.clip_norm, foreach=True)
        self._optimizer.step()
        if self._average:
            # A young average follows faster, else it would remember the initial weights.
            decay = min(self.recipe.ema, (1 + done) / (10 + done))
            with torch.no_grad():
                for average, parameter in zip(self._average, self._parameters, strict=True):
                    average.lerp_(parameter, 1 - decay)
        return loss.detach()

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise TrialFailure(
                Failure.DIVERGED, f"the training loss is {loss} in epoch {self.epoch + 1}"
            )
        chance = max(math.log(10.0), self._first_loss or 0.0)
        if loss > EXPLOSION * chance:
            raise TrialFailure(
                Failure.DIVERGED,
                f"the training loss exploded: {loss:.3g} in epoch {self.epoch + 1}, "
                f"{self._first_loss:.3g} in the first step",
            )

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The module with the weights that count: the averaged ones when the recipe has ``ema``."""
        if not self._average:
            yield self.module
            return
        kept = [parameter.detach().clone() for parameter in self._parameters]
        self._put(self._average)
        try:
            yield self.module
        finally:
            self._put(kept)

    def _rounded(self) -> AbstractContextManager[None]:
        """The module as it will be used: rounded, if that comes after training."""
        return nullcontext() if self._later is None else self._later.rounded()

    def finish(self) -> nn.Module:
        """End training: the module keeps the weights that count and is set to evaluation."""
        if self._average:
            self._put(self._average)
        if self._later is not None:
            self._later.settle()
        return self.module.eval()

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=True):
            parameter.copy_(value)

    def validate(self, heartbeat: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Metrics on the validation split.

        Raises:
            TrialFailure: ``Failure.DIVERGED`` when an output is no number.
            UsageError: The task refuses the model.
        """
        task = self.task
        with self.averaged() as module, self._rounded():
            task.audit(module, self.device)
            batches = task.batches("validation", task.evaluation_batch)
            try:
                return evaluate(module, batches, task.meter(), self.device, heartbeat)
            except TrialFailure as failure:
                if failure.failure is not Failure.DIVERGED:
                    raise
                raise TrialFailure(
                    Failure.DIVERGED, f"{failure.message} after epoch {self.epoch}"
                ) from failure

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changes, by name, for a checkpoint."""
        found: dict[str, Tensor] = {f"model.{name}": value for name, value in self._named}
        found |= {f"buffer.{name}": value for name, value in self.module.named_buffers()}
        for (name, _), average in zip(self._named, self._average, strict=False):
            found[f"average.{name}"] = average
        for name, parameter in self._named:
            for key, value in self._optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    found[f"optimizer.{key}.{name}"] = value
        return found

    def state(self) -> dict[str, Any]:
        """The rest of what training changes, as JSON."""
        return {"epoch": self.epoch, "first_loss": self._first_loss}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`tensors` and :meth:`state` returned.

        Raises:
            KeyError: Tensors are missing.
        """
        for name, parameter in self._named:
            parameter.copy_(tensors[f"model.{name}"])
        for name, buffer in self.module.named_buffers():
            buffer.copy_(tensors[f"buffer.{name}"])
        for (name, _), value in zip(self._named, self._average, strict=False):
            value.copy_(tensors[f"average.{name}"])
        by_name = dict(self._named)
        for full, value in tensors.items():
            kind, _, rest = full.partition(".")
            if kind == "optimizer":
                key, _, name = rest.partition(".")
                where = by_name[name].device
                self._optimizer.state[by_name[name]][key] = value.clone().to(where)
        self.epoch = int(state["epoch"])
        self._first_loss = state["first_loss"]
