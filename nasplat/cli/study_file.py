"""The settings of a search from a file and from options, options first.

A study file holds the options of ``nasplat search`` under their names, without the dashes::

    space: hybrid-vit
    task: ./flowers
    budget: 8gpu-h
    objective: [accuracy:max, latency_ms:min]
    constraint: ["params<=5M"]
    recipe: {lr: 0.003}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasplat.errors import UsageError, nearest_first

_RENAMED = {
    "study": "name",
    "objective": "objectives",
    "constraint": "constraints",
    "option": "options",
    "ops": "op_files",
}
"""Options whose name differs from that of the library."""
_LISTS = ("objective", "constraint", "ops", "within", "like", "transfer")
_FILE_ONLY = ("recipe", "evaluator")
"""Settings that are mappings and have no option."""
_NEEDED = ("space", "budget")


def merged(file: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a plan.

    Args:
        file: A study file, or None.
        given: Every option by its name; None where it was not given.

    Raises:
        UsageError: The file is missing, no mapping, or has unknown settings; an option is
            malformed; space or budget is missing. All offenders are named.
    """
    found = _read(file, [*given, *_FILE_ONLY]) if file is not None else {}
    found.update({name: value for name, value in given.items() if value is not None})
    if missing := [f"--{name}" for name in _NEEDED if name not in found]:
        raise UsageError(
            f"a search needs {' and '.join(missing)}",
            hint="For instance: nasplat search --space hybrid-vit --task digits --budget 10min",
        )
    for name in _LISTS:
        if isinstance(found.get(name), str):
            found[name] = [found[name]]
    if "option" in found:
        found["option"] = option_values(found["option"])
    return {_RENAMED.get(name, name): value for name, value in found.items()}


def _read(file: Path, known: Sequence[str]) -> dict[str, Any]:
    import yaml

    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the study file {file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"the study file {file} is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"the study file {file} must hold settings, it holds {data!r}")
    named = {str(name).replace("-", "_"): value for name, value in data.items()}
    if surplus := sorted(set(named) - set(known)):
        likeliest = ", ".join(
            f"{name} (meant {nearest_first(name, known)[0]}?)" for name in surplus
        )
        raise UsageError(
            f"the study file {file} has settings that are not known: {likeliest}",
            hint=f"Known: {', '.join(known)}.",
        )
    # A budget such as 100 or a name such as 1e3 would come as a number.
    texts = ("space", "task", "budget", "study", "strategy", "workers", "executor", "device")
    return {
        name: str(value) if name in texts and value is not None else value
        for name, value in named.items()
        if value is not None
    }


def option_values(given: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` words as a mapping; values are JSON where they are JSON."""
    if isinstance(given, Mapping):
        return dict(given)
    if wrong := [word for word in given if "=" not in word]:
        raise UsageError(f"cannot read --option {' '.join(wrong)}; expected NAME=VALUE")
    found = {}
    for word in given:
        name, _, value = word.partition("=")
        try:
            found[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[name.strip()] = value
    return found
