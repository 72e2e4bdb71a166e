"""Reference rows: what real, shuffled, spliced and retrieved sentences score, so that a model's figures can be read."""

from collections.abc import Sequence

import numpy as np

from neurode.models.text.edit_distance import Words, checked_words
from neurode.tasks.text.measures.latent_check import nearest_codes


def shuffled(sentences: Sequence[Words], *, seed: int = 0) -> list[list]:
    """The sentences with their words in random order: the right words, no grammar."""
    generator = np.random.default_rng(seed)
    return [[words[i] for i in generator.permutation(len(words))] for words in checked_words(sentences)]


def splice_path(first: Words, second: Words, points: int = 11) -> list[list]:
    """A path by scissors: the first words of one sentence and the last of the other, (points) sentences.

    At share t = i / (points - 1) it keeps the first round((1 - t) n) of the n words of `first` and the last round(t m)
    of the m of `second`; its ends are the two sentences. Smooth, faithful at both ends, and ungrammatical where it
    likes: a model must beat it on M2 to M6.
    """
    if points < 2:
        raise ValueError(f"points={points} must be at least 2, the two ends.")
    head, tail = checked_words([first, second])
    path = []
    for i in range(points):
        # Halves are rounded away from the head on one side and to the tail on the other, so that no point is empty.
        kept = len(head) - (2 * i * len(head) + points - 1) // (2 * (points - 1))
        added = (2 * i * len(tail) + points - 1) // (2 * (points - 1))
        path.append([*head[:kept], *tail[len(tail) - added :]])
    return path


def retrieval_path(
    first: Words, second: Words, points: np.ndarray, codes: np.ndarray, sentences: Sequence[Words]
) -> list[list]:
    """A path by look-up: the training sentence nearest to each interior point of a latent path, between the two ends.

    points (S, D): the model's codes along the path; the first and last are left to the two sentences themselves. codes
    (N, D): of the N training `sentences`. Grammatical and jumpy: a model must beat it on M8 and M9.
    """
    if len(codes) != len(sentences):
        raise ValueError(f"{len(codes)} codes for {len(sentences)} sentences; there must be one for each.")
    rows = nearest_codes(points[1:-1], codes)
    return [list(first), *(list(sentences[row]) for row in rows), list(second)]
