"""M1, fidelity: whether decoding returns the user's own sentences. Exact match, token F1, BLEU."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from neurode.tasks.text.measures.edit_distance import Words, checked_pairs


def exact_match(decoded: Sequence[Words], wanted: Sequence[Words]) -> np.ndarray:
    """Whether each decoded sentence is the wanted one, word for word, (N,), bool."""
    return np.array([a == b for a, b in zip(*checked_pairs(decoded, wanted), strict=True)], dtype=bool)


def token_f1(decoded: Sequence[Words], wanted: Sequence[Words]) -> np.ndarray:
    """Harmonic mean of precision and recall of words as bags, (N,), from 0 to 1; 1 for two empty sentences.

    With c the words in common (each as often as both hold it): 2 c / (words decoded + words wanted). Order does not
    matter; see `bleu` for a measure that minds it.
    """
    scores = []
    for a, b in zip(*checked_pairs(decoded, wanted), strict=True):
        common = sum((Counter(a) & Counter(b)).values())
        scores.append(2 * common / (len(a) + len(b)) if a or b else 1.0)
    return np.array(scores, dtype=np.float64)


def bleu_counts(decoded: Sequence[Words], wanted: Sequence[Words], *, longest: int = 4) -> np.ndarray:
    """What BLEU adds up over a corpus, one row a sentence, (N, 2 * longest + 2).

    Columns: matching n-grams for n = 1 to `longest`, all decoded n-grams likewise, decoded length, wanted length.
    Resample rows for a bootstrap, then `bleu_from_counts(rows)`.
    """
    rows = []
    for a, b in zip(*checked_pairs(decoded, wanted), strict=True):
        matches, totals = [], []
        for n in range(1, longest + 1):
            ours, theirs = _ngrams(a, n), _ngrams(b, n)
            matches.append(sum((ours & theirs).values()))
            totals.append(sum(ours.values()))
        rows.append([*matches, *totals, len(a), len(b)])
    return np.array(rows, dtype=np.int64).reshape(-1, 2 * longest + 2)


def bleu_from_counts(counts: np.ndarray) -> float:
    """Corpus BLEU from rows of `bleu_counts`, from 0 to 1.

    Geometric mean of the n-gram precisions times the penalty exp(1 - wanted / decoded) for too short output (Papineni
    et al., ACL 2002), one reference a sentence, no smoothing: one precision of 0 gives 0. Lengths of n-grams that no
    decoded sentence is long enough for are left out.
    """
    longest = (counts.shape[1] - 2) // 2
    total = counts.sum(axis=0)
    matches, totals, (decoded, wanted) = total[:longest], total[longest:-2], total[-2:]
    there = totals > 0
    if decoded == 0 or not there.any():
        return 1.0 if decoded == wanted else 0.0
    if (matches[there] == 0).any():
        return 0.0
    precision = np.log(matches[there] / totals[there]).mean()
    return float(np.exp(precision + min(0.0, 1 - wanted / decoded)))


def bleu(decoded: Sequence[Words], wanted: Sequence[Words], *, longest: int = 4) -> float:
    """Corpus BLEU of the decoded sentences; see `bleu_from_counts`."""
    return bleu_from_counts(bleu_counts(decoded, wanted, longest=longest))


def _ngrams(words: Words, n: int) -> Counter:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
