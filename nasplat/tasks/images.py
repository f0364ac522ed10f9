"""A task from a folder of images, one sub-folder per class; decoded once, then read from a cache.

``folder/CLASS/*.jpg`` is split by seed. ``folder/{train,test}/CLASS/*.jpg`` (``val`` optional)
keeps its own test split. The decoded bytes lie in the cache folder under the hash of the files, so
that a worker opens one file instead of thousands.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageOps, UnidentifiedImageError

from nasplat import settings
from nasplat.errors import TaskError
from nasplat.graph.types import Image
from nasplat.tasks.cache import read_cache, write_cache
from nasplat.tasks.classification import ClassificationTask
from nasplat.tasks.splits import Splits, split_all, split_given_test, split_sizes

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
)
PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
DEFAULT_SIDE = 96
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Listing:
    """The image files of a folder with their classes, ready splits one after the other."""

    folder: Path
    files: tuple[Path, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    parts: tuple[int, int, int] | None


def images(
    path: str | Path,
    *,
    size: int | None = None,
    channels: int | None = None,
    natural: bool = True,
    seed: int = 0,
    content: str | None = None,
) -> ClassificationTask:
    """Classes of images: FOLDER/CLASS/IMAGE.jpg.

    Args:
        path: The folder.
        size: Side in pixels, 8 to 512: images are cropped to a square and resized. None: kept when
            all have one size of at most 96 pixels, else 96 (less when most images are smaller).
        channels: 1 (grey), 3 (colour) or 4 (with opacity): images are converted. None: as stored,
            which must then be the same for all.
        natural: Whether images keep their class when mirrored.
        seed: Which image is in which split follows from it.
        content: Hash of the files as found before; when the cache holds it, the files are not read.

    Raises:
        TaskError: The folder, its classes or some files cannot be used; all such files are named.
    """
    folder = Path(path).expanduser().resolve()
    if size is not None and not 8 <= size <= 512:
        raise TaskError(f"size of images must be in [8, 512], got {size}")
    if channels is not None and channels not in MODES:
        raise TaskError(f"channels must be 1, 3 or 4, got {channels}")
    listing = list_images(folder)
    mark = content or hash_files(listing)
    cached = (
        settings.cache() / "images" / f"{mark}-{size or 'auto'}-{channels or 'auto'}.safetensors"
    )
    found = read_cache(cached)
    if found is None or len(found[0]["pixels"]) != len(listing.files):
        if content is not None and (met := hash_files(listing)) != content:
            raise TaskError(
                f"the files in {folder} have changed: their hash is {met}, expected {content}",
                hint="start a new study for the new data",
            )
        made, resized = decode(listing, size=size, channels=channels)
        found = {"pixels": made}, {"resized": "yes" if resized else "no"}
        write_cache(cached, *found)
    pixels, about = found[0]["pixels"], found[1]
    side, depth = (pixels.shape[2], pixels.shape[3]), pixels.shape[1]
    return ClassificationTask(
        name=str(path),
        spec={
            "kind": "images",
            "path": str(folder),
            "size": size,
            "channels": channels,
            "natural": natural,
            "seed": seed,
            "content": mark,
        },
        examples=torch.from_numpy(pixels),
        labels=torch.from_numpy(listing.labels),
        classes=listing.classes,
        splits=splits_of(listing, seed),
        input_type=Image(depth, *side),
        natural=natural,
        source={"crop": "centre", "resize": list(side), "mode": MODES[depth]},
        note=f"{'resized to ' * (about['resized'] == 'yes')}{side[1]}x{side[0]}",
        content=mark,
    )


def list_images(
    folder: Path, *, suffixes: Collection[str] = SUFFIXES, noun: str = "image"
) -> Listing:
    """Find the classes and files of a folder.

    Args:
        folder: With a sub-folder for each class, or such folders in ``train`` and ``test``.
        suffixes: Endings of the files that count, in lower case.
        noun: What a file is called in errors.

    Raises:
        TaskError: There is no such folder, it has fewer than two classes, or classes are empty.
    """
    if not folder.is_dir():
        raise TaskError(f"there is no folder {folder}")
    parts = {PARTS[sub.name.lower()]: sub for sub in _folders(folder) if sub.name.lower() in PARTS}
    if {"train", "test"} <= set(parts) and len(parts) == len(_folders(folder)):
        roots = [parts[part] for part in ("train", "val", "test") if part in parts]
    else:
        parts, roots = {}, [folder]
    classes = tuple(sorted({sub.name for root in roots for sub in _folders(root)}))
    if len(classes) < 2:
        found = f"only {classes[0]!r}" if classes else "none"
        raise TaskError(
            f"{folder} needs at least two sub-folders of {noun}s, one per class; found {found}",
            hint=f"expected layout: FOLDER/CLASS/{noun.upper()}{min(suffixes)}",
        )
    files: list[Path] = []
    labels: list[int] = []
    lengths: list[int] = []
    empty: list[str] = []
    for root in roots:
        before = len(files)
        for number, name in enumerate(classes):
            inside = sorted(
                file
                for file in (root / name).rglob("*")
                if file.suffix.lower() in suffixes and not file.is_dir()
            )
            if not inside:
                empty.append(str((root / name).relative_to(folder)))
            files += inside
            labels += [number] * len(inside)
        lengths.append(len(files) - before)
    if empty:
        raise TaskError(
            f"classes of {folder} without {noun}s: {', '.join(empty)}",
            hint=f"remove the empty folders, or add files ending in {', '.join(sorted(suffixes))}",
        )
    ready = None
    if parts:
        ready = (lengths[0], lengths[1] if len(lengths) == 3 else 0, lengths[-1])
    return Listing(folder, tuple(files), np.array(labels, dtype=np.int64), classes, ready)


def _folders(root: Path) -> list[Path]:
    return sorted(sub for sub in root.iterdir() if sub.is_dir() and not sub.name.startswith("."))


def splits_of(listing: Listing, seed: int) -> Splits:
    """The ready splits of a folder, or stratified ones."""
    if listing.parts is None:
        return split_all(listing.labels, seed, classes=listing.classes)
    train, validation, test = listing.parts
    if not validation:
        return split_given_test(listing.labels, test, seed, classes=listing.classes)
    return split_sizes((train, validation, test))


def hash_files(listing: Listing) -> str:
    """Hash names, classes and bytes of all files.

    Raises:
        TaskError: Files cannot be opened; all are named.
    """
    mark = hashlib.blake2b(digest_size=16)
    unreadable = []
    for file in listing.files:
        try:
            inside = hashlib.blake2b(file.read_bytes(), digest_size=16).digest()
        except OSError as error:
            unreadable.append((file, error.strerror or str(error)))
            continue
        mark.update(str(file.relative_to(listing.folder)).encode() + b"\0" + inside)
    if unreadable:
        raise files_error(listing, unreadable, "cannot be opened", "check links and permissions")
    return mark.hexdigest()


def decode(
    listing: Listing, *, size: int | None, channels: int | None
) -> tuple[NDArray[np.uint8], bool]:
    """Read all files to ``(n, channels, height, width)`` bytes, and say whether any was resized.

    Raises:
        TaskError: Files are corrupt, or their channels are mixed; all are named.
    """
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        heads = list(pool.map(_head, listing.files))
    corrupt = [
        (f, head) for f, head in zip(listing.files, heads, strict=True) if isinstance(head, str)
    ]
    sides = [head[0] for head in heads if not isinstance(head, str)]
    depths = [head[1] for head in heads if not isinstance(head, str)]
    if corrupt:
        raise files_error(listing, corrupt, "cannot be read as images", "repair or remove them")
    if channels is None:
        channels = _same_depth(listing, depths)
    target = (size, size) if size else common_size(sides)

    def read(file: Path) -> NDArray[np.uint8] | str:
        try:
            with Picture.open(file) as picture:
                upright = ImageOps.exif_transpose(picture).convert(MODES[channels])
                square = ImageOps.fit(upright, target, Picture.Resampling.BICUBIC)
                return np.asarray(square, dtype=np.uint8).reshape(target[1], target[0], channels)
        except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError) as error:
            return _reason(error)

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        read_all = list(pool.map(read, listing.files))
    corrupt = [
        (f, got) for f, got in zip(listing.files, read_all, strict=True) if isinstance(got, str)
    ]
    if corrupt:
        raise files_error(listing, corrupt, "cannot be read as images", "repair or remove them")
    stacked = np.stack([got for got in read_all if not isinstance(got, str)])
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)), set(sides) != {target}


def _head(file: Path) -> tuple[tuple[int, int], int] | str:
    """Size and channels of a file without decoding it, or why it cannot be opened."""
    try:
        with Picture.open(file) as picture:
            if picture.mode == "P":
                return picture.size, 3
            return picture.size, {"LA": 4, "RGBA": 4, "PA": 4}.get(
                picture.mode, 1 if picture.mode in ("1", "L", "I", "F", "I;16") else 3
            )
    except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError) as error:
        return _reason(error)


def _reason(error: BaseException) -> str:
    return "not an image" if isinstance(error, UnidentifiedImageError) else str(error)


def _same_depth(listing: Listing, depths: Sequence[int]) -> int:
    counts = Counter(depths)
    if len(counts) == 1:
        return depths[0]
    usual = counts.most_common(1)[0][0]
    odd = [
        (file, f"{depth} channel{'s' * (depth > 1)}")
        for file, depth in zip(listing.files, depths, strict=True)
        if depth != usual
    ]
    raise files_error(
        listing,
        odd,
        f"differ from the others, which have {usual} channel{'s' * (usual > 1)}",
        "convert them, or let nasplat do it with channels=3 (colour) or channels=1 (grey)",
    )


def common_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Width and height for images of these: their own when small and equal, else a square."""
    if len(set(sizes)) == 1 and max(sizes[0]) <= DEFAULT_SIDE and min(sizes[0]) >= 8:
        return sizes[0]
    usual = int(np.median([min(size) for size in sizes]))
    side = max(8, min(DEFAULT_SIDE, usual // 8 * 8))
    return side, side


def files_error(
    listing: Listing, files: Sequence[tuple[Path, str]], what: str, hint: str
) -> TaskError:
    """The error for files that cannot be used, the first ten named."""
    named = [f"{file.relative_to(listing.folder)} ({reason})" for file, reason in files[:10]]
    more = f" and {len(files) - 10} more" if len(files) > 10 else ""
    return TaskError(
        f"{len(files)} of {len(listing.files)} files in {listing.folder} {what}: "
        f"{', '.join(named)}{more}",
        hint=hint,
    )
