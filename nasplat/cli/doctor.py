"""The verb ``nasplat doctor``: what this machine and installation have, and what is amiss."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from typing import Any

import typer

from nasplat import content, settings
from nasplat.cli import output
from nasplat.cli.options import FormatOption, StorageOption
from nasplat.errors import NasplatError
from nasplat.report import units
from nasplat.report.tables import Format, render

_LIBRARIES = ("torch", "ray", "onnxruntime", "onnx", "onnxscript", "optuna", "sqlalchemy", "numpy")
_LEAST_FREE_BYTES = 2e9


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(doctor)


def doctor(storage: StorageOption = None, form: FormatOption = Format.TABLE) -> None:
    """Check versions, devices, Ray, the database and the disk.

    Exit code 1 when something is amiss.
    """
    rows = [*_versions(), *_devices(), _content(), _workers(), _database(storage), _disk()]
    output.line(render(rows, form))
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


def _row(check: str, found: str, ok: bool = True) -> dict[str, Any]:
    return {"check": check, "ok": ok, "found": found}


def _versions() -> list[dict[str, Any]]:
    rows = [
        _row("nasplat", importlib.metadata.version("nasplat")),
        _row("python", f"{platform.python_version()} at {sys.executable}"),
    ]
    for name in _LIBRARIES:
        try:
            rows.append(_row(name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            rows.append(_row(name, f"not installed; pip install {name}", ok=False))
    return rows


def _devices() -> list[dict[str, Any]]:
    import torch

    from nasplat.execute.cluster import count_cpus

    rows = [_row("cpu", f"{count_cpus()} processors, {platform.machine()}")]
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    rows.append(_row("gpu", ", ".join(gpus) or "none that torch can use"))
    return rows


def _content() -> dict[str, Any]:
    try:
        spaces = content.names("search_spaces")
        places = {str(content.path(folder).parent) for folder in content.FOLDERS}
    except NasplatError as error:
        return _row("content", error.message, ok=False)
    return _row("content", f"{len(spaces)} search spaces in {', '.join(sorted(places))}")


def _workers() -> dict[str, Any]:
    from nasplat.execute.cluster import local_cluster
    from nasplat.execute.profile import load_profile

    try:
        profile = load_profile("laptop")
        cluster = local_cluster(profile)
        return _row(
            "workers", f"{cluster.slots(profile.request)} trials at a time (profile laptop)"
        )
    except NasplatError as error:
        return _row("workers", error.message, ok=False)


def _database(storage: str | None) -> dict[str, Any]:
    from nasplat.store.store import Store
    from nasplat.store.url import parse

    url = storage or settings.storage()
    try:
        location = parse(url)
        if location.file is not None and not location.file.exists():
            return _row("storage", f"{location.shown}, made by the first search")
        with Store.open(url, create=False) as store:
            return _row("storage", f"{store.url}, {len(store.studies())} studies")
    except NasplatError as error:
        return _row("storage", error.message, ok=False)


def _disk() -> dict[str, Any]:
    home = settings.home()
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    return _row("disk", f"{units.memory(free)} free at {home}", ok=free >= _LEAST_FREE_BYTES)
