"""Separation: from a mixture of recordings to the recordings, in any order.

Mixtures are sums of recordings of the same split, each brought to the same loudness and then changed by
up to 2.5 dB, as is done for benchmarks of speech separation [Hershey2016]. Which recordings are mixed
is fixed by the seed. The loss is the negative scale-invariant signal-to-distortion ratio of the best
order of a model's outputs [Yu2017].

[Hershey2016] J. Hershey et al.: Deep clustering, ICASSP.
[Yu2017] D. Yu et al.: Permutation invariant training, ICASSP.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasplat.errors import TaskError
from nasplat.graph.types import Series
from nasplat.tasks.arrays import check_labels
from nasplat.tasks.audio import SUFFIXES, check_rate, one_length
from nasplat.tasks.augment import Augment
from nasplat.tasks.images import Listing, hash_files
from nasplat.tasks.indexed import INPUT, IndexedTask
from nasplat.tasks.meters import Meter, SeparationScore, best_si_sdr, directions
from nasplat.tasks.npz import SOUND, content_of, labels_of, read_npz
from nasplat.tasks.series import read_all, sound_of
from nasplat.tasks.splits import split_plain, split_sizes

OUTPUT = "sources"
MOST_SOURCES = 4
LOUDNESS = 2.5
"""Decibels by which a recording of a mixture is louder or softer, at most."""


class SeparationTask(IndexedTask):
    """``Series(1, length) -> Series(sources, length)``.

    Args:
        name: How the task is called in tables.
        spec: JSON from which ``load_task`` makes it again; title and fingerprint are added.
        recordings: ``(n, length)``.
        speakers: ``(n,)`` numbers: recordings of one mixture have different ones; None: any recordings
            are mixed.
        sources: Recordings in a mixture, 2 to 4.
        count: Mixtures of all splits, at least 10; 80/10/10 for training, validation and test.
        seed: Splits and mixtures follow from it.
        source: JSON that says how recordings were made.
        note: End of the ``describe`` line.
        content: Hash of the raw data when it is known; None: the recordings are hashed.

    Raises:
        TaskError: There are too few recordings or speakers in a split, or an option is out of range.
    """

    def __init__(
        self,
        *,
        name: str,
        spec: Mapping[str, Any],
        recordings: NDArray[np.float32],
        speakers: NDArray[np.int64] | None = None,
        sources: int = 2,
        count: int = 1000,
        seed: int = 0,
        source: Mapping[str, Any] | None = None,
        note: str = "",
        content: str | None = None,
    ) -> None:
        if not 2 <= sources <= MOST_SOURCES:
            raise TaskError(f"sources must be in [2, {MOST_SOURCES}], got {sources}")
        if not 10 <= count <= 10_000_000:
            raise TaskError(f"count must be in [10, 10000000] mixtures, got {count}")
        loud = np.sqrt(np.square(recordings, dtype=np.float64).mean(1))
        kept = np.flatnonzero(loud > 1e-6)
        values = recordings[kept] / loud[kept, None].astype(np.float32)
        parts = split_plain(len(kept), seed)
        held = max(1, round(0.1 * count))
        sizes = (count - 2 * held, held, held)
        rng = np.random.default_rng(seed)
        names = None if speakers is None else speakers[kept]
        chosen = [
            _mixtures(part, names, size, sources, rng, split)
            for split, part, size in zip(
                ("train", "validation", "test"),
                (parts.train, parts.validation, parts.test),
                sizes,
                strict=True,
            )
        ]
        decibels = rng.uniform(-LOUDNESS, LOUDNESS, (count, sources, 1))
        length = recordings.shape[1]
        raw = torch.from_numpy(np.ascontiguousarray(recordings))
        super().__init__(
            name=name,
            spec=spec,
            splits=split_sizes(sizes),
            about=["separation", length, sources, count, seed, dict(source or {})],
            content=content,
            tensors=(raw,),
        )
        self._recordings = torch.from_numpy(values)
        self._chosen = torch.from_numpy(np.concatenate(chosen))
        self._gains = torch.from_numpy(10 ** (decibels / 20)).float()
        self.inputs = {INPUT: Series(1, length)}
        self.outputs = {OUTPUT: Series(sources, length)}
        self.metrics = directions(SeparationScore.METRICS)
        self.preprocessing = {**(source or {}), "loudness": "root mean square 1 for each source"}
        self._note = note

    def _batch(
        self, chosen: Tensor, augment: Augment | None, generator: torch.Generator
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        sources = self._recordings[self._chosen[chosen]] * self._gains[chosen]
        return (sources.sum(1, keepdim=True),), sources

    def _loss(self, output: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """Negative SI-SDR in dB of the best order of the outputs."""
        return -best_si_sdr(output, targets).mean()

    def _meter(self) -> Meter:
        return SeparationScore()

    def describe(self) -> str:
        """One line: how many mixtures of how many recordings, how split, how made."""
        (kind,) = self.outputs.values()
        end = f", {self._note}" if self._note else ""
        return (
            f"{self.name}: {sum(self.sizes.values()):,} mixtures of {kind.shape[0]} of "
            f"{len(self._recordings):,} recordings, {self._shares()}{end}"
        )


def separation(
    path: str | Path,
    *,
    sources: int = 2,
    count: int = 1000,
    length: int | None = None,
    rate: int | None = None,
    source_rate: int | None = None,
    label: str | None = None,
    seed: int = 0,
) -> SeparationTask:
    """Recordings from their mixtures: a folder of .wav files, or an ``.npz``.

    Args:
        path: A folder of ``.wav`` files, in folders of their speakers (or instruments) or directly; or an
            ``.npz`` of ``pcm`` or ``pcm_mulaw`` with ``offsets``.
        sources: Recordings in a mixture, 2 to 4.
        count: Mixtures of all splits.
        length: Samples of a mixture; None: the length of nine in ten recordings.
        rate: Samples per second that recordings are brought to; None: the lowest of the files, or as
            stored.
        source_rate: Samples per second of an ``.npz``; needed when ``rate`` is given.
        label: Array of an ``.npz`` that says who speaks: those of one mixture differ in it.
        seed: Splits and mixtures follow from it.

    Raises:
        TaskError: Recordings cannot be read, or there are too few.
    """
    check_rate(rate, "rate")
    check_rate(source_rate, "source_rate")
    where = Path(path).expanduser().resolve()
    speakers: NDArray[np.int64] | None = None
    about: dict[str, Any]
    if where.is_dir():
        if label is not None or source_rate is not None:
            raise TaskError("label and source_rate are for .npz files: folders name who speaks")
        recordings, speakers, about, content = _folder(where, length, rate)
    else:
        found = read_npz(where)
        if not any(kind in found for kind in SOUND) or "offsets" not in found:
            raise TaskError(
                f"{where} holds no recordings but the arrays {', '.join(sorted(found))}; expected "
                f"{' or '.join(SOUND)}, and offsets"
            )
        options = {"length": length, "rate": rate, "source_rate": source_rate}
        recordings, about = sound_of(found, str(path), options)
        content = f"{content_of(found)} {label}"
        if label is not None:
            y = check_labels(labels_of(found, len(recordings), label, str(path)), where=str(path))
            speakers = np.unique(y, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return SeparationTask(
        name=str(path),
        spec={
            "kind": "separation",
            "path": str(where),
            "sources": sources,
            "count": count,
            "length": length,
            "rate": rate,
            "source_rate": source_rate,
            "label": label,
            "seed": seed,
        },
        recordings=recordings,
        speakers=speakers,
        sources=sources,
        count=count,
        seed=seed,
        source=about,
        note=f"{recordings.shape[1]} samples",
        content=content,
    )


def digits_mixed(*, sources: int = 2, count: int = 1000, seed: int = 0) -> SeparationTask:
    """Hand-written digits laid over each other, each a series of 64 pixels; no download.

    Args:
        sources: Digits in a mixture, 2 to 4; they differ.
        count: Mixtures of all splits.
        seed: Splits and mixtures follow from it.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return SeparationTask(
        name="digits-mixed",
        spec={"kind": "digits-mixed", "sources": sources, "count": count, "seed": seed},
        recordings=pixels.astype(np.float32) / 16,
        speakers=labels.astype(np.int64),
        sources=sources,
        count=count,
        seed=seed,
        note="64 pixels, row by row",
    )


