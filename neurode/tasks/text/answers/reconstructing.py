"""Sentences through their codes and back."""

from collections.abc import Sequence

import numpy as np

from neurode.tasks.text.answers.holding import carried_words, hold
from neurode.tasks.text.answers.writing import with_copies, write_ids
from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.phrases import Phrase, copied_words
from neurode.tasks.text.results import Reconstruction

_ROWS = 256


def reconstruct(fitted: FittedText, phrases: Sequence[Phrase], ends: str) -> Reconstruction:
    """What the model writes for the codes of `phrases`, "encoded" or "refined"; ValueError for another word."""
    if ends not in ("encoded", "refined"):
        raise ValueError(f"ends={ends!r} must be 'encoded' or 'refined'.")
    written: list[str] = []
    carried: list[Phrase] = []
    for first in range(0, len(phrases), _ROWS):
        some = phrases[first : first + _ROWS]
        held = hold(fitted, some, refined=ends == "refined")
        ids = write_ids(fitted, held.codes, [len(one.copies) for one in held.phrases])
        written += [with_copies(fitted, own, one.copies) for own, one in zip(ids, held.phrases, strict=True)]
        carried += held.phrases
    exact = np.array([text == one.text for text, one in zip(written, phrases, strict=True)])
    notes = tuple(one for one in (copied_words(phrases), carried_words(phrases, carried)) if one)
    return Reconstruction(tuple(one.text for one in phrases), tuple(written), exact, notes)
