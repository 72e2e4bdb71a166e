"""A fixed list of words with their counts: sentences to ids and back, and what becomes of words that are not in it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from neurode.core.errors import DataError
from neurode.data.text.tokens import NUM_SPECIAL, UNKNOWN, words_until_end
from neurode.data.text.words import (
    BLANK,
    CASES,
    JOINED,
    capitalised,
    detokenise,
    normalise,
    sentence_starts,
    tokenise,
    uncapitalised,
)

_SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
_MARKS = (JOINED, BLANK)


@dataclass(frozen=True, eq=False)
class WordVocabulary:
    """Whole words and marks of punctuation as ids, by `tokenise`: short id lists, and one id for all words beyond them.

    Good for languages that set blanks between words, and for small models, whose codes need not hold spelling. Words
    that were not learned are UNKNOWN to a model; `unknown_words` keeps them apart and `decode(ids, copies)` puts them
    back, so the user's own rare words return as they were, but a model cannot make them up. Not good where most words
    are rare (Finnish, Turkish, code): use `Subwords`. Chinese, Japanese and Thai are cut into single characters.

    words: from the most frequent on; the id of words[k] is k + 4, behind PAD, START, END, UNKNOWN. The first two are
    JOINED and BLANK. counts: how often each came in the corpus. case: "sentence" (default) writes the first word of a
    sentence small where it is small elsewhere, and large again when decoding; "lower" makes all letters small; "keep"
    leaves them. num_unknown: how many words of the corpus were left out, of `num_words`.
    `decode(encode(s), unknown_words(s))` is `normalise(s, case)` for every string.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]
    case: str = "sentence"
    num_words: int = 0
    num_unknown: int = 0

    def __post_init__(self):
        if self.case not in CASES:
            raise ValueError(f"case must be one of {', '.join(CASES)}; got {self.case!r}.")
        if len(self.words) != len(self.counts) or self.words[:2] != _MARKS or len(set(self.words)) < len(self.words):
            raise ValueError(
                "words must be distinct, begin with JOINED and BLANK, and have one count each; make them from "
                "sentences with WordVocabulary.fit."
            )

    @classmethod
    def fit(
        cls,
        sentences: Iterable[str],
        *,
        min_count: int = 3,
        max_words: int | None = 20_000,
        case: str = "sentence",
    ) -> "WordVocabulary":
        """The words that come at least `min_count` times in `sentences`, the `max_words` most frequent of them.

        Equal counts are ordered by the alphabet, so the order of sentences does not matter. max_words=None: no limit.
        Raises ValueError for settings that cannot be, and for sentences without any word.
        """
        if min_count < 1 or (max_words is not None and max_words < 1):
            raise ValueError(f"min_count and max_words must be at least 1; got {min_count} and {max_words}.")
        counts = _count([tokenise(normalise(one, case)) for one in sentences], case)
        marks = [counts.pop(mark, 0) for mark in _MARKS]
        if not counts:
            raise ValueError("there is no word in these sentences. Pass sentences of a training split.")
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept = [item for item in ranked if item[1] >= min_count][:max_words]
        total = sum(counts.values())
        return cls(
            words=(*_MARKS, *(word for word, _ in kept)),
            counts=(*marks, *(count for _, count in kept)),
            case=case,
            num_words=total,
            num_unknown=total - sum(count for _, count in kept),
        )

    @property
    def size(self) -> int:
        """Number of ids: special ones, marks and words."""
        return NUM_SPECIAL + len(self.words)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: place + NUM_SPECIAL for place, word in enumerate(self.words)}

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def count(self, word: str) -> int:
        """How often `word` came in the corpus; 0 for a word that was not learned."""
        place = self._ids.get(word)
        return 0 if place is None else self.counts[place - NUM_SPECIAL]

    def token(self, id: int) -> str:
        """The word behind an id, for tables and pictures; "<pad>" to "<unknown>" for the special ones."""
        return _SPECIAL[id] if id < NUM_SPECIAL else self.words[id - NUM_SPECIAL]

    def tokens(self, sentence: str) -> list[str]:
        """The words and marks of a sentence as this vocabulary writes them, known or not: one per id of `encode`."""
        tokens = tokenise(normalise(sentence, self.case))
        return _small_starts(tokens, self._prefers_small) if self.case == "sentence" else tokens

    def encode(self, sentence: str) -> list[int]:
        """One id per word or mark; UNKNOWN for words that were not learned. An empty sentence gives []."""
        return [self._ids.get(token, UNKNOWN) for token in self.tokens(sentence)]

    def unknown_words(self, sentence: str) -> tuple[str, ...]:
        """The words behind the UNKNOWNs of `encode(sentence)`, in order."""
        return tuple(token for token in self.tokens(sentence) if token not in self._ids)

    def decode(self, ids: Iterable[int], copies: Sequence[str] = ()) -> str:
        """The sentence of `ids` up to END. The k-th UNKNOWN is the k-th of `copies`, "<unknown>" where they end."""
        waiting = iter(copies)
        tokens = [
            next(waiting, _SPECIAL[UNKNOWN]) if one == UNKNOWN else self.token(one)
            for one in words_until_end(ids, self.size)
        ]
        if self.case == "sentence":
            for place in sentence_starts(tokens):
                tokens[place] = capitalised(tokens[place])
        return detokenise(tokens)

    def unknown_share(self, sentences: Iterable[str] | None = None) -> float:
        """Which part of the words of `sentences` (default: of the corpus it was made from) is UNKNOWN."""
        if sentences is None:
            return self.num_unknown / max(1, self.num_words)
        ids = list(chain.from_iterable(map(self.encode, sentences)))
        return ids.count(UNKNOWN) / max(1, len(ids))

    def summary(self) -> str:
        """One sentence for a log: how many words, the rarest count among them, and what is unknown."""
        rarest = min(self.counts[2:], default=0)
        return (
            f"{len(self.words) - 2:,} words that come at least {rarest:,} times; "
            f"{self.unknown_share():.2%} of the {self.num_words:,} words of the corpus are unknown."
        )

    def _prefers_small(self, word: str) -> bool:
        small = uncapitalised(word)
        return small in self._ids and self.count(small) >= self.count(word)

    def to_dict(self) -> dict[str, Any]:
        """Plain types for a JSON file."""
        return {
            "kind": "words",
            "case": self.case,
            "words": list(self.words),
            "counts": list(self.counts),
            "num_words": self.num_words,
            "num_unknown": self.num_unknown,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "WordVocabulary":
        """Rebuild what `to_dict` wrote. Raises DataError where it is damaged."""
        try:
            return cls(
                words=tuple(str(word) for word in saved["words"]),
                counts=tuple(int(count) for count in saved["counts"]),
                case=saved["case"],
                num_words=int(saved["num_words"]),
                num_unknown=int(saved["num_unknown"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the saved vocabulary is damaged ({error!r}). Copy the model folder again.") from None


def _count(corpus: list[list[str]], case: str) -> Counter[str]:
    """Counts of words; with case "sentence", a capital at a start counts for the form that is usual elsewhere."""
    if case != "sentence":
        return Counter(chain.from_iterable(corpus))
    inside: Counter[str] = Counter()
    for tokens in corpus:
        starts = set(sentence_starts(tokens))
        inside.update(token for place, token in enumerate(tokens) if place not in starts)

    def prefers_small(word: str) -> bool:
        small = uncapitalised(word)
        return small != word and inside[small] >= max(1, inside[word])

    return Counter(chain.from_iterable(_small_starts(tokens, prefers_small) for tokens in corpus))


def _small_starts(tokens: list[str], prefers_small) -> list[str]:
    """Words at the starts of sentences in the form they have elsewhere.

    A small word that begins a later sentence gets the mark BLANK before it, so that decoding leaves it small.
    """
    starts = sentence_starts(tokens)
    tokens = list(tokens)
    for number, place in reversed(list(enumerate(starts))):
        word = tokens[place]
        if number and capitalised(word) != word:
            tokens.insert(place, BLANK)
        elif prefers_small(word):
            tokens[place] = uncapitalised(word)
    return tokens