def _folder(
    folder: Path, length: int | None, rate: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int64] | None, dict[str, Any], str]:
    files = tuple(
        file
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in SUFFIXES and file.is_file()
    )
    if not files:
        raise TaskError(
            f"there are no recordings in {folder}: no file ends with {' or '.join(sorted(SUFFIXES))}"
        )
    owners = [str(file.parent.relative_to(folder)) for file in files]
    names, numbers = np.unique(owners, return_inverse=True)
    listing = Listing(folder, files, numbers.reshape(-1).astype(np.int64), tuple(names), None)
    rows, chosen = read_all(listing, rate)
    recordings = one_length(rows, length)
    about = {"rate": chosen, "channels": "mean", "length": recordings.shape[1]}
    speakers = listing.labels if len(names) > 1 else None
    return recordings, speakers, about, hash_files(listing)


def _mixtures(
    part: NDArray[np.int64],
    speakers: NDArray[np.int64] | None,
    count: int,
    sources: int,
    rng: np.random.Generator,
    split: str,
) -> NDArray[np.int64]:
    """Numbers of the recordings of each mixture, ``(count, sources)``.

    Raises:
        TaskError: There are fewer different recordings or speakers than sources.
    """
    names = part if speakers is None else speakers[part]
    groups = [part[names == name] for name in np.unique(names)]
    if len(groups) < sources:
        what = "recordings" if speakers is None else "speakers"
        raise TaskError(
            f"mixtures of {sources} need as many {what}, the {split} split has {len(groups)}",
            hint="add recordings",
        )
    made = np.empty((count, sources), dtype=np.int64)
    for row in made:
        for place, group in enumerate(rng.choice(len(groups), sources, replace=False)):
            row[place] = rng.choice(groups[group])
    return made
