"""Sentences that say nearly the same, found by hashed keys: no pair of sentences is ever compared."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from neurode.data.text.words import find_words, is_set_apart, normalise

_ENDINGS = {"t": "not", "m": "am", "re": "are", "ve": "have", "ll": "will", "s": "is", "d": "would"}
_WHOLE = {"cannot": ("can", "not"), "can't": ("can", "not"), "won't": ("will", "not"), "shan't": ("shall", "not")}
_HIDDEN = "*"
"""Stands for a name or a number; no word is written so."""
_SHARED_WORDS = 3


def normal_form(sentence: str) -> tuple[list[str], list[bool]]:
    """The words of a sentence without capitals, marks and short forms (don't: do, not), and which may be exchanged.

    Exchangeable are names, told by a capital inside a sentence, and words with digits, which all become "0". Order is
    kept here and disregarded by the keys. Short forms are the English ones; elsewhere an apostrophe cuts a word.
    A sentence without any word is one word, its text.
    """
    words: list[str] = []
    hidden: list[bool] = []
    for word, start in find_words(sentence):
        parts = _parts(word)
        words += parts
        hidden += [parts == ("0",) or (not start and _is_name(word)), *[False] * (len(parts) - 1)]
    return (words, hidden) if words else ([normalise(sentence)], [False])


@lru_cache(maxsize=1 << 16)
def _parts(word: str) -> tuple[str, ...]:
    word = word.casefold()
    if any(character.isdigit() for character in word):
        return ("0",)
    if word in _WHOLE:
        return _WHOLE[word]
    if word.endswith("n't") and len(word) > 3:
        return (word[:-3], "not")
    first, *rest = word.split("'")
    return (first, *(_ENDINGS.get(one, one) for one in rest if one))


def _is_name(word: str) -> bool:
    return word[0].isupper() and word != "I" and not word.startswith("I'")


def near_duplicate_groups(sentences: Sequence[str], shared_letters: int | None = 16) -> tuple[np.ndarray, np.ndarray]:
    """Which sentences are near-duplicates of each other, directly or through others.

    Two sentences are, where their normal forms hold the same words in any order; or where one becomes the other by
    exchanging any number of names and numbers and exchanging, adding or dropping at most one more word, while at least
    three other words stay, of `shared_letters` letters together (letters, because three short words are in half of all
    sentences; a character of a script without blanks counts as four). None: the first rule alone, for sentences that a
    grammar makes from few words, where one word's difference is nothing special.

    Returns (n,) int64 labels, those of a group equal, numbered by first appearance; and (n,) uint64 keys, equal in a
    group, which depend on the sentences of the group and on nothing else. Time grows with the number of words (a few
    seconds for 150,000 sentences). In a language with capitals for all nouns, many nouns count as names. Raises
    ValueError for shared_letters < 1.
    """
    if shared_letters is not None and shared_letters < 1:
        raise ValueError(f"shared_letters must be at least 1, or None; got {shared_letters}.")
    if not len(sentences):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    whole, keys, owners = _keys(sentences, shared_letters)
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    left, right = owners[order][:-1][same], owners[order][1:][same]
    roots = _joined(len(sentences), zip(left.tolist(), right.tolist(), strict=True))
    least = np.full(len(sentences), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, roots, whole)
    _, first, labels = np.unique(roots, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[labels], least[roots]


def _keys(sentences: Sequence[str], shared_letters: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The key of each whole normal form; and all keys under which sentences meet, with the sentence each belongs to.

    The key of a set of words is the sum of their hashes, modulo 2**64: order is gone, and leaving a word out is one
    subtraction. Two sentences meet that are equal when each, or one of them, leaves out one word.
    """
    numbers: dict[str, int] = {}
    flat: list[int] = []
    flags: list[bool] = []
    lengths = np.empty(len(sentences), np.int64)
    for place, sentence in enumerate(sentences):
        words, exchangeable = normal_form(sentence)
        flat += [numbers.setdefault(word, len(numbers)) for word in words]
        flags += exchangeable
        lengths[place] = len(words)
    starts = np.cumsum(lengths) - lengths
    hashes = np.array([_hash(word) for word in numbers], np.uint64)[flat]
    whole = np.add.reduceat(hashes, starts)
    everyone = np.arange(len(sentences))
    if shared_letters is None:
        return whole, whole, everyone
    hidden, owner = np.array(flags, bool), np.repeat(everyone, lengths)
    letters = np.where(hidden, 0, np.array([_letters(word) for word in numbers], np.int64)[flat])
    open_words = np.add.reduceat((~hidden).astype(np.int64), starts)
    open_letters = np.add.reduceat(letters, starts)
    apart = np.uint64(_hash("frame"))  # a frame, names hidden, never meets a whole form
    frames = np.add.reduceat(np.where(hidden, np.uint64(_hash(_HIDDEN)), hashes), starts) + apart
    full = np.flatnonzero((open_words >= _SHARED_WORDS) & (open_letters >= shared_letters))
    rest_is_enough = (open_words[owner] > _SHARED_WORDS) & (open_letters[owner] - letters >= shared_letters)
    dropped = np.flatnonzero(~hidden & rest_is_enough)
    keys = np.concatenate([whole, frames[full], frames[owner[dropped]] - hashes[dropped]])
    return whole, keys, np.concatenate([everyone, full, owner[dropped]])


def _letters(word: str) -> int:
    return len(word) if is_set_apart(word) else 4


def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


def _joined(count: int, edges: Iterable[tuple[int, int]]) -> np.ndarray:
    """The root of each of `count` nodes after joining the two of every edge; the root of a set is its least node."""
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in edges:
        a, b = root(a), root(b)
        if a != b:
            parent[max(a, b)] = min(a, b)
    return np.array([root(node) for node in range(count)], np.int64)
