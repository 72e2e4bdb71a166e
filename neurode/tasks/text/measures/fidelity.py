"""M1, fidelity: whether decoding returns the user's own sentences. For BLEU see `models.text.bleu`."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from neurode.models.text.edit_distance import Words, checked_pairs


def exact_match(decoded: Sequence[Words], wanted: Sequence[Words]) -> np.ndarray:
    """Whether each decoded sentence is the wanted one, word for word, (N,), bool."""
    return np.array([a == b for a, b in zip(*checked_pairs(decoded, wanted), strict=True)], dtype=bool)


def token_f1(decoded: Sequence[Words], wanted: Sequence[Words]) -> np.ndarray:
    """Harmonic mean of precision and recall of words as bags, (N,), from 0 to 1; 1 for two empty sentences.

    With c the words in common (each as often as both hold it): 2 c / (words decoded + words wanted). Order does not
    matter; BLEU minds it.
    """
    scores = []
    for a, b in zip(*checked_pairs(decoded, wanted), strict=True):
        common = sum((Counter(a) & Counter(b)).values())
        scores.append(2 * common / (len(a) + len(b)) if a or b else 1.0)
    return np.array(scores, dtype=np.float64)
