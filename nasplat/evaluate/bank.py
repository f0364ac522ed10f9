"""A bank of weights that the candidates of a study take slices of: weight sharing without a supernet run.

Every parameter of the bank belongs to a place in the space (the path of a node) and a kind of op, at the
largest size that any candidate had there so far. A candidate starts from the slices that its ops select and
gives back what it has learned [Guo2020]. The bank is one file, replaced as a whole under a lock, so that
workers of one machine, or of one shared folder, may use it side by side.

References:
    [Guo2020] Z. Guo et al. Single Path One-Shot Neural Architecture Search with Uniform Sampling. ECCV 2020.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nasplat.errors import Failure, TrialFailure
from nasplat.graph.graph import Graph
from nasplat.graph.lower import module_names
from nasplat.graph.op import Op
from nasplat.graph.serialise import op_from_settings

FILE = "bank.safetensors"
LOCK = "bank.lock"


@dataclass(frozen=True)
class Slot:
    """A parameter or buffer of a candidate, and its name in the bank.

    Attributes:
        name: Path of the node, kind of the op, name inside its module.
        inner: Name inside its module.
        op: The op that it belongs to.
        tensor: Its values in the candidate.
    """

    name: str
    inner: str
    op: Op
    tensor: Tensor


def slots(graph: Graph, module: nn.Module) -> Iterator[Slot]:
    """Everything of a lowered graph that the bank holds; weights used at several nodes once."""
    names = module_names(graph)
    seen: set[str] = set()
    for node in graph.live:
        attribute = names[node.name]
        if attribute in seen:
            continue
        seen.add(attribute)
        place = node.share or node.name
        for inner, tensor in module.get_submodule(attribute).state_dict(keep_vars=True).items():
            if tensor.dim() > 0 and tensor.is_floating_point():
                yield Slot(f"{place}:{node.op.kind}:{inner}", inner, node.op, tensor)


def _index(slot: Slot, wanted: tuple[int, ...], larger: Op) -> tuple[Any, ...] | None:
    """Where a slot sits in a tensor of the shape ``wanted``; None: it does not fit into it."""
    small = tuple(slot.tensor.shape)
    if len(small) != len(wanted) or any(a > b for a, b in zip(small, wanted, strict=True)):
        return None
    parts = slot.op.select(slot.inner, small, wanted, larger)
    lists = [
        torch.arange(size)[part] if isinstance(part, slice) else torch.tensor(part)
        for part, size in zip(parts, wanted, strict=True)
    ]
    if tuple(len(part) for part in lists) != small:
        return None
    return tuple(torch.meshgrid(*lists, indexing="ij"))


class Bank:
    """The bank of one study.

    Args:
        folder: Where its file lies; made when something is kept.
        ops: The op class of each kind.
    """

    def __init__(self, folder: Path, ops: Mapping[str, type[Op]]) -> None:
        self.folder = folder
        self.ops = ops

    def inherit(self, graph: Graph, module: nn.Module) -> int:
        """Start a candidate from its slices of the bank.

        Returns:
            How many of its tensors the bank holds at least as large; the others keep their values.
        """
        held, owners = self._read()
        taken = 0
        with torch.no_grad():
            for slot in slots(graph, module):
                if slot.name not in held:
                    continue
                bank = held[slot.name]
                index = _index(slot, tuple(bank.shape), owners[slot.name])
                if index is not None:
                    slot.tensor.copy_(bank[index].to(slot.tensor))
                    taken += 1
        return taken

    def keep(self, graph: Graph, module: nn.Module) -> None:
        """Give back what a candidate has learned; a tensor that outgrows the bank's takes its place.

        Raises:
            TrialFailure: ``Failure.LOST`` when the disk is full or cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                held, owners = self._read()
                for slot in slots(graph, module):
                    learned = slot.tensor.detach().cpu().float()
                    bank = held.get(slot.name)
                    index = (
                        None if bank is None else _index(slot, tuple(bank.shape), owners[slot.name])
                    )
                    if bank is not None and index is not None:
                        bank[index] = learned
                    elif bank is None or learned.numel() >= bank.numel():
                        held[slot.name] = learned.clone().contiguous()
                        owners[slot.name] = slot.op
                self._write(held, owners)
        except OSError as error:
            raise TrialFailure(
                Failure.LOST,
                f"the bank of weights {self.folder} cannot be written: {error.strerror}",
            ) from error

    def _read(self) -> tuple[dict[str, Tensor], dict[str, Op]]:
        try:
            with safe_open(self.folder / FILE, "pt") as opened:
                held = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it is no mapping
                ops = json.loads(opened.metadata()["ops"])
        except (OSError, SafetensorError):
            return {}, {}
        owners = {
            name: op_from_settings(self.ops[kind], settings, name)
            for name, (kind, settings) in ops.items()
            if kind in self.ops
        }
        return {name: tensor for name, tensor in held.items() if name in owners}, owners

    def _write(self, held: Mapping[str, Tensor], owners: Mapping[str, Op]) -> None:
        ops = json.dumps({name: [op.kind, op.settings()] for name, op in owners.items()})
        part = self.folder / f".{FILE}.{os.getpid()}"
        save_file(dict(held), part, metadata={"ops": ops})
        os.replace(part, self.folder / FILE)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.folder / LOCK, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
