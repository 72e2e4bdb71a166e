"""A corpus in four parts: to train on, to stop on, to train judges on, and to draw pairs from."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from neurode.core.errors import DataError
from neurode.data.text.near_duplicates import near_duplicate_groups

PARTS = ("train", "validation", "judge", "pairs")


@dataclass(frozen=True, eq=False)
class Splits:
    """Places of sentences in the list that was split, increasing, each in exactly one part.

    train: models learn from it. validation: training stops by it. judge: judges learn from it, and no model sees it.
    pairs: the ends of paths, seen by nobody. labels: (n,) int64, equal for near-duplicates, which are never parted.
    """

    train: np.ndarray
    validation: np.ndarray
    judge: np.ndarray
    pairs: np.ndarray
    labels: np.ndarray

    @property
    def parts(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in PARTS}

    @property
    def near_duplicate_share(self) -> float:
        """Which part of all sentences has a near-duplicate."""
        sizes = np.bincount(self.labels)
        return float((sizes[self.labels] > 1).mean())

    @property
    def largest_group(self) -> int:
        """Sentences in the largest group of near-duplicates."""
        return int(np.bincount(self.labels).max())

    def summary(self) -> str:
        """One sentence for a log: sizes of the parts, and the near-duplicates that were kept together."""
        sizes = ", ".join(f"{name} {len(places):,}" for name, places in self.parts.items())
        return (
            f"{len(self.labels):,} sentences: {sizes}; {self.near_duplicate_share:.1%} have a near-duplicate, and "
            f"all of a group are in one part (the largest group: {self.largest_group:,})."
        )


def split_corpus(
    sentences: Sequence[str],
    *,
    validation: float = 0.05,
    judge: float = 0.25,
    pairs: float = 0.05,
    shared_letters: int | None = 16,
    seed: int = 0,
) -> Splits:
    """Split by a hash of each sentence's normal form; near-duplicates (`near_duplicate_groups`) stay together.

    The part of a sentence depends on the sentences of its group and on `seed`, not on the order or the rest of the
    file: sentences added later leave the others where they are, unless they join them to a group. Shares are expected
    ones, of sentences; the rest is `train`. A share of 0 leaves that part empty on purpose.
    shared_letters: as in `near_duplicate_groups`; None keeps only equal sentences together, for made corpora.
    Raises ValueError for shares below 0 or that leave nothing to train on, DataError where a part with a share gets no
    sentence.
    """
    shares = {"validation": validation, "judge": judge, "pairs": pairs}
    if min(shares.values()) < 0 or sum(shares.values()) >= 1:
        given = ", ".join(f"{name}={share}" for name, share in shares.items())
        raise ValueError(f"shares must not be negative and must leave some to train on; got {given}.")
    labels, keys = near_duplicate_groups(sentences, shared_letters)
    chance = _uniforms(keys, seed)
    edges = np.cumsum([0.0, *shares.values()])
    found = {
        name: np.flatnonzero((chance >= low) & (chance < high))
        for name, low, high in zip(shares, edges, edges[1:], strict=False)
    }
    found["train"] = np.flatnonzero(chance >= edges[-1])
    empty = [name for name in PARTS if not len(found[name]) and shares.get(name, 1.0) > 0]
    if empty:
        raise DataError(
            f"{len(sentences):,} sentences ({len(np.unique(labels)):,} without near-duplicates) leave the part "
            f"{empty[0]!r} empty. Give more sentences (a few hundred at least), a larger share, or another seed."
        )
    return Splits(**found, labels=labels)


def _uniforms(keys: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each key, equal for equal keys."""
    unique, places = np.unique(keys, return_inverse=True)
    salt = str(seed).encode()
    drawn = [
        int.from_bytes(blake2b(int(one).to_bytes(8, "little"), digest_size=7, salt=salt[:16]).digest())
        for one in unique
    ]
    return (np.array(drawn) / 2.0**56)[places] if len(drawn) else np.zeros(0)
