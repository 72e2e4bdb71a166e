"""BLEU: how many runs of one to four words two sets of sentences share."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

_LONGEST = 4


def bleu(written: Sequence[Sequence[Hashable]], meant: Sequence[Sequence[Hashable]]) -> float:
    """Corpus BLEU of sentences against one reference each, from 0 to 1, over runs of up to 4 words.

    Papineni et al., "BLEU: a method for automatic evaluation of machine translation", 2002: geometric mean of the
    clipped precisions of the whole set, times the brevity penalty. Runs longer than every sentence do not count.
    Good for comparing reconstructions of one set. Not good for single sentences, which often share no run of 4: a
    precision of 0 makes BLEU 0. Raises ValueError for sets of unequal size, or none.
    """
    if len(written) != len(meant) or not written:
        raise ValueError(f"BLEU compares pairs of sentences: got {len(written)} written and {len(meant)} meant.")
    shared, possible = [0] * _LONGEST, [0] * _LONGEST
    for one, other in zip(written, meant, strict=True):
        for n in range(_LONGEST):
            runs, wanted = _runs(one, n + 1), _runs(other, n + 1)
            shared[n] += (runs & wanted).total()
            possible[n] += runs.total()
    counted = [n for n in range(_LONGEST) if possible[n]]
    if not counted or any(shared[n] == 0 for n in counted):
        return 0.0
    precision = math.exp(sum(math.log(shared[n] / possible[n]) for n in counted) / len(counted))
    length, reference = sum(map(len, written)), sum(map(len, meant))
    return precision * min(1.0, math.exp(1 - reference / length))


def _runs(sentence: Sequence[Hashable], length: int) -> Counter:
    return Counter(tuple(sentence[i : i + length]) for i in range(len(sentence) - length + 1))
