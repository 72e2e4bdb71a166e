"""A sentence cut into words and marks, and joined again without loss.

Marks of punctuation stand apart, and where blanks belong between them is a rule (none before a comma, none behind an
opening bracket, quotation marks in turns). Where a sentence breaks the rule, a token says so: JOINED for no blank,
BLANK for one. So `detokenise(tokenise(s))` is `normalise(s)` for every string, in every script, and ordinary sentences
need no such token.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

JOINED, BLANK = "<joined>", "<blank>"
"""Tokens against the rule: no blank, or a blank, between their neighbours. No text is cut into such tokens."""

CASES = ("sentence", "lower", "keep")
"""What happens to capitals: the first letter of the sentence is a capital; all letters small; nothing."""

_ONE_QUOTE, _TWO_QUOTES = "‘’‚‛′`´ʼ", "“”„‟″"
_INVISIBLE = "\u00ad\u200b\u2060\ufeff\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_UNBROKEN = (  # Thai to Tibetan, Myanmar, Khmer, Han with kana and bopomofo: words are not set apart by blanks
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3041-\u312f\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
)
_WIDE_MARKS = "　、。〈〉《》「」『』【】〔〕〜！（），：；？·"
_NONE_BEFORE = set(".,;:!?…%)]}»°،؛؟।॥") | set(_WIDE_MARKS)
_NONE_BEHIND = set("([{«¿¡$€£#@") | set(_WIDE_MARKS)
_NONE_AROUND = set("-/")
_ENDS = set(".!?…؟।")
_IN_UNBROKEN = re.compile(f"[{_UNBROKEN}]")
# Shortened words whose point is theirs. English, and harmless elsewhere: any other word keeps its point apart.
_TITLES = r"(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|Jr|Sr|vs|Ph\.D)\."


class _Manners(NamedTuple):
    """How a token stands among others."""

    none_before: bool
    none_behind: bool
    starts_unbroken: bool
    ends_unbroken: bool
    is_word: bool
    is_end: bool


def normalise(sentence: str, case: str = "keep") -> str:
    """What remains of a sentence when everything that tokens do not keep is gone.

    Typographic quotation marks, apostrophes and accents that stand alone become ' and "; a run of blanks of any kind
    becomes one blank, and none stays at the ends; control characters, soft hyphens and other invisible marks are
    dropped (joiners inside words stay); a lone surrogate becomes U+FFFD; the result is in Unicode's form NFC.
    case: "keep" leaves letters alone, "lower" makes all small, "sentence" makes the first word begin with a capital
    where it is small throughout. Raises ValueError for another.
    """
    if case not in CASES:
        raise ValueError(f"case must be one of {', '.join(CASES)}; got {case!r}.")
    if not (sentence.isascii() and sentence.isprintable()):
        sentence = "".join(map(_kept, sentence))
    sentence = unicodedata.normalize("NFC", " ".join(sentence.replace("`", "'").split()))
    if case == "lower":
        return unicodedata.normalize("NFC", sentence.lower())
    if case == "sentence":
        first = next((m for m in _matches(sentence) if _manners(m.group()).is_word), None)
        if first is not None:
            sentence = sentence[: first.start()] + capitalised(first.group()) + sentence[first.end() :]
    return sentence


@lru_cache(maxsize=4096)
def _kept(character: str) -> str:
    if character in _ONE_QUOTE:
        return "'"
    if character in _TWO_QUOTES:
        return '"'
    if character.isspace():
        return " "
    if character in _INVISIBLE or unicodedata.category(character) == "Cc":
        return ""
    return "\ufffd" if unicodedata.category(character) == "Cs" else character


def capitalised(word: str) -> str:
    """`word` with its first letter large; unchanged where it holds a capital, or where the way back would differ."""
    first = word[:1].upper()
    return first + word[1:] if word.islower() and len(first) == 1 and first.lower() == word[0] else word


def uncapitalised(word: str) -> str:
    """The small form of a word that only begins with a capital; any other word unchanged."""
    small = word[:1].lower() + word[1:]
    return small if small != word and capitalised(small) == word else word


def tokenise(sentence: str) -> list[str]:
    """Words, numbers, marks, and the tokens JOINED and BLANK where blanks break the rule. Letters stay as they are.

    Apostrophes inside a word, and one behind s, in or o while no quotation is open (the boys' dog, nothin'), belong to
    it; points belong to titles (Mr.) and to single letters in a row (U.S.), points and commas to numbers. In scripts
    that set no blanks between words each character is a token.
    """
    sentence = normalise(sentence)
    tokens: list[str] = []
    before, end, quotes = "", 0, _Quotes()
    for match in _matches(sentence):
        token = match.group()
        blank = match.start() > end
        end = match.end()
        if token == "'" and tokens and not blank and "'" not in quotes.open and _owns_apostrophe(before):
            tokens[-1] = before = before + token
            continue
        if tokens and blank != quotes.blank(before, token):
            tokens.append(BLANK if blank else JOINED)
        tokens.append(token)
        quotes.pass_over(token)
        before = token
    return tokens


def detokenise(tokens: Iterable[str]) -> str:
    """The sentence again. JOINED or BLANK where none belongs (at an end, two in a row) does no harm."""
    parts: list[str] = []
    before, mark, quotes = "", "", _Quotes()
    for token in tokens:
        if token in (JOINED, BLANK):
            mark = token
            continue
        if before and (mark == BLANK or (not mark and quotes.blank(before, token))):
            parts.append(" ")
        parts.append(token)
        quotes.pass_over(token)
        before, mark = token, ""
    return "".join(parts)


def sentence_starts(tokens: Sequence[str]) -> list[int]:
    """Places of the words that begin a sentence: the first one, and each right behind a full stop, ! or ?.

    A mark in between (JOINED, BLANK, quotation marks) says that none begins there.
    """
    starts, before = [], None
    for place, token in enumerate(tokens):
        if before is None and is_word(token):
            starts.append(place)
            before = token
        elif before is not None:
            if _manners(before).is_end and is_word(token):
                starts.append(place)
            before = token
    return starts


def is_word(token: str) -> bool:
    """Whether a token is a word, a number or a character of a script without blanks, and not a mark."""
    return token not in (JOINED, BLANK) and _manners(token).is_word


def is_set_apart(word: str) -> bool:
    """Whether a word belongs to a script that sets blanks between words; False for a Chinese or Thai character."""
    return not _IN_UNBROKEN.match(word)


def find_words(sentence: str) -> list[tuple[str, bool]]:
    """The words of a sentence without its marks, each with whether it begins a sentence."""
    found, start = [], True
    for match in _matches(normalise(sentence)):
        manners = _manners(match.group())
        if manners.is_word:
            found.append((match.group(), start))
            start = False
        elif manners.is_end:
            start = True
    return found


def split_marks(sentence: str) -> list[str]:
    """Words and marks of a sentence without JOINED and BLANK, for counting: several times faster than `tokenise`."""
    return [match.group() for match in _matches(normalise(sentence))]


def count_words(sentence: str) -> int:
    """Words and marks of punctuation of a sentence: its length as a word model counts it."""
    return len(split_marks(sentence))


class _Quotes:
    """Which quotation marks are open, and so whether the next one opens or closes."""

    def __init__(self):
        self.open: set[str] = set()

    def blank(self, left: str, right: str) -> bool:
        """Whether a blank belongs between two tokens; `left` has been passed over, `right` has not."""
        if right in ("'", '"') and right in self.open:
            return False
        if left in ("'", '"') and left in self.open:
            return False
        a, b = _manners(left), _manners(right)
        return not (a.none_behind or b.none_before or (a.ends_unbroken and b.starts_unbroken))

    def pass_over(self, token: str) -> None:
        if token in ("'", '"'):
            self.open ^= {token}


def _owns_apostrophe(word: str) -> bool:
    return word.endswith(("s", "S", "in", "o")) and _manners(word).is_word


@lru_cache(maxsize=1 << 16)
def _manners(token: str) -> _Manners:
    first = token[0]
    return _Manners(
        none_before=first in _NONE_BEFORE or token in _NONE_AROUND,
        none_behind=token in _NONE_BEHIND or token in _NONE_AROUND,
        starts_unbroken=bool(_IN_UNBROKEN.match(first)),
        ends_unbroken=bool(_IN_UNBROKEN.match(token)),
        is_word=first.isalnum(),
        is_end=first in _ENDS and (len(token) == 1 or set(token) <= _ENDS),
    )


@cache
def _letters() -> str:
    """What words are made of, for a character class: \\w, combining marks (vowel signs are some), joiners."""
    last = 0x1FFFF  # nothing but variation selectors lies beyond
    marks = [c for c in range(0x300, last) if unicodedata.category(chr(c)) in ("Mn", "Mc", "Me")]
    runs: list[list[int]] = []
    for code in [*marks, 0x200C, 0x200D, *range(0xE0100, 0xE01F0)]:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return r"\w" + "".join(f"{chr(a)}-{chr(b)}" for a, b in runs)


def _matches(sentence: str) -> Iterator[re.Match[str]]:
    return _pattern(sentence.isascii()).finditer(sentence)


@cache
def _pattern(ascii_only: bool) -> re.Pattern[str]:
    """Titles, single letters with points, numbers, words, runs of marks, and any other character by itself."""
    if ascii_only:  # the same, three times faster
        first, letter, unbroken = r"\w", r"\w", ""
    else:
        first = rf"(?:(?![{_UNBROKEN}])\w)"
        letter = f"(?:(?![{_UNBROKEN}])[{_letters()}])"
        unbroken = rf"|[{_UNBROKEN}][{_letters().removeprefix(chr(92) + 'w')}]*"
    return re.compile(
        rf"{_TITLES}(?!\w)"
        r"|(?:[^\W\d_]\.){2,}"
        r"|\d+(?:[.,:]\d+)+"
        rf"|{first}{letter}*(?:'{letter}+)*{unbroken}"
        r"|\.{2,}|-{2,}|[!?]{2,}"
        r"|\S"
    )
