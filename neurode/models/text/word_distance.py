"""How many words must be put in, left out or exchanged to turn one sentence into another.

V. Levenshtein, "Binary codes capable of correcting deletions, insertions and reversals", 1966.
"""

from collections.abc import Hashable, Sequence

import numpy as np

Words = Sequence[Hashable]


def word_distances(first: Sequence[Words], second: Sequence[Words]) -> np.ndarray:
    """The edit distance of each sentence of `first` from its partner in `second`: (P,) int64, all pairs at once.

    Good for thousands of sentences of up to some dozens of words. ValueError for lists of unequal length.
    """
    if len(first) != len(second):
        raise ValueError(f"sentences come in pairs; got {len(first)} and {len(second)}.")
    if not len(first):
        return np.zeros(0, dtype=np.int64)
    numbers: dict[Hashable, int] = {}
    a, lengths_a = _padded(first, numbers, -1)
    b, lengths_b = _padded(second, numbers, -2)
    pairs = np.arange(len(first))
    row = np.broadcast_to(np.arange(b.shape[1] + 1), (len(first), b.shape[1] + 1)).copy()
    found = row[pairs, lengths_b].copy()
    for i in range(a.shape[1]):
        changed = np.empty_like(row)
        changed[:, 0] = i + 1
        kept = np.minimum(row[:, :-1] + (a[:, i, None] != b), row[:, 1:] + 1)
        for j in range(b.shape[1]):
            np.minimum(kept[:, j], changed[:, j] + 1, out=changed[:, j + 1])
        row = changed
        found = np.where(lengths_a == i + 1, row[pairs, lengths_b], found)
    return found


def distance_table(sentences: Sequence[Words]) -> np.ndarray:
    """Edit distances of all sentences from each other: (N, N) int64."""
    count = len(sentences)
    rows, columns = np.triu_indices(count, 1)
    table = np.zeros((count, count), dtype=np.int64)
    table[rows, columns] = word_distances([sentences[int(i)] for i in rows], [sentences[int(j)] for j in columns])
    return table + table.T


def _padded(sentences: Sequence[Words], numbers: dict[Hashable, int], padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Words as numbers, the same word the same number, and the lengths."""
    lengths = np.array([len(words) for words in sentences])
    padded = np.full((len(sentences), max(1, int(lengths.max()))), padding, dtype=np.int64)
    for row, words in enumerate(sentences):
        padded[row, : len(words)] = [numbers.setdefault(word, len(numbers)) for word in words]
    return padded, lengths
