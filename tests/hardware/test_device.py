"""Tests of the descriptions of devices."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nasplat.errors import DeviceError
from nasplat.hardware.device import Device, find_device, known_devices, local_device


def test_the_processor_of_this_machine_is_known_and_fully_described() -> None:
    device = local_device()
    assert "cpu" in known_devices()
    assert device.runtime == "onnxruntime"
    assert all([device.processor, device.runtime_version, device.cores >= 1, device.export])
    assert str(device) == "cpu (onnxruntime, 1 thread)"


def test_the_fingerprint_follows_everything_but_the_nominal_time() -> None:
    device = local_device()
    assert local_device().fingerprint == device.fingerprint
    assert replace(device, reference_ms=0.06).fingerprint == device.fingerprint
    others = [
        replace(device, threads=2),
        replace(device, batch=8),
        replace(device, runtime_version="0"),
        replace(device, processor="other"),
        replace(device, export="other"),
        replace(device, dtype="float16"),
        replace(device, cores=device.cores + 1),
    ]
    assert len({device.fingerprint, *(other.fingerprint for other in others)}) == 8


def test_json_gives_the_same_device_back() -> None:
    device = replace(local_device(threads=2), reference_ms=0.061)
    assert Device.from_json(json.loads(json.dumps(device.to_json()))) == device


def test_an_edited_description_is_refused() -> None:
    data = local_device().to_json()
    with pytest.raises(DeviceError, match="claims"):
        Device.from_json({**data, "threads": 4})
    with pytest.raises(DeviceError, match="unknown field 'colour'; missing field 'runtime'"):
        Device.from_json({k: v for k, v in data.items() if k != "runtime"} | {"colour": "red"})


def test_an_unknown_device_lists_the_known_ones() -> None:
    with pytest.raises(DeviceError, match=r"unknown device 'gpu'; known: .*cpu"):
        find_device("gpu")


@pytest.mark.skipif("cuda" in known_devices(), reason="this machine has the device")
def test_a_device_that_this_machine_lacks_lists_those_it_has() -> None:
    with pytest.raises(DeviceError, match=r"unknown device 'cuda'; known: cpu\n"):
        find_device("cuda")


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"batch": -1}, {"reference_ms": 0.0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DeviceError, match=next(iter(wrong))):
        replace(local_device(), **wrong)  # type: ignore[arg-type]  # wrong on purpose
