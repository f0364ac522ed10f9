"""A segmentation task of one's own: a folder of images and masks, or an ``.npz`` of both.

Folder: ``images/`` and ``masks/`` (also ``labels/`` or ``annotations/``) with a mask of the same stem for
every image, or such pairs of folders in ``train``, ``val`` and ``test``. Masks are pictures whose pixel
values are the classes; in colour masks every colour is one. ``classes.txt`` may name the classes, one a
line, in the order of their values.

``.npz``: images as for classification, or volumes, and masks ``(N, H, W)`` or ``(N, D, H, W)`` of whole
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageOps

from nasplat import settings
from nasplat.errors import TaskError
from nasplat.graph.types import Image, Volume
from nasplat.tasks.cache import read_cache, write_cache
from nasplat.tasks.images import (
    MODES,
    PARTS,
    SUFFIXES,
    Listing,
    common_size,
    decode,
    files_error,
    hash_files,
)
from nasplat.tasks.npz import content_of, join_splits, read_npz
from nasplat.tasks.segmentation import LARGEST, VOID, SegmentationTask
from nasplat.tasks.splits import Splits, split_plain, split_sizes

Array = NDArray[Any]

MASKS = ("masks", "labels", "annotations")
UNKNOWN = 255
"""Value that means void in masks by custom, where other classes than 0 occur beside it."""


def segmentation(
    path: str | Path,
    *,
    size: int | None = None,
    channels: int | None = None,
    layout: str | None = None,
    void: int | str | None = None,
    natural: bool = True,
    dice: float = 0.0,
    seed: int = 0,
    content: str | None = None,
) -> SegmentationTask:
    """A class for each pixel: FOLDER/images and FOLDER/masks, or an ``.npz`` of both.

    Args:
        path: A folder or an ``.npz`` file.
        size: Side in pixels, 8 to 512, that the files of a folder are cropped and resized to; None: as
            for classification.
        channels: 1, 3 or 4, for the images of a folder; None: as stored.
        layout: ``first`` or ``last``: where the channels of an ``.npz`` stand; None: told from the masks.
        void: Value of masks that stands for no class, or ``none``; None: 255, where masks hold it
            beside others than 0.
        natural: Whether images mean the same when mirrored.
        dice: Weight of the Dice loss beside the cross-entropy.
        seed: Which image is in which split follows from it.
        content: Hash of the files of a folder as found before; when the cache holds it, they are not
            read.

    Raises:
        TaskError: Files, names, shapes or values cannot be used; all offences of a kind are named.
    """
    where = Path(path).expanduser().resolve()
    spec = {
        "kind": "segmentation",
        "path": str(where),
        "size": size,
        "channels": channels,
        "layout": layout,
        "void": void,
        "natural": natural,
        "dice": dice,
        "seed": seed,
    }
    if where.is_dir():
        if layout is not None:
            raise TaskError("layout is for .npz files, not for folders")
        images, raw, names, splits, mark = _folder(where, size, channels, seed, content)
        spec["content"] = mark
    else:
        if size is not None or channels is not None:
            raise TaskError("size and channels are for folders, not for .npz files")
        images, raw, names, splits, mark = _npz(where, layout, seed)
    masks, classes = number_classes(raw, void, names, str(path))
    shape = images.shape[1:]
    kind = Image(*shape) if len(shape) == 3 else Volume(*shape)
    return SegmentationTask(
        name=str(path),
        spec=spec,
        examples=torch.from_numpy(images),
        masks=torch.from_numpy(masks),
        classes=classes,
        splits=splits,
        input_type=kind,
        natural=natural,
        dice=dice,
        source={"shape": list(shape), "mode": MODES.get(shape[0], "channels")},
        note=str(kind),
        content=f"{mark} {void}",
    )


def number_classes(
    raw: Array, void: int | str | None, names: Sequence[str], where: str
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Masks as bytes, classes numbered from 0 in the order of their values, ``VOID`` for no class.

    Args:
        raw: Whole numbers.
        void: As for :func:`segmentation`.
        names: Name of value 0, 1, ...; none: values name themselves. With names every named value is a
            class, whether it occurs or not.
        where: Named in errors.

    Raises:
        TaskError: There are fewer than 2 or more than 255 classes, or values without a name.
    """
    values = np.unique(raw)
    if void is None:
        nothing = UNKNOWN if UNKNOWN in values and ((values > 0) & (values < 255)).any() else None
    elif void == "none":
        nothing = None
    elif isinstance(void, int) and not isinstance(void, bool):
        nothing = void
    else:
        raise TaskError(f"void must be a whole number or none, got {void!r}")
    kept = values[values != nothing] if nothing is not None else values
    if names:
        beyond = kept[(kept < 0) | (kept >= len(names))]
        if len(beyond):
            raise TaskError(
                f"masks of {where} hold the value {beyond[0]}, classes.txt or classes names 0 to "
                f"{len(names) - 1}",
                hint=f"name it, or leave it out: void={beyond[0]}",
            )
        kept = np.array([n for n in range(len(names)) if n != nothing], dtype=values.dtype)
        classes = tuple(names[int(value)] for value in kept)
    else:
        classes = tuple(str(value) for value in kept)
    if not 2 <= len(kept) <= LARGEST:
        raise TaskError(
            f"masks of {where} hold {len(kept)} classes beside void, expected 2 to {LARGEST}",
            hint="masks are class numbers, one for each pixel; is a value void that should not be? "
            "void=none",
        )
    numbers = np.searchsorted(kept, raw)
    numbers = np.where(numbers < len(kept), numbers, 0)
    return np.where(kept[numbers] == raw, numbers, VOID).astype(np.uint8), classes


