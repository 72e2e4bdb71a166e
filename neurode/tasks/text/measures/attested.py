"""M5, attested n-grams: the share of a sentence's word trigrams that real text holds. Needs no language model."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from neurode.models.text.edit_distance import Words, checked_words

# Stand for the start and the end of a sentence; objects, so that no word can be equal to them.
_OPENING, _CLOSING = object(), object()


class AttestedNgrams:
    """All word n-grams of a text, sentence starts and ends included as one symbol each.

    Good for a check that no language model has a say in. Not good for telling a rare right sentence from a wrong one.
    n: 3 for M5. Sentences shorter than n - 2 words hold one n-gram: all of themselves.
    """

    def __init__(self, sentences: Iterable[Words], n: int = 3):
        if n < 1:
            raise ValueError(f"n={n} must be at least 1.")
        self.n = n
        self.known = {ngram for words in checked_words(list(sentences)) for ngram in self._ngrams(words)}

    def share(self, sentences: Sequence[Words]) -> np.ndarray:
        """Share of each sentence's n-grams that are attested, (N,), from 0 to 1."""
        found = []
        for words in checked_words(sentences):
            ngrams = self._ngrams(words)
            found.append(sum(ngram in self.known for ngram in ngrams) / len(ngrams))
        return np.array(found, dtype=np.float64)

    def _ngrams(self, words: tuple[Hashable, ...]) -> list[tuple[Hashable, ...]]:
        padded = (_OPENING, *words, _CLOSING) if self.n > 1 else words
        return [padded[i : i + self.n] for i in range(len(padded) - self.n + 1)] or [padded]
