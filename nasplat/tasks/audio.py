"""Sound as numbers: wav files, mu-law, resampling, one length for all.

Nothing here knows classes or splits.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping, Sequence
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplat.errors import TaskError
from nasplat.tasks.npz import SOUND, rows_of

Floats = NDArray[np.float32]

SUFFIXES = frozenset((".wav", ".wave"))
OTHERS = frozenset((".flac", ".ogg", ".mp3", ".m4a", ".opus", ".aiff", ".aif"))
"""Sound that is recognised and refused: it would need decoders that are not dependencies."""
RATES = (100, 192_000)
LONGEST = 1_000_000


def read_wav(file: Path) -> tuple[int, Floats]:
    """Samples per second, and the mean of the channels in [-1, 1].

    Raises:
        TaskError: The file is no wav file that can be read.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that hold no sound
            rate, samples = wavfile.read(file)
    except (OSError, ValueError, EOFError, struct.error) as error:
        raise TaskError(f"{file} cannot be read as a wav file: {error}") from error
    values = to_floats(np.asarray(samples))
    mono = values.mean(1) if values.ndim == 2 else values
    return int(rate), np.asarray(mono, dtype=np.float32)


def to_floats(samples: NDArray[Any]) -> Floats:
    """Samples of any width in [-1, 1]; bytes are unsigned, as in wav files."""
    silence = 128.0 if samples.dtype == np.uint8 else 0.0
    top = 1.0
    if samples.dtype.kind in "iu":
        top = 128.0 if silence else float(np.iinfo(samples.dtype).max)
    return np.asarray((samples - silence) / top, dtype=np.float32)


def decode_mulaw(codes: NDArray[Any]) -> Floats:
    """Bytes of mu-law in [-1, 1]: values with equal steps of the logarithm, code 128 about silence.

    The continuous law, ``sign(v) ((1 + 255)^|v| - 1) / 255`` of ``v = 2 code / 255 - 1``, not the bit
    layout of telephone lines.
    """
    value = 2.0 * codes.astype(np.float32) / 255.0 - 1.0
    loud = (np.power(256.0, np.abs(value)) - 1.0) / 255.0
    return np.asarray(np.sign(value) * loud, dtype=np.float32)


def ragged_sound(found: Mapping[str, NDArray[Any]], where: str) -> list[Floats]:
    """Recordings of an ``.npz`` with ``pcm`` or ``pcm_mulaw`` and ``offsets``, in [-1, 1].

    Raises:
        TaskError: The offsets do not fit.
    """
    name = next(name for name in SOUND if name in found)
    rows = rows_of(found[name], found["offsets"], f"{name} in {where}")
    return [decode_mulaw(row) if name == "pcm_mulaw" else to_floats(row) for row in rows]


def resample(samples: Floats, rate: int, wanted: int) -> Floats:
    """Another number of samples per second, by polyphase filtering."""
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    made = resample_poly(samples, wanted // common, rate // common)
    return np.asarray(made, dtype=np.float32)


def check_rate(rate: int | None, option: str) -> None:
    """Refuse rates that no recording has.

    Raises:
        TaskError: The rate is out of range.
    """
    if rate is not None and not RATES[0] <= rate <= RATES[1]:
        raise TaskError(
            f"{option} must be in [{RATES[0]}, {RATES[1]}] samples per second, got {rate}"
        )


def one_length(rows: Sequence[Floats], length: int | None) -> Floats:
    """Rows cut in the middle or padded with zeros on both sides to ``(n, length)``.

    Args:
        rows: At least one.
        length: Samples that are kept, 1 to 1,000,000; None: those of nine in ten rows, rounded up to a
            multiple of 64 where there are more.

    Raises:
        TaskError: The length is out of range.
    """
    if length is None:
        length = int(np.ceil(np.quantile([len(row) for row in rows], 0.9)))
        length = length if length <= 64 else -(-length // 64) * 64
    if not 1 <= length <= LONGEST:
        raise TaskError(f"length must be in [1, {LONGEST}] samples, got {length}")
    made = np.zeros((len(rows), length), dtype=np.float32)
    for place, row in zip(made, rows, strict=True):
        cut = max(0, len(row) - length) // 2
        kept = row[cut : cut + length]
        start = (length - len(kept)) // 2
        place[start : start + len(kept)] = kept
    return made