def _npz(
    file: Path, layout: str | None, seed: int
) -> tuple[Array, Array, tuple[str, ...], Splits, str]:
    found = read_npz(file)
    pair = join_splits(found, file, others=("classes",))
    masks = pair.y
    if masks.dtype.kind not in "iub" or masks.ndim not in (3, 4):
        raise TaskError(
            f"masks of {file} have shape {masks.shape} of {masks.dtype}; expected whole numbers "
            "(N, H, W), or (N, D, H, W) for volumes"
        )
    images = _channels_first(pair.x, masks.shape[1:], layout, file)
    names = found.get("classes", np.array([], dtype=str))
    splits = _splits(pair.sizes, len(images), seed)
    return images, masks, tuple(str(name) for name in names), splits, content_of(found)


def _channels_first(x: Array, positions: tuple[int, ...], layout: str | None, file: Path) -> Array:
    """Examples as ``(n, channels, *positions)``, bytes or floats."""
    if layout not in (None, "first", "last"):
        raise TaskError(f"layout must be first or last, got {layout!r}")
    if x.dtype.kind not in "fiub":
        raise TaskError(f"images of {file} must be numbers, they are of type {x.dtype}")
    if x.shape[1:] == positions:
        found = x[:, None]
    else:
        first, last = x.shape[2:] == positions, x.shape[1:-1] == positions
        if not first and not last:
            raise TaskError(
                f"images of {file} have shape {x.shape[1:]} and masks {positions}: they do not fit",
                hint="masks need the positions of the images, without channels",
            )
        if first and last and layout is None:
            raise TaskError(
                f"the channels of images of shape {x.shape[1:]} in {file} cannot be told",
                hint="say where they stand: layout=first or layout=last",
            )
        if (layout == "first" and not first) or (layout == "last" and not last):
            raise TaskError(
                f"images of {file} of shape {x.shape[1:]} do not have channels {layout}"
            )
        found = np.moveaxis(x, -1, 1) if last and layout != "first" else x
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise TaskError(f"images of {file} hold NaN or infinity")
    kept = found if found.dtype == np.uint8 else found.astype(np.float32)
    return np.ascontiguousarray(kept)


def _splits(sizes: tuple[int, int, int] | None, count: int, seed: int) -> Splits:
    if sizes is None:
        return split_plain(count, seed)
    if sizes[1]:
        return split_sizes(sizes)
    rest = split_plain(sizes[0], seed, fractions=(8 / 9, 1 / 9, 0.0))
    # What was laid aside for testing there joins the training split: a test split is given.
    train = np.sort(np.concatenate((rest.train, rest.test)))
    return Splits(train, rest.validation, np.arange(sizes[0], count, dtype=np.int64))


def _folder(
    folder: Path, size: int | None, channels: int | None, seed: int, content: str | None
) -> tuple[Array, Array, tuple[str, ...], Splits, str]:
    if size is not None and not 8 <= size <= 512:
        raise TaskError(f"size of images must be in [8, 512], got {size}")
    if channels is not None and channels not in MODES:
        raise TaskError(f"channels must be 1, 3 or 4, got {channels}")
    listing, count, sizes = list_pairs(folder)
    names = _class_names(folder)
    mark = content or hash_files(listing)
    cached = (
        settings.cache() / "masks" / f"{mark}-{size or 'auto'}-{channels or 'auto'}.safetensors"
    )
    found = read_cache(cached)
    if found is None or len(found[0]["images"]) != count:
        if content is not None and (met := hash_files(listing)) != content:
            raise TaskError(
                f"the files in {folder} have changed: their hash is {met}, expected {content}",
                hint="start a new study for the new data",
            )
        pictures = Listing(folder, listing.files[:count], listing.labels[:count], (), None)
        masks = Listing(folder, listing.files[count:], listing.labels[count:], (), None)
        target = _sizes_agree(pictures, masks)
        if size is None and min(target) < 8:
            raise TaskError(f"images of {folder} must have sides of 8 pixels at least")
        images, _ = decode(pictures, size=size, channels=channels)
        raw = _decoded_masks(masks, (images.shape[3], images.shape[2]))
        found = {"images": images, "masks": raw}, {}
        write_cache(cached, *found)
    images, raw = found[0]["images"], found[0]["masks"]
    return images, raw, names, _splits(sizes, count, seed), mark


