"""Pairs of unseen sentences to walk between: a third at random, a third of equal length, a third that share a word."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from neurode.tasks.text.phrases import Phrase

Words = Sequence[Hashable]
Pair = tuple[Phrase, Phrase]

_COMMON = 0.05
"""A word that stands in more than this share of the sentences says nothing about what they are about."""


def draw_pairs(phrases: Sequence[Phrase], count: int, seed: int = 0) -> list[Pair]:
    """`count` pairs of different sentences, at most as many as there are for each sentence to come once.

    The first third is drawn at random, the second from sentences of equal length, the last from sentences that share a
    word which is rare among them; where no such partner is left, at random too. Two sentences of equal ids never meet.
    """
    random = np.random.default_rng([seed, 5])
    order = random.permutation(len(phrases)).tolist()
    free = dict.fromkeys(order)
    wanted = min(count, len(phrases) // 2)
    by_length: dict[int, list[int]] = defaultdict(list)
    by_word: dict[int, list[int]] = defaultdict(list)
    for row in order:
        by_length[len(phrases[row].ids)].append(row)
        for word in set(phrases[row].ids):
            by_word[word].append(row)
    rare = {word: rows for word, rows in by_word.items() if 1 < len(rows) <= max(2, _COMMON * len(phrases))}
    partners: tuple[Callable[[int], list[int]], ...] = (
        lambda row: [],
        lambda row: by_length[len(phrases[row].ids)],
        lambda row: [other for word in phrases[row].ids if word in rare for other in rare[word]],
    )
    pairs: list[Pair] = []
    for number in range(wanted):
        if len(free) < 2:
            break
        row = next(iter(free))
        del free[row]
        kind = partners[min(2, 3 * number // max(1, wanted))]
        fitting = (other for other in [*kind(row), *free] if other in free and phrases[other].ids != phrases[row].ids)
        other = next(fitting, None)
        if other is not None:
            del free[other]
            pairs.append((phrases[row], phrases[other]))
    return pairs
