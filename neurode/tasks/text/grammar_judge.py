"""A judge that cannot err: whether the grammar that made the text derives a sentence."""

from collections.abc import Sequence

import numpy as np

from neurode.data.text.grammar import Grammar
from neurode.data.text.tokens import NUM_SPECIAL, UNKNOWN
from neurode.models.text.edit_distance import Words, checked_words
from neurode.models.text.kneser_ney import KneserNey
from neurode.tasks.text.measures.acceptability import Acceptance

_COUNTED = 20_000
"""Sentences of the grammar that surprisals are counted on."""


class GrammarJudge:
    """Accepts what the grammar derives, and nothing else; surprisals are those of a 5-gram model of its sentences.

    Good for models of a made text, where "grammatical" is decidable. Not good for sentences with copied words: no word
    beyond the grammar's is accepted. max_words, seed: of the sentences that the n-grams are counted on.
    """

    def __init__(self, grammar: Grammar, *, max_words: int = 12, seed: int = 1):
        self.grammar = grammar
        self._verdicts: dict[tuple, bool] = {}
        self._ids = {word: number + NUM_SPECIAL for number, word in enumerate(grammar.words)}
        text = [self.words(one) for one in grammar.sample(_COUNTED, seed, max_words=max_words)]
        self._ngrams = KneserNey(len(self._ids) + NUM_SPECIAL).fit(self._numbers(text))

    def words(self, sentence: str) -> tuple[str, ...]:
        return tuple(sentence.split())

    def surprisals(self, sentences: Sequence[Words]) -> list[np.ndarray]:
        """Surprisal of each word and of the end, (L + 1,) a sentence, in nats."""
        return [-one for one in self._ngrams.log_probabilities_of(self._numbers(sentences))]

    def acceptable(self, sentences: Sequence[Words]) -> Acceptance:
        """What the grammar derives, by either word."""
        verdicts = self.accepts(sentences)
        return Acceptance(verdicts, verdicts)

    def accepts(self, sentences: Sequence[Words]) -> np.ndarray:
        """Whether the grammar derives each sentence, (N,), bool."""
        given = checked_words(sentences)
        for one in given:
            if one not in self._verdicts:
                self._verdicts[one] = self.grammar.recognises([str(word) for word in one])
        return np.array([self._verdicts[one] for one in given], dtype=bool)

    def _numbers(self, sentences: Sequence[Words]) -> list[list[int]]:
        return [[self._ids.get(str(word), UNKNOWN) for word in words] for words in checked_words(sentences)]
