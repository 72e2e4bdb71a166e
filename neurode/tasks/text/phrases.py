"""A user's sentences as a model reads them: ids, the words it does not know, and a reason where it cannot read one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from neurode.core.errors import DataError
from neurode.data.text.statistics import script_shares
from neurode.data.text.tokens import NUM_SPECIAL, Tokenizer
from neurode.data.text.vocabulary import WordVocabulary

_SHOWN = 60


@dataclass(frozen=True)
class Phrase:
    """One sentence. text: as the tokenizer writes it. ids: of its words. copies: the words behind its UNKNOWNs."""

    text: str
    ids: tuple[int, ...]
    copies: tuple[str, ...] = ()


class PhraseReader:
    """Reads sentences for a model with this tokenizer, which takes at most `longest` ids."""

    def __init__(self, tokenizer: Tokenizer, longest: int):
        self.tokenizer, self.longest = tokenizer, longest

    def read(self, sentences: str | Sequence[str]) -> list[Phrase]:
        """Phrases of one sentence or several.

        Raises DataError for no sentence, an empty one, one that is longer than the model can hold, and one of which the
        model knows no word; TypeError for anything but text.
        """
        given = [sentences] if isinstance(sentences, str) else list(sentences)
        if not given:
            raise DataError("no sentence was given. Give at least one")
        return [self._read(one, _place(number, len(given))) for number, one in enumerate(given, 1)]

    def readable(self, sentences: Iterable[str]) -> list[Phrase]:
        """Phrases of those sentences that `read` would not refuse."""
        found = []
        for one in sentences:
            try:
                found.append(self._read(one, ""))
            except DataError:
                continue
        return found

    def _read(self, sentence: str, place: str) -> Phrase:
        if not isinstance(sentence, str):
            raise TypeError(f"a sentence is a string; {place or 'it'} is {type(sentence).__name__}.")
        plain = _plain(sentence)
        if not plain:
            raise DataError(f"{place or 'the sentence'} is empty. Give at least one word")
        ids, copies = self.tokenizer.encode(plain), self.tokenizer.unknown_words(plain)
        shown = f"{place + ', ' if place else ''}{shortened(plain)!r}"
        if len(ids) > self.longest:
            what = "words and marks" if isinstance(self.tokenizer, WordVocabulary) else "pieces of words"
            raise DataError(
                f"{shown}: this sentence has {len(ids):,} {what}, and the longest that the model was trained on has "
                f"{self.longest:,}. Shorten it, or train a model on longer ones (max_words)"
            )
        if copies and isinstance(self.tokenizer, WordVocabulary) and not _knows_a_word(self.tokenizer, ids):
            raise DataError(f"{shown}: the model knows no word of this sentence{_why(self.tokenizer, plain)}")
        return Phrase(self.tokenizer.decode(ids, copies), tuple(ids), tuple(copies))


def _knows_a_word(vocabulary: WordVocabulary, ids: list[int]) -> bool:
    """Whether one of the ids stands for something with a letter or a digit in it."""
    return any(any(map(str.isalnum, vocabulary.token(one))) for one in ids if one >= NUM_SPECIAL)


def _why(vocabulary: WordVocabulary, plain: str) -> str:
    own, known = _script([plain]), _script(vocabulary.words[:2000])
    if own and known and own != known:
        return f": it is written in {own} letters, and the training text in {known}. Train on such text first"
    return ". Check the language, or train on text that holds such words, or with tokenizer=subwords"


def copied_words(phrases: Sequence[Phrase]) -> str | None:
    """A sentence that names the unknown words of all phrases; None where there is none."""
    words = list(dict.fromkeys(word for one in phrases for word in one.copies))
    if not words:
        return None
    named = ", ".join(map(repr, words[:5])) + (f" and {len(words) - 5} more" if len(words) > 5 else "")
    verb = "is" if len(words) == 1 else "are"
    return f"{named} {verb} unknown to the model, and {verb} copied from what was given."


def shortened(text: str, limit: int = _SHOWN) -> str:
    """`text`, its end cut off where it is longer than `limit`."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _plain(sentence: str) -> str:
    """One line, without lone surrogates, which no tokenizer takes."""
    return " ".join(sentence.encode("utf-8", "replace").decode("utf-8").split())


def _place(number: int, count: int) -> str:
    return f"sentence {number}" if count > 1 else ""


def _script(sentences: Sequence[str]) -> str:
    return next(iter(script_shares(sentences)), "")
