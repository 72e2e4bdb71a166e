"""M7, distinct: whether a path moves at all, or stands still, or copies."""

from collections.abc import Iterable, Sequence

import numpy as np

from neurode.models.text.edit_distance import Words, checked_words


def distinct_share(paths: Sequence[Sequence[Words]], *, interior: bool = True) -> np.ndarray:
    """Different sentences of each path over their number, (P,). interior: without the two ends (9 of 11)."""
    return np.array([len(set(inner)) / len(inner) for inner in _parts(paths, interior)], dtype=np.float64)


def end_share(paths: Sequence[Sequence[Words]]) -> np.ndarray:
    """Share of each path's interior sentences that are equal to one of its two ends, (P,)."""
    found = []
    for path in paths:
        words = checked_words(path)
        found.append(np.mean([sentence in (words[0], words[-1]) for sentence in words[1:-1]]))
    return np.array(found, dtype=np.float64)


def copied_share(paths: Sequence[Sequence[Words]], training: Iterable[Words]) -> np.ndarray:
    """Share of each path's interior sentences that stand word for word in the training text, (P,).

    Short sentences are copied by chance: compare with the share of held-out real sentences of equal length
    (`copied_among`).
    """
    known = set(checked_words(list(training)))
    return np.array(
        [np.mean([sentence in known for sentence in inner]) for inner in _parts(paths, True)], dtype=np.float64
    )


def copied_among(sentences: Sequence[Words], training: Iterable[Words]) -> np.ndarray:
    """Whether each sentence stands word for word in the training text, (N,), bool."""
    known = set(checked_words(list(training)))
    return np.array([sentence in known for sentence in checked_words(sentences)], dtype=bool)


def distinct_ngrams(sentences: Sequence[Words], n: int = 2) -> float:
    """Different n-grams over all n-grams of all sentences together ("distinct-2" of Li et al., NAACL 2016).

    It falls with the amount of text: compare only equal numbers of sentences. 0 where no sentence has n words.
    """
    ngrams = [words[i : i + n] for words in checked_words(sentences) for i in range(len(words) - n + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else 0.0


def _parts(paths: Sequence[Sequence[Words]], interior: bool) -> list[list[tuple]]:
    parts = [checked_words(path[1:-1] if interior else path) for path in paths]
    if not all(parts):
        raise ValueError("every path needs at least one sentence between its two ends.")
    return parts
