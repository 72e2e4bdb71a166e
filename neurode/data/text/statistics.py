"""What a corpus is like: sizes, lengths, rare and unknown words by part of the split, and its scripts."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from neurode.data.text.splits import Splits
from neurode.data.text.tokens import UNKNOWN, Tokenizer
from neurode.data.text.words import is_set_apart, split_marks

_MANY_UNKNOWN = 0.05
_SCRIPT_NAMES = {"CJK": "Han", "THAI": "Thai", "LAO": "Lao"}


@dataclass(frozen=True)
class PartStatistics:
    """Figures of one part; of a word vocabulary's unknown words too, where one was given.

    words: words and marks. distinct: different words, capitals as written. once: words that came once. median_words,
    most_words_of_95 (the 95th percentile) and most_words: lengths of sentences. ids_per_sentence, unknown_words (the
    share of ids that are UNKNOWN), sentences_with_unknown (the share that holds one): None without a tokenizer.
    """

    name: str
    sentences: int
    words: int
    distinct: int
    once: int
    median_words: float
    most_words_of_95: float
    most_words: int
    ids_per_sentence: float | None = None
    unknown_words: float | None = None
    sentences_with_unknown: float | None = None

    def __str__(self) -> str:
        said = (
            f"{self.name}: {self.sentences:,} sentences, {self.words:,} words and marks ({self.distinct:,} different, "
            f"{self.once:,} of them once); length {self.median_words:g} in the median, {self.most_words_of_95:g} at "
            f"95 %, {self.most_words:,} at most"
        )
        if self.ids_per_sentence is None:
            return said + "."
        return (
            f"{said}; {self.ids_per_sentence:.2f} ids a sentence, {self.unknown_words:.2%} unknown, in "
            f"{self.sentences_with_unknown:.1%} of the sentences."
        )


@dataclass(frozen=True)
class CorpusStatistics:
    """Figures of a corpus and of its parts.

    parts: "all" first, then those of the split. scripts: share of each writing system among the letters, largest first.
    near_duplicates: the share of sentences with one, None without a split. notes: sentences for a person.
    """

    parts: tuple[PartStatistics, ...]
    scripts: dict[str, float]
    near_duplicates: float | None
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """What to print: one sentence a part, then the notes."""
        return [*map(str, self.parts), *self.notes]


def corpus_statistics(
    sentences: Sequence[str], splits: Splits | None = None, tokenizer: Tokenizer | None = None
) -> CorpusStatistics:
    """Count a corpus, the parts of its split, and what a tokenizer makes of them. Raises ValueError for no sentence."""
    if not len(sentences):
        raise ValueError("there is no sentence to count.")
    words = [split_marks(one) for one in sentences]
    ids = None if tokenizer is None else [np.array(tokenizer.encode(one), np.int64) for one in sentences]
    places = {"all": np.arange(len(sentences))}
    if splits is not None:
        places |= {name: part for name, part in splits.parts.items() if len(part)}
    parts = tuple(_part(name, part, words, ids) for name, part in places.items())
    scripts = script_shares(sentences)
    notes = [*_script_notes(scripts, sentences), *_unknown_notes(parts)]
    if splits is not None:
        notes.append(splits.summary())
    return CorpusStatistics(parts, scripts, None if splits is None else splits.near_duplicate_share, tuple(notes))


def _part(name: str, places: np.ndarray, words: list[list[str]], ids: list[np.ndarray] | None) -> PartStatistics:
    counts = Counter(chain.from_iterable(words[place] for place in places))
    lengths = np.array([len(words[place]) for place in places])
    numbers = {}
    if ids is not None:
        unknown = np.array([(ids[place] == UNKNOWN).sum() for place in places])
        total = sum(len(ids[place]) for place in places)
        numbers = {
            "ids_per_sentence": total / len(places),
            "unknown_words": float(unknown.sum() / max(1, total)),
            "sentences_with_unknown": float((unknown > 0).mean()),
        }
    return PartStatistics(
        name=name,
        sentences=len(places),
        words=int(lengths.sum()),
        distinct=len(counts),
        once=sum(count == 1 for count in counts.values()),
        median_words=float(np.median(lengths)),
        most_words_of_95=float(np.percentile(lengths, 95)),
        most_words=int(lengths.max()),
        **numbers,
    )


def script_shares(sentences: Sequence[str]) -> dict[str, float]:
    """Share of each writing system among the letters of `sentences`, largest first; {} where there is no letter."""
    letters = Counter(character for character in chain.from_iterable(sentences) if character.isalpha())
    found: Counter[str] = Counter()
    for letter, count in letters.items():
        found[_script(letter)] += count
    total = sum(found.values())
    return {name: count / total for name, count in found.most_common()}


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "unnamed").split(" ")[0].split("-")[0]
    return _SCRIPT_NAMES.get(name, name.capitalize())


def _script_notes(scripts: dict[str, float], sentences: Sequence[str]) -> list[str]:
    """What a word vocabulary does with each script that is not Latin and makes at least 1 % of the letters."""
    if not scripts:
        return ["there is no letter in these sentences; a word vocabulary takes every mark as a word."]
    letters = set(chain.from_iterable(sentences))
    notes = []
    for script, share in scripts.items():
        if share < 0.01 or script == "Latin":
            continue
        own = [one for one in letters if one.isalpha() and _script(one) == script]
        if not all(map(is_set_apart, own)):
            what = (
                "which sets no blanks between words: a word vocabulary takes each character as a word and joins them "
                "again without blanks; in a large corpus, subwords find words of several characters."
            )
        elif any(one.lower() != one.upper() for one in own):
            what = "whose words are found by their blanks and whose capitals are treated as Latin ones."
        else:
            what = "whose words are found by their blanks; it has no capitals, so `case` changes nothing."
        notes.append(f"{share:.1%} of the letters are {script}, {what}")
    return notes


def _unknown_notes(parts: Sequence[PartStatistics]) -> list[str]:
    worst = max(parts, key=lambda part: part.unknown_words or 0.0)
    if (worst.unknown_words or 0.0) <= _MANY_UNKNOWN:
        return []
    return [
        f"{worst.unknown_words:.1%} of the words of {worst.name!r} are unknown, which is much: lower min_count, raise "
        "max_words, or use subwords."
    ]
