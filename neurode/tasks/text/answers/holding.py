"""Ends that hold: codes at which the model writes the user's own sentences, the words it cannot place carried over.

A word that the model does not know is UNKNOWN to it, and copied from what was given. A rare word that it knows may
still not be writable at any code near the sentence's own; then it is treated in the same way, and that is said.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import NUM_SPECIAL, UNKNOWN
from neurode.data.text.vocabulary import WordVocabulary
from neurode.models.text.information import WordReport, word_reports
from neurode.models.text.refinement import Refinement, refine_codes
from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.phrases import Phrase

Pair = tuple[Phrase, Phrase]

_WORDS, _STEPS = (1, 2, 3), 125
"""Words of one sentence that are carried over in each turn, and the steps of refinement that a turn is given."""


@dataclass(frozen=True, eq=False)
class Held:
    """phrases: as they were read, but for the words that are carried over. codes, shift (n, D): where the model writes
    them, as far as it does, and what refinement added to the codes that the encoder gives."""

    phrases: list[Phrase]
    codes: torch.Tensor
    shift: torch.Tensor


@dataclass(frozen=True, eq=False)
class Ends:
    """The two ends of P pairs: phrases as held, codes (P, D), what refinement added to them, and its seconds."""

    pairs: list[Pair]
    start: torch.Tensor
    end: torch.Tensor
    start_shift: torch.Tensor
    end_shift: torch.Tensor
    seconds: float


def hold_ends(fitted: FittedText, pairs: Sequence[Pair], *, refined: bool, how: Refinement | None = None) -> Ends:
    """Codes of the ends, as the encoder gives them or refined until the model writes the sentences themselves."""
    began = time.perf_counter()
    held = hold(fitted, [pair[side] for side in (0, 1) for pair in pairs], refined=refined, how=how)
    (start, end), (start_shift, end_shift) = held.codes.chunk(2), held.shift.chunk(2)
    both = list(zip(held.phrases[: len(pairs)], held.phrases[len(pairs) :], strict=True))
    return Ends(both, start, end, start_shift, end_shift, time.perf_counter() - began)


def hold(fitted: FittedText, phrases: Sequence[Phrase], *, refined: bool, how: Refinement | None = None) -> Held:
    """Codes (n, D) of phrases. Refined: moved until the model writes the phrase, then without its hardest words."""
    network, held = fitted.network, list(phrases)
    batch = _batch(fitted, held)
    with torch.no_grad():
        codes = network.code(batch)
    shift = torch.zeros_like(codes)
    if not refined:
        return Held(held, codes, shift)
    found = refine_codes(network, batch, how, prior=fitted.prior, start=codes)
    codes, shift = found.codes, found.shift
    if isinstance(fitted.tokenizer, WordVocabulary):
        _carry(fitted, held, codes, shift, [row for row, exact in enumerate(found.exact.tolist()) if not exact])
    return Held(held, codes, shift)


def _carry(fitted: FittedText, held: list[Phrase], codes: torch.Tensor, shift: torch.Tensor, missed: list[int]) -> None:
    """Hold those that were missed without their hardest words, more each turn; the rest stays as it was."""
    network, vocabulary = fitted.network, fitted.tokenizer
    assert isinstance(vocabulary, WordVocabulary)
    phrases, points = {row: held[row] for row in missed}, codes[missed]
    for more in _WORDS:
        if not phrases:
            return
        reports = word_reports(network, points, _batch(fitted, list(phrases.values())))
        fewer = {
            row: _without_hardest(phrase, report, vocabulary, more)
            for (row, phrase), report in zip(phrases.items(), reports, strict=True)
        }
        phrases = {row: phrase for row, phrase in fewer.items() if phrase is not None}
        if not phrases:
            return
        batch = _batch(fitted, list(phrases.values()))
        found = refine_codes(network, batch, Refinement(steps=_STEPS), prior=fitted.prior)
        points = found.codes
        left = []
        for place, (row, exact) in enumerate(zip(list(phrases), found.exact.tolist(), strict=True)):
            if exact:
                held[row], codes[row], shift[row] = phrases.pop(row), found.codes[place], found.shift[place]
            else:
                left.append(place)
        points = points[left]


def carried_words(given: Sequence[Phrase], held: Sequence[Phrase]) -> str | None:
    """A sentence that names the known words that had to be carried over; None where there is none."""
    words = [
        word for before, after in zip(given, held, strict=True) for word in after.copies if word not in before.copies
    ]
    if not words:
        return None
    verb = "is" if len(words) == 1 else "are"
    return f"{', '.join(map(repr, dict.fromkeys(words)))} could not be written by the model, and {verb} carried over."


def _batch(fitted: FittedText, phrases: Sequence[Phrase]) -> SentenceBatch:
    return SentenceBatch.of([one.ids for one in phrases]).to(fitted.device)


def _without_hardest(phrase: Phrase, report: list[WordReport], vocabulary: WordVocabulary, more: int) -> Phrase | None:
    """The phrase with some more words to copy: of those with a letter or digit, the ones that are furthest behind.

    One word is left that the model still has to know; None where there is only that.
    """
    words = [place for place, one in enumerate(phrase.ids) if one >= NUM_SPECIAL and _is_word(vocabulary.token(one))]
    more = min(more, len(words) - 1)
    if more < 1:
        return None
    hardest = set(sorted(words, key=lambda place: report[place].margin)[:more])
    copied, copies = iter(phrase.copies), []
    for place, one in enumerate(phrase.ids):
        if one == UNKNOWN:
            copies.append(next(copied))
        elif place in hardest:
            copies.append(vocabulary.token(one))
    ids = tuple(UNKNOWN if place in hardest else one for place, one in enumerate(phrase.ids))
    return Phrase(phrase.text, ids, tuple(copies))


def _is_word(token: str) -> bool:
    return any(map(str.isalnum, token))
