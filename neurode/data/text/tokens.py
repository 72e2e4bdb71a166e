"""The ids that every tokenizer keeps for itself, and what a tokenizer promises."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

PAD, START, END, UNKNOWN = 0, 1, 2, 3
NUM_SPECIAL = 4
"""Ids below this one stand for no text."""


@runtime_checkable
class Tokenizer(Protocol):
    """Sentences to lists of ids and back: `WordVocabulary` or `Subwords`.

    An id list holds the words of one sentence, without START and END. Unknown words can be met in two ways, and a
    decoder need not know which: a tokenizer that can spell every string has none, `unknown_words` is () and UNKNOWN
    never comes; one with a fixed list of words writes UNKNOWN, hands out the words behind it in their order, and
    `decode` puts such words back where UNKNOWN stands (the user's own rare words are copied, not spelled).
    """

    @property
    def size(self) -> int:
        """Number of ids, special ones included: the width of a softmax over them."""
        ...

    def encode(self, sentence: str) -> list[int]: ...

    def decode(self, ids: Iterable[int], copies: Sequence[str] = ()) -> str:
        """The text of `ids` up to END; PAD and START are passed over, the k-th UNKNOWN becomes the k-th of `copies`."""
        ...

    def unknown_words(self, sentence: str) -> tuple[str, ...]:
        """The words of `sentence` that `encode` writes as UNKNOWN, in order; what `decode` takes as `copies`."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for a JSON file, from which `tokenizer_from_dict` rebuilds the tokenizer."""
        ...


def words_until_end(ids: Iterable[int], size: int) -> list[int]:
    """`ids` up to the first END, without PAD and START. Raises ValueError for an id outside 0 to size - 1."""
    kept = []
    for one in ids:
        one = int(one)
        if not 0 <= one < size:
            raise ValueError(f"ids of this tokenizer are 0 to {size - 1}; got {one}. Was it made by another tokenizer?")
        if one == END:
            break
        if one not in (PAD, START):
            kept.append(one)
    return kept