def list_pairs(folder: Path) -> tuple[Listing, int, tuple[int, int, int] | None]:
    """The images of a folder, then their masks in the same order; their number; ready splits.

    Raises:
        TaskError: Folders are missing, or images without masks or the other way round; all are named.
    """
    subs = {sub.name.lower(): sub for sub in folder.iterdir() if sub.is_dir()}
    parts = {PARTS[name]: sub for name, sub in subs.items() if name in PARTS}
    roots = [parts[part] for part in ("train", "val", "test") if part in parts]
    if "images" in subs:
        parts, roots = {}, [folder]
    elif not {"train", "test"} <= set(parts):
        raise TaskError(
            f"{folder} has no folders images and masks",
            hint="expected layout: FOLDER/images/NAME.jpg and FOLDER/masks/NAME.png",
        )
    images: list[Path] = []
    masks: list[Path] = []
    lengths: list[int] = []
    for root in roots:
        pictures, marks = _stems(root, "images"), _stems(root, *MASKS)
        alone = sorted(set(pictures) ^ set(marks))
        if alone:
            shown = ", ".join(alone[:10]) + (f" and {len(alone) - 10} more" * (len(alone) > 10))
            raise TaskError(
                f"{len(alone)} files in {root} have no partner: {shown}",
                hint="an image and its mask have the same name but for the ending",
            )
        images += [pictures[stem] for stem in sorted(pictures)]
        masks += [marks[stem] for stem in sorted(pictures)]
        lengths.append(len(pictures))
    sizes = None
    if parts:
        sizes = (lengths[0], lengths[1] if len(lengths) == 3 else 0, lengths[-1])
    labels = np.zeros(2 * len(images), dtype=np.int64)
    return Listing(folder, tuple(images + masks), labels, (), None), len(images), sizes


def _stems(root: Path, *names: str) -> dict[str, Path]:
    """Image files below one of the folders, by stem."""
    for name in names:
        if (root / name).is_dir():
            inside = root / name
            break
    else:
        raise TaskError(
            f"{root} has no folder {' or '.join(names)}",
            hint="expected layout: FOLDER/images/NAME.jpg and FOLDER/masks/NAME.png",
        )
    files = [file for file in inside.rglob("*") if file.suffix.lower() in SUFFIXES]
    found = {str(file.relative_to(inside).with_suffix("")): file for file in sorted(files)}
    if not found:
        raise TaskError(f"there are no images in {inside}")
    if len(found) < len(files):
        raise TaskError(f"{inside} holds files with the same name but for the ending")
    return found


def _class_names(folder: Path) -> tuple[str, ...]:
    file = folder / "classes.txt"
    if not file.is_file():
        return ()
    lines = file.read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def _sizes_agree(pictures: Listing, masks: Listing) -> tuple[int, int]:
    """Refuse masks of another size than their images; the usual size."""
    odd: list[tuple[Path, str]] = []
    sizes: list[tuple[int, int]] = []
    for picture, mask in zip(pictures.files, masks.files, strict=True):
        try:
            with Picture.open(picture) as image, Picture.open(mask) as drawn:
                sizes.append(image.size)
                if image.size != drawn.size:
                    odd.append((mask, f"{drawn.size} beside {image.size}"))
        except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError) as error:
            odd.append((mask, f"{error}"))
    if odd:
        raise files_error(masks, odd, "do not fit their images", "draw them again, pixel by pixel")
    return common_size(sizes)


def _decoded_masks(listing: Listing, target: tuple[int, int]) -> Array:
    """Pixel values ``(n, height, width)``; colours as one number each."""
    found = []
    wrong: list[tuple[Path, str]] = []
    for file in listing.files:
        try:
            with Picture.open(file) as picture:
                plain = picture if picture.mode in ("P", "L", "1", "I", "I;16") else None
                square = ImageOps.fit(
                    plain or picture.convert("RGB"), target, Picture.Resampling.NEAREST
                )
                found.append(_values(np.asarray(square)))
        except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError) as error:
            wrong.append((file, str(error)))
    if wrong:
        raise files_error(listing, wrong, "cannot be read as masks", "repair or remove them")
    return np.stack(found)


def _values(pixels: Array) -> NDArray[np.int32]:
    if pixels.ndim == 2:
        return pixels.astype(np.int32)
    red, green, blue = (pixels[..., band].astype(np.int32) for band in range(3))
    return (red << 16) | (green << 8) | blue
