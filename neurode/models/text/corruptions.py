"""Real sentences made wrong in known ways: what a judge of sentences is trained against, and checked on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from neurode.data.text.tokens import NUM_SPECIAL, UNKNOWN
from neurode.data.text.words import is_word
from neurode.models.text.inflections import inflections

# Draws of a corruption of one sentence before it is given up: the result must differ from every real sentence.
_MAX_DRAWS = 8
# Contexts whose next words are asked for at once: 512 times 6,000 probabilities are 25 MB.
_ROWS_AT_ONCE = 512


class NextWords(Protocol):
    """A language model that knows what may come next; `KneserNey` and `RecurrentLanguageModel` do."""

    def next_word_probabilities(self, prefixes: Sequence[Sequence[int]]) -> np.ndarray: ...


@dataclass(frozen=True)
class Corrupted:
    """A sentence made wrong. words: its ids. kind: how. marks: which of its words are out of place. source: its number.

    Of a splice the two words at the seam are marked, of a shuffle all words that moved.
    """

    words: list[int]
    kind: str
    marks: list[bool]
    source: int


@dataclass(frozen=True)
class _Draft:
    """A corruption not yet finished: `holes` are the places whose words a language model still has to choose."""

    words: list[int]
    marks: list[bool]
    holes: tuple[int, ...] = ()


class Corruptor:
    """Corrupts sentences of word ids in five ways.

    replaced: one or two words become draws of a language model given the words before them. inflected: one word takes
    another form, so that agreement or tense breaks. swapped: two words change places. spliced: the first words of one
    sentence and the last of another, cut at about the same share. shuffled: all words but a closing mark are reordered.

    Good for training and checking a judge of English sentences. Not good as a set of mistakes people make. Some results
    are right by chance ("i like tea ." to "i like milk ."): no judge can reach an AUROC of 1. Results that are in
    `real`, or are their own source, are drawn again and, after 8 draws, left out; so is a sentence that a kind cannot
    be applied to (an inflection without known forms, a swap in a sentence of one word).

    words: the word of each id, for the four special ids anything. language_model: for `replaced`. real: sentences known
    to be right. Raises ValueError for an unknown kind.
    """

    def __init__(self, words: Sequence[str], language_model: NextWords, *, real: Sequence[Sequence[int]] = ()):
        self.language_model = language_model
        self.real = {tuple(sentence) for sentence in real}
        self.forms = inflections([*[""] * NUM_SPECIAL, *words[NUM_SPECIAL:]])
        self.is_word = np.array(
            [place == UNKNOWN or (place >= NUM_SPECIAL and is_word(w)) for place, w in enumerate(words)]
        )

    def corrupt(
        self, sentences: Sequence[Sequence[int]], *, seed: int | Sequence[int], kinds: Sequence[str]
    ) -> list[Corrupted]:
        """One corruption of each sentence, of a kind drawn from `kinds` (name a kind twice to draw it twice as often).

        The result is a function of the arguments alone (seed: a number, or several); sentences that could not be
        corrupted are missing from it.
        """
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown or not kinds:
            raise ValueError(f"kinds={list(kinds)} must name at least one of {', '.join(KINDS)}.")
        generator = np.random.default_rng(seed)
        drawn = [kinds[i] for i in generator.integers(len(kinds), size=len(sentences))]
        found: dict[int, Corrupted] = {}
        for _ in range(_MAX_DRAWS):
            open_numbers = [number for number in range(len(sentences)) if number not in found]
            drafts: dict[int, _Draft] = {}
            for number in open_numbers:
                draft = KINDS[drawn[number]](self, sentences, number, generator)
                if draft is not None:
                    drafts[number] = draft
            for number, draft in self._filled(drafts, generator).items():
                if draft.words != list(sentences[number]) and tuple(draft.words) not in self.real:
                    found[number] = Corrupted(draft.words, drawn[number], draft.marks, number)
            if len(found) == len(sentences):
                break
        return [found[number] for number in sorted(found)]

    def _filled(self, drafts: dict[int, _Draft], generator: np.random.Generator) -> dict[int, _Draft]:
        """Drafts with holes filled from left to right by the language model, never with the word that was there."""
        drafts = dict(drafts)
        while waiting := [number for number, draft in drafts.items() if draft.holes]:
            for first in range(0, len(waiting), _ROWS_AT_ONCE):
                numbers = waiting[first : first + _ROWS_AT_ONCE]
                prefixes = [drafts[number].words[: drafts[number].holes[0]] for number in numbers]
                chances = np.array(self.language_model.next_word_probabilities(prefixes), dtype=np.float64)
                chances[:, ~self.is_word] = 0
                chances[np.arange(len(numbers)), [drafts[n].words[drafts[n].holes[0]] for n in numbers]] = 0
                heights = chances.cumsum(axis=1)
                aims = generator.random(len(numbers)) * heights[:, -1]
                for number, row, aim in zip(numbers, heights, aims, strict=True):
                    draft = drafts[number]
                    words = list(draft.words)
                    words[draft.holes[0]] = min(int(np.searchsorted(row, aim, side="right")), len(row) - 1)
                    drafts[number] = _Draft(words, draft.marks, draft.holes[1:])
        return drafts

    def _word_places(self, sentence: Sequence[int]) -> np.ndarray:
        return np.flatnonzero(self.is_word[np.asarray(sentence, dtype=int)])

    def _replaced(self, sentences: Sequence[Sequence[int]], number: int, generator: np.random.Generator):
        places = self._word_places(sentences[number])
        if not len(places):
            return None
        count = min(int(generator.integers(1, 3)), len(places))
        holes = tuple(sorted(generator.choice(places, size=count, replace=False).tolist()))
        return _Draft(list(sentences[number]), _marks(sentences[number], holes), holes)

    def _inflected(self, sentences: Sequence[Sequence[int]], number: int, generator: np.random.Generator):
        words = list(sentences[number])
        places = [place for place, word in enumerate(words) if self.forms[word]]
        if not places:
            return None
        place = places[generator.integers(len(places))]
        forms = self.forms[words[place]]
        words[place] = forms[generator.integers(len(forms))]
        return _Draft(words, _marks(words, (place,)))

    def _swapped(self, sentences: Sequence[Sequence[int]], number: int, generator: np.random.Generator):
        words = list(sentences[number])
        places = self._word_places(words)
        if len(places) < 2:
            return None
        # Neighbours mostly: two words far apart are easier to tell.
        first = int(generator.integers(len(places) - 1))
        second = first + 1 if generator.random() < 0.6 else int(generator.integers(first + 1, len(places)))
        i, j = places[first], places[second]
        words[i], words[j] = words[j], words[i]
        return _Draft(words, _marks(words, (i, j)))

    def _spliced(self, sentences: Sequence[Sequence[int]], number: int, generator: np.random.Generator):
        head, tail = sentences[number], sentences[int(generator.integers(len(sentences)))]
        if min(len(head), len(tail)) < 2:
            return None
        cut = int(generator.integers(1, len(head)))
        other = min(max(round(cut / len(head) * len(tail)), 1), len(tail) - 1)
        words = [*head[:cut], *tail[other:]]
        if words == list(tail):
            return None
        return _Draft(words, _marks(words, (cut - 1, cut)))

    def _shuffled(self, sentences: Sequence[Sequence[int]], number: int, generator: np.random.Generator):
        words = list(sentences[number])
        count = len(words) if self.is_word[words[-1]] else len(words) - 1
        if count < 2:
            return None
        order = generator.permutation(count)
        moved = [words[place] for place in order] + words[count:]
        return _Draft(moved, [a != b for a, b in zip(moved, words, strict=True)])


KINDS: dict[str, Callable[[Corruptor, Sequence[Sequence[int]], int, np.random.Generator], _Draft | None]] = {
    "replaced": Corruptor._replaced,
    "inflected": Corruptor._inflected,
    "swapped": Corruptor._swapped,
    "spliced": Corruptor._spliced,
    "shuffled": Corruptor._shuffled,
}
"""Every way to make a sentence wrong."""


def _marks(words: Sequence[int], places: Sequence[int]) -> list[bool]:
    marked = {int(place) for place in places}
    return [place in marked for place in range(len(words))]
