"""Devices on which latency is measured, each with a fingerprint of everything that moves the figure.

A device is data: it travels to workers and into the store as JSON. It knows no model.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from nasplat.errors import DeviceError, unknown

PROVIDERS: Mapping[str, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""ONNX Runtime's execution provider behind each device name."""

EXPORT_SETTINGS = "dynamo, static batch, one fragment per node, all graph optimisations"
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


@dataclass(frozen=True)
class Device:
    """What a latency was measured on.

    Attributes:
        name: ``cpu`` or ``cuda``.
        processor: Model name of the processor or graphics card.
        instructions: The vector instructions that decide how fast int8 and float32 run.
        cores: Logical cores of the machine.
        runtime: What runs the artefact.
        runtime_version: Its version.
        threads: Threads of one inference, at least 1.
        dtype: Type of inputs and outputs.
        batch: Examples in one inference, at least 1.
        export: How the artefact is made.
        reference_ms: Nominal time of the reference model in milliseconds, fixed once for a device by
            :func:`nasplat.hardware.latency.calibrate`; ``None`` before that. It scales every
            normalised latency and is no part of the fingerprint.

    Raises:
        DeviceError: The name is unknown, or a number is out of its range.
    """

    name: str
    processor: str
    instructions: tuple[str, ...]
    cores: int
    runtime: str
    runtime_version: str
    threads: int = 1
    dtype: str = "float32"
    batch: int = 1
    export: str = EXPORT_SETTINGS
    reference_ms: float | None = None

    def __post_init__(self) -> None:
        if self.name not in PROVIDERS:
            raise unknown("device", self.name, PROVIDERS, DeviceError)
        wrong = [
            f"{name} must be an integer of at least 1, got {value!r}"
            for name, value in (("threads", self.threads), ("batch", self.batch))
            if not isinstance(value, int) or isinstance(value, bool) or value < 1
        ]
        if self.reference_ms is not None and not self.reference_ms > 0:
            wrong.append(f"reference_ms must be above 0, got {self.reference_ms!r}")
        if wrong:
            raise DeviceError(f"a device cannot be used as described: {'; '.join(wrong)}")

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over everything but the nominal time of the reference model."""
        identity = asdict(replace(self, reference_ms=None))
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def provider(self) -> str:
        """ONNX Runtime's execution provider."""
        return PROVIDERS[self.name]

    def to_json(self) -> dict[str, Any]:
        """Encode every field and the fingerprint."""
        data = asdict(self)
        data["instructions"] = list(self.instructions)
        return {**data, "fingerprint": self.fingerprint}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Device:
        """Decode what :meth:`to_json` wrote.

        Raises:
            DeviceError: A field is missing or unknown, or the fingerprint belongs to other fields.
        """
        known = {item.name for item in fields(Device)}
        given = {name: value for name, value in data.items() if name != "fingerprint"}
        wrong = [f"unknown field {name!r}" for name in given if name not in known]
        required = {"name", "processor", "instructions", "cores", "runtime", "runtime_version"}
        wrong += [f"missing field {name!r}" for name in sorted(required - set(given))]
        if wrong:
            raise DeviceError(f"this is no description of a device: {'; '.join(wrong)}")
        device = Device(**{**given, "instructions": tuple(given["instructions"])})
        claimed = data.get("fingerprint", device.fingerprint)
        if claimed != device.fingerprint:
            raise DeviceError(
                f"the device has the fingerprint {device.fingerprint} but claims {claimed}",
                hint="the description was edited by hand: leave the fingerprint out of it",
            )
        return device

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.name} ({self.runtime}, {threads})"


def known_devices() -> tuple[str, ...]:
    """Names of the devices of this machine: ``cpu``, and ``cuda`` where ONNX Runtime can use it."""
    return tuple(name for name, provider in PROVIDERS.items() if provider in _providers())


def find_device(name: str = "cpu", *, threads: int = 1, batch: int = 1) -> Device:
    """Describe a device of this machine.

    Raises:
        DeviceError: The machine has no such device; lists those it has.
    """
    if name not in known_devices():
        raise unknown(
            "device",
            name,
            known_devices(),
            DeviceError,
            hint="nasplat measures what ONNX Runtime can run here" if name in PROVIDERS else "",
        )
    return Device(
        name=name,
        processor=_graphics_card() if name == "cuda" else _processor()[0],
        instructions=_processor()[1],
        cores=os.cpu_count() or 1,
        runtime="onnxruntime",
        runtime_version=metadata.version("onnxruntime"),
        threads=threads,
        batch=batch,
    )


def local_device(threads: int = 1) -> Device:
    """The processor of this machine, one example at a time."""
    return find_device("cpu", threads=threads)


@lru_cache(maxsize=1)
def _providers() -> tuple[str, ...]:
    import onnxruntime

    return tuple(onnxruntime.get_available_providers())


@lru_cache(maxsize=1)
def _processor() -> tuple[str, tuple[str, ...]]:
    """Model name and the vector instructions that matter, from /proc/cpuinfo where there is one."""
    model, flags = platform.processor() or platform.machine(), set[str]()
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(errors="replace").splitlines():
            key, _, value = (part.strip() for part in line.partition(":"))
            if key == "model name":
                model = value
            elif key in ("flags", "Features"):
                flags.update(value.split())
    return f"{model} ({platform.machine()})", tuple(name for name in _INSTRUCTIONS if name in flags)


def _graphics_card() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "unknown graphics card"
