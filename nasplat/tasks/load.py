"""Finds a task by its name, its path or its spec.

    digits, scenes, ...       shipped with the library, no download: see ``NAMES``
    ./flowers                 a folder with a sub-folder of images (or .wav files) for each class
    ./streets                 a folder with images/ and masks/: segmentation
    ./books                   a folder of texts: language modelling
    ./data.npz                arrays x and y; masks: segmentation; pcm and offsets: recordings
    ./notes.txt, .txt.gz      a text: language modelling
    ./power.csv, .csv.gz      numbers, a row for each step: forecasting; a column of labels: classification
    openml:NAME               a data set of openml.org
    ./my_task.py              a file of one's own with a function task(**options) -> Task

Options follow a question mark (``./flowers?size=64&channels=3``) or are given by keyword. The option
``kind`` says what a file or folder is where that cannot be told: ``./data.npz?kind=series``.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from nasplat.content import load_file
from nasplat.errors import TaskError, unknown
from nasplat.tasks.arrays import arrays
from nasplat.tasks.audio import OTHERS as OTHER_SOUND
from nasplat.tasks.audio import SUFFIXES as SOUND_FILES
from nasplat.tasks.base import Task
from nasplat.tasks.denoising import denoising, digits_noisy
from nasplat.tasks.digits import digits
from nasplat.tasks.forecasting import digits_stream, forecasting
from nasplat.tasks.images import SUFFIXES as IMAGES
from nasplat.tasks.images import images
from nasplat.tasks.masks import MASKS, segmentation
from nasplat.tasks.npz import SOUND, npz_axes
from nasplat.tasks.openml import openml
from nasplat.tasks.scenes import scenes
from nasplat.tasks.separation import digits_mixed, separation
from nasplat.tasks.series import digits_rows, series
from nasplat.tasks.tables import SUFFIXES as TABLES
from nasplat.tasks.tables import columns_of, is_table
from nasplat.tasks.text import is_text, stdlib_text, text
from nasplat.tasks.text_classes import LABELS, TEXTS, text_classification

#: What stands for a task without a path.
NAMES: Mapping[str, Callable[..., Task]] = {
    "digits": digits,
    "scenes": scenes,
    "stdlib-text": stdlib_text,
    "digits-rows": digits_rows,
    "digits-stream": digits_stream,
    "digits-mixed": digits_mixed,
    "digits-noisy": digits_noisy,
}

#: What a file or folder can be made into, by the option ``kind``.
OWN: Mapping[str, Callable[..., Task]] = {
    "images": images,
    "arrays": arrays,
    "segmentation": segmentation,
    "text": text,
    "text-classification": text_classification,
    "series": series,
    "forecasting": forecasting,
    "separation": separation,
    "denoising": denoising,
}

#: Types of what a file or folder is made into, in words.
OWN_TYPES: Mapping[str, str] = {
    "images": "Image -> Logits",
    "arrays": "Image or Vector -> Logits",
    "segmentation": "Image -> Image, Volume -> Volume",
    "text": "Ids -> Tokens",
    "text-classification": "Ids -> Logits",
    "series": "Series -> Logits",
    "forecasting": "Series -> Series",
    "separation": "Series -> Series",
    "denoising": "Image -> Image",
    "openml": "Vector or Image -> Logits",
}

#: What a spec's ``kind`` may be.
KINDS: Mapping[str, Callable[..., Task]] = {**NAMES, **OWN, "openml": openml}

FORMS = (
    "a task is a name, a folder (FOLDER/CLASS/IMAGE.jpg, FOLDER/CLASS/SOUND.wav, FOLDER/images and "
    "FOLDER/masks, or texts), a file FILE.npz, FILE.csv, FILE.txt (or .gz of these two), "
    "openml:NAME, or your own FILE.py with a function task(**options)"
)


def known_tasks() -> tuple[str, ...]:
    """Names that ``load_task`` knows without a path."""
    return (*NAMES, "openml:NAME")


def load_task(spec: str | Mapping[str, Any], **options: Any) -> Task:
    """Make a task.

    Args:
        spec: A name, a path or ``openml:NAME``, options after a question mark; or the ``spec`` of a
            task, which makes the same one.
        options: What the kind of task takes: ``seed``, ``size``, ...

    Raises:
        TaskError: There is no such task, an option is wrong, the data cannot be used, or they are
            not the data that a given ``spec`` was made from.
    """
    if isinstance(spec, Mapping):
        return _from_spec(spec, options)
    name, _, query = spec.partition("?")
    chosen = {**{key: _value(text) for key, text in parse_qsl(query)}, **options}
    if name in NAMES:
        return _make(NAMES[name], (), chosen, name)
    if name.startswith("openml:"):
        return _make(openml, (name.removeprefix("openml:"),), chosen, name)
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".py" and "kind" not in chosen:
        return _own(path, chosen)
    if path.is_dir() or path.is_file():
        kind = chosen.pop("kind", None) or kind_of(path, chosen)
        if kind not in OWN:
            raise unknown("kind of task", str(kind), OWN, TaskError)
        return _make(OWN[kind], (name,), chosen, name)
    if "/" in name or path.suffix:
        raise TaskError(f"there is no file or folder {path.resolve()}", hint=FORMS)
    raise unknown("task", name, known_tasks(), TaskError, hint=FORMS)


def kind_of(path: Path, options: Mapping[str, Any]) -> str:
    """What a file or folder is, told from names and shapes.

    Args:
        path: Exists.
        options: What the task is given: some tell what a table is.

    Raises:
        TaskError: No task can be made from such a file.
    """
    if path.is_dir():
        return _kind_of_folder(path)
    if path.suffix == ".npz":
        axes = npz_axes(path)
        if "offsets" in axes and any(name in axes for name in SOUND):
            return "series"
        masks = max(axes.get(name, 0) for name in ("y", "y_train"))
        return "segmentation" if masks >= 3 else "arrays"
    if is_table(path):
        columns = columns_of(path)
        labelled = "label" in options or any(name in columns for name in LABELS)
        if not labelled:
            return "forecasting"
        texts = "text" in options or any(name in columns for name in TEXTS)
        return "text-classification" if texts else "series"
    if is_text(path):
        return "text"
    raise TaskError(
        f"no task can be made from {path}: expected .npz, .py, {', '.join(TABLES)} or a text",
        hint=f"{FORMS}; say what it is, if it is: kind=text",
    )


def _kind_of_folder(folder: Path) -> str:
    roots = [folder, *(folder / part for part in ("train", "Train"))]
    if any((root / "images").is_dir() for root in roots) and any(
        (root / name).is_dir() for root in roots for name in MASKS
    ):
        return "segmentation"
    files = [file for file in folder.rglob("*") if file.is_file()]
    endings = {file.suffix.lower() for file in files}
    if endings & IMAGES:
        return "images"
    if endings & SOUND_FILES:
        return "series"
    if odd := endings & OTHER_SOUND:
        raise TaskError(
            f"{folder} holds sound as {', '.join(sorted(odd))}, expected "
            f"{' or '.join(sorted(SOUND_FILES))}",
            hint="convert it, for instance: ffmpeg -i NAME.flac NAME.wav",
        )
    return "text" if any(is_text(file) for file in files) else "images"


def options_of(function: Callable[..., Task]) -> dict[str, Any]:
    """The options of a kind of task with their defaults; what a spec adds is none of them."""
    return {
        key: parameter.default
        for key, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key != "content"
    }


def _value(text: str) -> Any:
    """Read an option: JSON where it is JSON, else text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _make(
    function: Callable[..., Task], arguments: tuple[Any, ...], options: dict[str, Any], name: str
) -> Task:
    accepted = [*options_of(function)]
    if surplus := sorted(set(options) - set(accepted)):
        raise TaskError(
            f"task {name} has no option {', '.join(surplus)}; its options are {', '.join(accepted)}"
        )
    try:
        return function(*arguments, **options)
    except TypeError as error:
        raise TaskError(f"an option of task {name} is of the wrong type: {error}") from error


