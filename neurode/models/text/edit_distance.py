"""Word edit distances of many pairs of sentences at once."""

from collections.abc import Hashable, Sequence

import numpy as np

Words = Sequence[Hashable]
"""A sentence as its words: a list of strings or of ids, never one string."""

# Cells of the distance tables held at once: 4 million numbers are 32 MB.
_CELLS_AT_ONCE = 4_000_000


def checked_words(sentences: Sequence[Words]) -> list[tuple[Hashable, ...]]:
    """The sentences as tuples; TypeError for a sentence that is one string, whose letters would be taken for words."""
    for sentence in sentences:
        if isinstance(sentence, str):
            raise TypeError(
                f"a sentence must be its words, got the string {sentence!r}. Pass a list, for instance text.split()."
            )
    return [tuple(sentence) for sentence in sentences]


def checked_pairs(
    first: Sequence[Words], second: Sequence[Words]
) -> tuple[list[tuple[Hashable, ...]], list[tuple[Hashable, ...]]]:
    """Two lists of sentences that belong together one by one; ValueError where their numbers differ."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} sentences on one side and {len(second)} on the other; pass as many on both.")
    return checked_words(first), checked_words(second)


def edit_distances(first: Sequence[Words], second: Sequence[Words]) -> np.ndarray:
    """Levenshtein distance in words of first[i] and second[i], (N,), int64.

    The least number of words to insert, delete or replace (Levenshtein 1966; tables filled as in Wagner and Fischer
    1974, a row at a time over all pairs). 10,000 pairs of ten words take about 20 ms. Not good for long documents: the
    cost is the product of the two longest lengths. Raises ValueError where the numbers of sentences differ.
    """
    a, b = checked_pairs(first, second)
    found = np.zeros(len(a), dtype=np.int64)
    if not a:
        return found
    widest = max(map(len, b)) + 1
    block = max(_CELLS_AT_ONCE // widest, 1)
    for start in range(0, len(a), block):
        rows = slice(start, start + block)
        found[rows] = _distances(a[rows], b[rows])
    return found


def normalised_distances(first: Sequence[Words], second: Sequence[Words]) -> np.ndarray:
    """Edit distance over the length of the longer sentence, (N,), from 0 to 1; 0 for two empty ones."""
    distances = edit_distances(first, second)
    return distances / np.array([max(len(a), len(b), 1) for a, b in zip(first, second, strict=True)])


def distance_table(sentences: Sequence[Words]) -> np.ndarray:
    """Edit distances of all sentences from each other: (N, N) int64."""
    count = len(sentences)
    rows, columns = np.triu_indices(count, 1)
    table = np.zeros((count, count), dtype=np.int64)
    table[rows, columns] = edit_distances([sentences[int(i)] for i in rows], [sentences[int(j)] for j in columns])
    return table + table.T


def _distances(a: list[tuple[Hashable, ...]], b: list[tuple[Hashable, ...]]) -> np.ndarray:
    numbers: dict[Hashable, int] = {}
    first, lengths_a = _padded(a, numbers, -1)
    second, lengths_b = _padded(b, numbers, -2)
    columns = np.arange(second.shape[1] + 1)
    row = np.repeat(columns[None], len(a), axis=0)
    found = np.where(lengths_a == 0, lengths_b, 0)
    for i in range(first.shape[1]):
        replaced = row[:, :-1] + (first[:, i, None] != second)
        row = np.concatenate([row[:, :1] + 1, np.minimum(row[:, 1:] + 1, replaced)], axis=1)
        # Insertions: the least over all columns to the left of value plus distance, in one pass.
        row = np.minimum.accumulate(row - columns, axis=1) + columns
        ended = lengths_a == i + 1
        found[ended] = row[ended, lengths_b[ended]]
    return found


def _padded(
    sentences: list[tuple[Hashable, ...]], numbers: dict[Hashable, int], fill: int
) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(sentence) for sentence in sentences])
    table = np.full((len(sentences), int(lengths.max())), fill, dtype=np.int64)
    inside = np.arange(table.shape[1]) < lengths[:, None]
    table[inside] = [numbers.setdefault(word, len(numbers)) for sentence in sentences for word in sentence]
    return table, lengths
