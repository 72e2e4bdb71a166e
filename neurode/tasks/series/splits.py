"""Which series train the model, which judge it, which calibrate its intervals: four sets that share no series.

Many series are split by a hash of their key, so the same series falls into the same set in every run with the same
seed, on every machine, whatever other series the table holds. One long series is split by time (`pieces`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from neurode.core.errors import DataError
from neurode.data.series import Series

PARTS = ("train", "validation", "calibration", "test")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Split(Generic[Item]):
    """Four disjoint sets: `train` fits weights and scalers, `validation` stops training, `calibration` sets the width
    of intervals, `test` is used for reported figures only."""

    train: tuple[Item, ...]
    validation: tuple[Item, ...]
    calibration: tuple[Item, ...]
    test: tuple[Item, ...]

    @property
    def sizes(self) -> dict[str, int]:
        return {part: len(getattr(self, part)) for part in PARTS}


def key_hash(key: tuple, seed: int = 0) -> float:
    """A number in [0, 1) that depends on the key's text and the seed only (SHA-256; not Python's salted hash)."""
    text = "\x1f".join([str(int(seed)), *(_key_text(part) for part in key)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56


def _key_text(part: object) -> str:
    # 7, 7.0 and numpy's 7 are one series, whichever type a file's reader chose.
    if isinstance(part, (int, float, np.number)) and float(part).is_integer():
        return str(int(part))
    return str(part)


def split_by_key(series: Sequence[Series], shares: Sequence[float], seed: int) -> Split[Series]:
    """Split many series by `key_hash`.

    shares: of validation, calibration and test; the rest trains. The hash alone decides, except that a set that got
    less than four fifths of its share (of fewer than 100 series: less than its share), or nothing, takes the series
    nearest to its range: chance is kind to thousands of series, but may leave sixty of them with three to test on.
    Raises DataError with fewer than 8 series: each set needs at least one, and training several.
    """
    if len(series) < 8:
        raise DataError(
            f"there are {len(series)} series with observations, and at least 8 are needed to train, stop, calibrate "
            "and test on different ones. Give more series, or a single long series without an id column (it is cut "
            "into windows)."
        )
    hashes = np.array([key_hash(one.key, seed) for one in series])
    train_share = 1 - sum(shares)
    borders = np.cumsum([train_share, *shares])[:-1]
    part = np.searchsorted(borders, hashes, side="right")
    slack = np.array([0.8, *([1.0 if len(series) < 100 else 0.8] * 3)])
    least = np.maximum(1, np.floor(slack * len(series) * np.array([train_share, *shares]) + 1e-9)).astype(int)
    edges = np.concatenate([[0.0], borders, [1.0]])
    for wanted in (3, 2, 1, 0):
        while np.sum(part == wanted) < least[wanted]:
            spare = (np.bincount(part, minlength=4) > least)[part] & (part != wanted)
            part[np.argmin(np.where(spare, np.abs(hashes - edges[wanted : wanted + 2].mean()), np.inf))] = wanted
    return Split(*(tuple(one for one, of in zip(series, part, strict=True) if of == wanted) for wanted in range(4)))