def _own(path: Path, options: dict[str, Any]) -> Task:
    """Make the task of a user's own file."""
    try:
        module = load_file(path)
    except Exception as error:
        raise TaskError(f"{path} failed while it was loaded: {error!r}") from error
    function = getattr(module, "task", None)
    if not callable(function):
        raise TaskError(
            f"{path} has no function task(**options)", hint="nasplat new task shows one that works"
        )
    try:
        made = function(**options)
    except TaskError:
        raise
    except Exception as error:
        raise TaskError(f"task(**{options}) of {path} failed: {error!r}") from error
    if not isinstance(made, Task):
        raise TaskError(f"task() of {path} returned {type(made).__name__}, expected a Task")
    made.spec = {
        "kind": "file",
        "path": str(path.resolve()),
        "options": options,
        "title": made.name,
        "fingerprint": made.fingerprint,
    }
    return made


def _from_spec(spec: Mapping[str, Any], options: dict[str, Any]) -> Task:
    plain = {**spec, **options}
    expected = plain.pop("fingerprint", None)
    kind, title = plain.pop("kind", None), plain.pop("title", None)
    if kind == "file":
        task = _own(Path(plain["path"]), {**plain.get("options", {})})
    elif kind in KINDS:
        try:
            task = KINDS[kind](**plain)
        except TypeError as error:
            raise TaskError(f"the spec of a task of kind {kind!r} is wrong: {error}") from error
    else:
        raise unknown("kind of task", str(kind), (*KINDS, "file"), TaskError)
    if expected is not None and not options and task.fingerprint != expected:
        raise TaskError(
            f"the data of {task.name} have changed: fingerprint {task.fingerprint}, "
            f"expected {expected}",
            hint="start a new study for the new data",
        )
    if title is not None:
        task.name = title
        task.spec["title"] = title
    return task
