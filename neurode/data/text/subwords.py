"""Byte-level byte-pair encoding: pieces of words as ids; every string has some, and comes back exactly."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from neurode.core.errors import DataError
from neurode.core.extras import require
from neurode.data.text.tokens import NUM_SPECIAL, UNKNOWN, words_until_end


class Subwords:
    """Pieces of words that were frequent in a corpus, down to single bytes (needs the extra "text").

    Good for any language and script, for names and misspellings, and where every string must come back exactly: no
    word is unknown. Id lists are longer than those of `WordVocabulary`, most of all for rare words, whose spelling a
    model must then hold in its code. Capitals and blanks are kept as they are: nothing is normalised.

    After Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units" (2016), on bytes as
    in Radford et al., "Language models are unsupervised multitask learners" (2019); trained by the library
    `tokenizers`. A sentence is encoded with a blank before it, so that its first word is the same piece as elsewhere.

    pieces: in the order of their ids, which begin at 4. merges: the pairs of pieces that become one, first to last.
    Raises MissingExtraError where `tokenizers` is not installed.
    """

    def __init__(self, pieces: Sequence[str], merges: Sequence[tuple[str, str]]):
        self.pieces, self.merges = tuple(pieces), tuple((a, b) for a, b in merges)
        library = require("tokenizers", extra="text")
        known = {piece: place for place, piece in enumerate(self.pieces)}
        missing = sorted(set(library.pre_tokenizers.ByteLevel.alphabet()) - known.keys())
        if missing or len(known) < len(self.pieces):
            raise ValueError(
                f"pieces must be distinct and hold all 256 bytes; {len(missing)} bytes are missing, "
                f"{len(self.pieces) - len(known)} pieces come twice. Subwords.fit makes them from sentences."
            )
        self._coder = library.Tokenizer(library.models.BPE(vocab=known, merges=list(self.merges)))
        self._coder.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._coder.decoder = library.decoders.ByteLevel()

    @classmethod
    def fit(cls, sentences: Iterable[str], *, size: int = 8_000, min_count: int = 2) -> "Subwords":
        """Learn at most `size` ids, from pairs of pieces that come at least `min_count` times in `sentences`.

        A small corpus gives fewer. Raises ValueError for a size that does not hold the 256 bytes and the special ids.
        """
        least = 256 + NUM_SPECIAL
        if size < least or min_count < 1:
            raise ValueError(f"size must be at least {least}, min_count at least 1; got size={size}, {min_count=}.")
        library = require("tokenizers", extra="text")
        coder = library.Tokenizer(library.models.BPE())
        coder.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = library.trainers.BpeTrainer(
            vocab_size=size - NUM_SPECIAL,
            min_frequency=min_count,
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        coder.train_from_iterator((_spaced(one) for one in sentences), trainer)
        model = json.loads(coder.to_str())["model"]
        pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
        merges = [one.split(" ") if isinstance(one, str) else one for one in model["merges"]]  # by its version
        return cls(pieces, [(first, second) for first, second in merges])

    @property
    def size(self) -> int:
        """Number of ids: special ones and pieces."""
        return NUM_SPECIAL + len(self.pieces)

    def encode(self, sentence: str) -> list[int]:
        """Ids of the pieces; never UNKNOWN; [] for "". Raises ValueError for a lone surrogate, which is no text."""
        if not sentence:
            return []
        return [one + NUM_SPECIAL for one in self._coder.encode(_spaced(sentence)).ids]

    def unknown_words(self, sentence: str) -> tuple[str, ...]:
        """Always (): every string can be spelled."""
        del sentence
        return ()

    def decode(self, ids: Iterable[int], copies: Sequence[str] = ()) -> str:
        """The string of `ids` up to END, exactly what was encoded. Bytes that are no UTF-8 text show as U+FFFD.

        UNKNOWN, which `encode` never writes, is passed over. Raises ValueError for copies: nothing is there to fill.
        """
        if copies:
            raise ValueError("subwords spell every word, so there is no place for copies; leave them out.")
        kept = [one - NUM_SPECIAL for one in words_until_end(ids, self.size) if one != UNKNOWN]
        return self._coder.decode(kept, skip_special_tokens=False).removeprefix(" ")

    def token(self, id: int) -> str:
        """The piece behind an id as its bytes look when decoded, for tables; "<pad>" to "<unknown>" for special ids."""
        if id < NUM_SPECIAL:
            return ("<pad>", "<start>", "<end>", "<unknown>")[id]
        return self._coder.decode([id - NUM_SPECIAL], skip_special_tokens=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain types for a JSON file."""
        return {"kind": "subwords", "pieces": list(self.pieces), "merges": [list(pair) for pair in self.merges]}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Subwords":
        """Rebuild what `to_dict` wrote. Raises DataError where it is damaged, MissingExtraError without the extra."""
        try:
            return cls([str(one) for one in saved["pieces"]], [(str(a), str(b)) for a, b in saved["merges"]])
        except ImportError:
            raise
        except Exception as error:  # the library raises its own kinds for merges of unknown pieces
            raise DataError(f"the saved subwords are damaged ({error}). Copy the model folder again.") from None


def _spaced(sentence: str) -> str:
    try:
        sentence.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{sentence[error.start]!r} at place {error.start} is a lone surrogate, which is no text; "
            "neurode.data.text.words.normalise replaces it."
        ) from None
    return " " + sentence
