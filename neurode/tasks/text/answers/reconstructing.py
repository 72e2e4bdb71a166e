"""Sentences through their codes and back."""

from collections.abc import Sequence

import numpy as np

from neurode.tasks.text.answers.interpolating import hold_codes
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
    for first in range(0, len(phrases), _ROWS):
        some = phrases[first : first + _ROWS]
        codes, _ = hold_codes(fitted, some, refined=ends == "refined")
        ids = write_ids(fitted, codes, [len(one.copies) for one in some])
        written += [with_copies(fitted, own, one.copies) for own, one in zip(ids, some, strict=True)]
    exact = np.array([text == one.text for text, one in zip(written, phrases, strict=True)])
    copied = copied_words(phrases)
    return Reconstruction(
        tuple(one.text for one in phrases), tuple(written), exact, () if copied is None else (copied,)
    )
